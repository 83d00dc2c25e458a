/** The title of the page that is open: shown in the breadcrumb and the tab, said once when it opens. */
import { t } from '../text/mod.ts';
import { announcements } from './announcements.svelte.ts';

/** A page above the one that is open. */
export interface Parent {
  title: string;
  href: string;
}

let title = $state('');
let parents: readonly Parent[] = $state.raw([]);

export const page = {
  get title() {
    return title;
  },
  /** From the top down. */
  get parents() {
    return parents;
  },
  /** Call inside an effect of the page. */
  open(next: string, above: readonly Parent[] = []): void {
    title = next;
    parents = above;
    document.title = t.pageOf(next);
    announcements.say(next);
  },
};
