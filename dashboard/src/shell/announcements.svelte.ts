/** What a screen reader is told politely: connection, errors, the page that opened. Never ticks. */
let text = $state('');

export const announcements = {
  get text() {
    return text;
  },
  say(next: string): void {
    // The same words again are said again only if they went away meanwhile.
    text = '';
    queueMicrotask(() => (text = next));
  },
};
