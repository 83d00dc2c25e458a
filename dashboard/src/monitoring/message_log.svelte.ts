/**
 * The messages of one charger, newest first, page by page. What comes while somebody reads waits until it is asked for:
 * rows never move under the pointer. Bounded; older ones are found by a narrower time.
 */
import type { Message, MessagesReply } from '#gateway/schema/history';
import { get, pathOf, type Refused } from '../api.ts';
import { moment } from '../live/moment.svelte.ts';

export const messagesMax = 2_000;
const pageSize = 100;
const lookEveryMs = 5_000;

export interface MessageFilter {
  q: string;
  direction: string;
  action: string;
  /** unix ms; null: unbounded. */
  from: number | null;
  to: number | null;
}

/** A message is known by its connection, its own id and its way: an answer has the id of its call. */
export const keyOf = ({ at, direction, type, messageId, connectionSeq }: Message): string =>
  `${at} ${connectionSeq} ${direction} ${type} ${messageId}`;

export class MessageLog {
  readonly #charger: string;
  #filter: MessageFilter = { q: '', direction: '', action: '', from: null, to: null };
  #rows: readonly Message[] | null = $state.raw(null);
  #waiting: readonly Message[] = $state.raw([]);
  #next: string | null = $state(null);
  #refused: Refused | null = $state.raw(null);
  #loading = $state(false);
  #asked = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(charger: string) {
    this.#charger = charger;
  }

  /** null: not read yet. */
  get rows(): readonly Message[] | null {
    return this.#rows;
  }
  /** Newer than what is shown. */
  get waiting(): number {
    return this.#waiting.length;
  }
  get hasOlder(): boolean {
    return this.#next !== null && (this.#rows?.length ?? 0) < messagesMax;
  }
  get full(): boolean {
    return this.#next !== null && (this.#rows?.length ?? 0) >= messagesMax;
  }
  get refused(): Refused | null {
    return this.#refused;
  }
  get loading(): boolean {
    return this.#loading;
  }

  /** Reads from the newest on; what another filter was asked for is forgotten. */
  async show(filter: MessageFilter): Promise<void> {
    this.#filter = filter;
    this.#rows = null;
    await this.load();
  }

  async load(): Promise<void> {
    this.#waiting = [];
    const page = await this.#read();
    if (page === null) return;
    this.#rows = page.rows;
    this.#next = page.next;
  }

  async older(): Promise<void> {
    if (this.#next === null || this.#loading) return;
    const page = await this.#read(this.#next);
    if (page === null) return;
    const known = this.#rows ?? [];
    this.#rows = [...known, ...page.rows].slice(0, messagesMax);
    this.#next = page.next;
  }

  /** Puts what waits on top. */
  release(): void {
    this.#rows = [...this.#waiting, ...(this.#rows ?? [])].slice(0, messagesMax);
    this.#waiting = [];
  }

  close(): void {
    this.#asked += 1;
    clearTimeout(this.#timer);
  }

  /** null: refused, or something else was asked for meanwhile. */
  async #read(cursor?: string): Promise<MessagesReply | null> {
    this.close();
    const mine = this.#asked;
    this.#loading = true;
    const answer = await get<MessagesReply>(this.#path(cursor));
    if (mine !== this.#asked) return null;
    this.#loading = false;
    this.#refused = answer.ok ? null : answer;
    this.#lookLater();
    return answer.ok ? answer.value : null;
  }

  #path(cursor?: string): string {
    const { q, direction, action, from, to } = this.#filter;
    return pathOf(['chargers', this.#charger, 'messages'], {
      q: q === '' ? undefined : q,
      direction: direction === '' ? undefined : direction,
      action: action === '' ? undefined : action,
      from: from ?? undefined,
      to: to ?? undefined,
      limit: pageSize,
      cursor,
    });
  }

  #lookLater(): void {
    clearTimeout(this.#timer);
    // A time that ends in the past gets nothing new.
    if (this.#filter.to === null) this.#timer = setTimeout(() => void this.#look(), lookEveryMs);
  }

  /** Looks for newer ones. More than a page of them, and the rest is between what waits and what is shown: read anew. */
  async #look(): Promise<void> {
    if (document.hidden || moment.pausedAt !== null || this.#rows === null) return this.#lookLater();
    const mine = this.#asked;
    const answer = await get<MessagesReply>(this.#path());
    if (mine !== this.#asked) return;
    if (answer.ok) {
      const known = [...this.#waiting, ...this.#rows].slice(0, 2 * pageSize).map(keyOf);
      const fresh = answer.value.rows.filter((row) => !known.includes(keyOf(row)));
      if (this.#rows.length === 0) [this.#rows, this.#next] = [fresh, answer.value.next];
      else if (fresh.length < answer.value.rows.length)
        this.#waiting = [...fresh, ...this.#waiting].slice(0, messagesMax);
      else this.#waiting = fresh;
    }
    this.#lookLater();
  }
}
