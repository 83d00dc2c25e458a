/** Single-letter keys. They never fire inside inputs, and not at all when the user has switched them off. */
import { moment } from '../live/moment.svelte.ts';
import { navigate } from '../routes.ts';
import { settings } from '../settings.svelte.ts';

/** After `g` the next key must follow within this time. */
const sequenceMs = 1_500;

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
    if (going && event.key === 's') void navigate('/stations');
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
