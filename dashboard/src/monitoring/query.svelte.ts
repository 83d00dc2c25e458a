/**
 * What one GET said last: asked again when `key` changes, every so often, and by whoever wants to try again. The former
 * value stays until the next one is there; of two answers under way the one that was asked for last counts.
 */
import { untrack } from 'svelte';
import { get, type Refused } from '../api.ts';
import { moment } from '../live/moment.svelte.ts';

export interface QueryOptions {
  /** What the answer depends on; null: nothing to ask yet. */
  key: () => string | null;
  /** Read at every request and not followed: the time in it moves by itself. */
  path: () => string;
  /** null: never again by itself. */
  everyMs?: () => number | null;
}

/** A refusal that passes by itself is tried again. */
const retryMs = 5_000;
const lasting: readonly string[] = [
  'role_missing',
  'bad_request',
  'unknown_charger',
  'unknown_station',
  'unknown_site',
];

export class Query<T> {
  readonly #options: QueryOptions;
  /** Asked again when the text differs, and not whenever something that it is made of is set anew. */
  readonly #key = $derived.by(() => this.#options.key());
  #value: T | null = $state.raw(null);
  #refused: Refused | null = $state.raw(null);
  #loading = $state(false);
  #asked = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** Made by a component: it ends with it. */
  constructor(options: QueryOptions) {
    this.#options = options;
    $effect(() => {
      if (this.#key === null) return;
      untrack(() => void this.load());
      return () => this.#stop();
    });
  }

  get value(): T | null {
    return this.#value;
  }
  /** Why there is no value, or none newer. */
  get refused(): Refused | null {
    return this.#refused;
  }
  get loading(): boolean {
    return this.#loading;
  }

  async load(): Promise<void> {
    this.#stop();
    const mine = this.#asked;
    this.#loading = true;
    const answer = await get<T>(untrack(this.#options.path));
    if (mine !== this.#asked) return;
    this.#loading = false;
    this.#refused = answer.ok ? null : answer;
    if (answer.ok) this.#value = answer.value;
    const everyMs = answer.ok ? (untrack(() => this.#options.everyMs?.()) ?? null) : retryMs;
    if (everyMs !== null && (answer.ok || !lasting.includes(answer.code)))
      this.#timer = setTimeout(() => this.#again(everyMs), everyMs);
  }

  /** Nobody looks, or somebody wants things to stand still: later. */
  #again(everyMs: number): void {
    if (document.hidden || moment.pausedAt !== null) this.#timer = setTimeout(() => this.#again(everyMs), everyMs);
    else void this.load();
  }

  #stop(): void {
    this.#asked += 1;
    clearTimeout(this.#timer);
  }
}
