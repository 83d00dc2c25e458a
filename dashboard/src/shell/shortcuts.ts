/** Single-letter keys. They never fire inside inputs, and not at all when the user has switched them off. */
import { moment } from '../live/moment.svelte.ts';
import { navigate } from '../routes.ts';
import { settings } from '../settings.svelte.ts';

/** Keys of the page that is open; it adds them when it is mounted and takes them away when it goes. */
export const pageKeys = new Map<string, () => void>();

/** After `g` the next key must follow within this time. */
const sequenceMs = 1_500;

/** Where `g` and a letter lead to. Pages that the user may not see say so themselves. */
const goTo = { t: '/trade', m: '/monitoring', s: '/stations', a: '/users', x: '/trades' } as const;

/** What takes Enter for itself when it has the focus. */
const takesEnter = (target: EventTarget | null) =>
  target instanceof Element && target.closest('button, a, summary, [tabindex]:not(main)') !== null;

const isTyping = (target: EventTarget | null) =>
  target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));

/** A keydown listener. */
export function shortcuts(showKeys: () => void): (event: KeyboardEvent) => void {
  let goAt = -Infinity;
  return (event) => {
    if (!settings.keys || event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
    // A tree or dialog takes letters for itself.
    if (event.defaultPrevented || (event.target instanceof Element && event.target.closest('dialog'))) return;
    const going = event.timeStamp - goAt < sequenceMs;
    goAt = -Infinity;
    const place = going ? goTo[event.key as keyof typeof goTo] : undefined;
    const ofPage = pageKeys.get(event.key);
    if (place !== undefined) void navigate(place);
    else if (ofPage !== undefined && !event.repeat && !(event.key === 'Enter' && takesEnter(event.target))) ofPage();
    else if (event.key === 'g') goAt = event.timeStamp;
    else if (event.key === 'p') moment.togglePause();
    else if (event.key === '?') showKeys();
    else if (event.key === '/') {
      const filter = document.querySelector<HTMLInputElement>('input[type=search]');
      if (filter === null) return;
      filter.focus();
    } else return;
    event.preventDefault();
  };
}
