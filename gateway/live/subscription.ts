/**
 * One topic on one socket: the keys that changed since the last flush, never their values, so a slow screen costs one
 * bounded set. Frames are made at the flush from live state, so no value older than the snapshot can follow it.
 */
import type { Price } from '#actors/schema/events';
import type { Role } from '../schema/sign_in.ts';
import type { LiveEvent, ServerFrame } from '../schema/live.ts';
import { encodeCursor, type Cursor } from './cursor.ts';
import type { Grid } from './grid.ts';
import { keysSince, topicRules, valueOf, type Topic } from './topics.ts';

/** More events than this between two flushes: a snapshot takes their place. */
const pendingEventsMax = 256;

export class Subscription {
  readonly id: number;
  readonly topic: Topic;
  readonly #grid: Grid;
  readonly #site: string;
  readonly #dirty = new Set<string>();
  #events: { event: LiveEvent; sequence: number }[] = [];
  /** What the client holds; null until it is told. */
  #held: Cursor | null = null;
  /** A snapshot is due, or at least one delta as the answer to a resume. */
  #owes: 'snap' | 'delta' | null = 'snap';
  #flushedAt = -Infinity;

  /** `cursor`: where the client says it stands. The topic must exist. */
  constructor(grid: Grid, id: number, topic: Topic, site: string, cursor: Cursor | undefined) {
    this.#grid = grid;
    this.id = id;
    this.topic = topic;
    this.#site = site;
    if (cursor !== undefined) this.#resume(cursor);
  }

  #resume(cursor: Cursor): void {
    const { partition } = this.#grid.positionOf(this.#site);
    const { kind, id } = this.topic;
    if (cursor.partition !== partition) return;
    for (const sequence of [cursor.state, cursor.event]) {
      if (!this.#grid.canResume(kind, id, { partition, sequence })) return;
    }
    const missed = kind === 'station' ? this.#grid.prices.since(id, cursor.event) : [];
    if (missed === undefined) return;
    this.#held = cursor;
    this.#owes = 'delta';
    this.#events = missed.map(({ price, sequence }) => ({ event: { kind: 'price', price }, sequence }));
    for (const key of keysSince(this.#grid, this.topic, cursor.state)) this.#dirty.add(key);
  }

  touched(keys: readonly string[]): void {
    for (const key of keys) this.#dirty.add(key);
  }

  price(price: Price, sequence: number): void {
    if (this.#events.length >= pendingEventsMax) {
      this.#events = [];
      this.#owes = 'snap';
    }
    this.#events.push({ event: { kind: 'price', price }, sequence });
  }

  /** Whether there is something to send and it is time; a hidden page is told at most once per second. */
  due(clockMs: number, hidden: boolean): boolean {
    if (this.#owes === null && this.#dirty.size === 0 && this.#events.length === 0) return false;
    // The timer of the flush may be early by a few milliseconds; without the slack it would miss every other turn.
    return clockMs - this.#flushedAt >= (hidden ? 1_000 : topicRules[this.topic.kind].everyMs) - 15;
  }

  /** The frames that bring the client from what it holds to now. undefined: the topic is gone. */
  flush(now: number, roles: readonly Role[], clockMs: number): ServerFrame[] | undefined {
    if (this.#grid.siteOf(this.topic.kind, this.topic.id) !== this.#site) return undefined;
    this.#flushedAt = clockMs;
    const frames =
      this.#owes === 'snap' || this.#held === null ? [this.#snap(now, roles)] : this.#changes(this.#held, now, roles);
    this.#owes = null;
    this.#dirty.clear();
    this.#events = [];
    return frames;
  }

  #snap(now: number, roles: readonly Role[]): ServerFrame {
    const { partition, sequence } = this.#grid.positionOf(this.#site);
    const data: Record<string, unknown> = {};
    for (const key of keysSince(this.#grid, this.topic, -1))
      data[key] = valueOf(this.#grid, this.topic, key, now, roles);
    this.#held = { partition, state: sequence, event: sequence };
    return { op: 'snap', id: this.id, cursor: encodeCursor(this.#held), now, data };
  }

  #changes(held: Cursor, now: number, roles: readonly Role[]): ServerFrame[] {
    const frames: ServerFrame[] = [];
    let at = held;
    this.#events.forEach(({ event, sequence }, i) => {
      // Of several events in one record only the last moves the cursor, so that none is lost on resuming between them.
      const next = this.#events[i + 1]?.sequence === sequence ? at : { ...at, event: sequence };
      frames.push({ op: 'event', id: this.id, prev: encodeCursor(at), cursor: encodeCursor(next), now, event });
      at = next;
    });
    if (this.#dirty.size > 0 || this.#owes === 'delta') {
      const set: Record<string, unknown> = {};
      const del: string[] = [];
      for (const key of this.#dirty) {
        const value = valueOf(this.#grid, this.topic, key, now, roles);
        if (value === undefined) del.push(key);
        else set[key] = value;
      }
      const next = { ...at, state: this.#grid.positionOf(this.#site).sequence };
      frames.push({ op: 'delta', id: this.id, prev: encodeCursor(at), cursor: encodeCursor(next), now, set, del });
      at = next;
    }
    this.#held = at;
    return frames;
  }
}
