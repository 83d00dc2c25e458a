/** The title of the page that is open: shown in the breadcrumb and the tab, said once when it opens. */
import { t } from '../text/mod.ts';
import { announcements } from './announcements.svelte.ts';

let title = $state('');

export const page = {
  get title() {
    return title;
  },
  /** Call inside an effect of the page. */
  open(next: string): void {
    title = next;
    document.title = t.pageOf(next);
    announcements.say(next);
  },
};
