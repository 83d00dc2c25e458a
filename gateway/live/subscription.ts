/**
 * One topic on one socket: the keys that changed since the last flush, never their values, so a slow screen costs one
 * bounded set. Frames are made at the flush from live state, so no value older than the snapshot can follow it.
 */
import type { LiveEvent, ServerFrame } from '../schema/live.ts';
import { encodeCursor, type Cursor } from './cursor.ts';
import type { Position, Topic, TopicSource, Viewer } from './source.ts';
import { may } from '../auth/rights.ts';
import { shows, showsAlike, topicRules } from './topics.ts';

/** More than these between two flushes: a snapshot takes their place. */
export const pendingEventsMax = 256;
export const pendingKeysMax = 16_384;

export class Subscription {
  readonly id: number;
  readonly topic: Topic;
  readonly #source: TopicSource;
  readonly #partition: number;
  readonly #dirty = new Set<string>();
  #viewer: Viewer;
  #events: { event: LiveEvent; sequence: number }[] = [];
  /** What the client holds; null until it is told. */
  #held: Cursor | null = null;
  /** A snapshot is due, or at least one delta as the answer to a resume. */
  #owes: 'snap' | 'delta' | null = 'snap';
  #flushedAt = -Infinity;

  /** `at`: where the topic stands; `cursor`: where the client says it does. */
  constructor(source: TopicSource, id: number, topic: Topic, viewer: Viewer, at: Position, cursor: Cursor | undefined) {
    this.#source = source;
    this.id = id;
    this.topic = topic;
    this.#viewer = viewer;
    this.#partition = at.partition;
    if (cursor?.partition === at.partition) this.#resume(cursor);
  }

  /** What waits for the next flush: keys and events. */
  get waiting(): number {
    return this.#dirty.size + this.#events.length;
  }

  #resume(cursor: Cursor): void {
    const keys = this.#source.keysSince(this.topic, cursor.state);
    const missed = this.#source.eventsSince(this.topic, cursor.event);
    if (keys === undefined || missed === undefined || missed.length > pendingEventsMax) return;
    this.#held = cursor;
    this.#owes = 'delta';
    this.#events = missed;
    this.touched(keys);
  }

  /** Rows that the viewer may not see are left out here, and so never become a frame. */
  touched(keys: readonly string[]): void {
    // A snapshot holds them all.
    if (this.#owes === 'snap') return;
    for (const key of keys) if (this.#shows(key)) this.#dirty.add(key);
    if (this.#dirty.size > pendingKeysMax) this.#startOver();
  }

  event(event: LiveEvent, sequence: number): void {
    if (this.#owes === 'snap') return;
    if (this.#events.length >= pendingEventsMax) return this.#startOver();
    this.#events.push({ event, sequence });
  }

  /** Takes over other rights to the same topic; false: less is shown than before, which cannot be taken back. */
  became(viewer: Viewer): boolean {
    const before = this.#viewer;
    this.#viewer = viewer;
    if (showsAlike(this.topic, before, viewer)) return true;
    if (!may(viewer.roles, 'view_charger')) return false;
    this.#startOver();
    return true;
  }

  /** Whether there is something to send and it is time; a hidden page is told at most once per second. */
  due(clockMs: number, hidden: boolean): boolean {
    if (this.#owes === null && this.waiting === 0) return false;
    // The timer of the flush may be early by a few milliseconds; without the slack it would miss every other turn.
    return clockMs - this.#flushedAt >= (hidden ? 1_000 : topicRules[this.topic.kind].everyMs) - 15;
  }

  /** The frames that bring the client from what it holds to now. undefined: the topic is gone. */
  flush(now: number, clockMs: number): ServerFrame[] | undefined {
    const at = this.#source.position(this.topic);
    if (at?.partition !== this.#partition) return undefined;
    this.#flushedAt = clockMs;
    const frames =
      this.#owes === 'snap' || this.#held === null
        ? [this.#snap(at, now)]
        : this.#changes(this.#held, at.sequence, now);
    this.#owes = null;
    this.#dirty.clear();
    this.#events = [];
    return frames;
  }

  #shows = (key: string): boolean => shows(this.topic, key, this.#viewer);

  #startOver(): void {
    this.#owes = 'snap';
    this.#dirty.clear();
    this.#events = [];
  }

  #snap({ partition, sequence }: Position, now: number): ServerFrame {
    const data: Record<string, unknown> = {};
    for (const key of this.#source.keysSince(this.topic, -1) ?? []) {
      if (this.#shows(key)) data[key] = this.#source.valueOf(this.topic, key, now, this.#viewer);
    }
    this.#held = { partition, state: sequence, event: sequence };
    return { op: 'snap', id: this.id, cursor: encodeCursor(this.#held), now, data };
  }

  #changes(held: Cursor, sequence: number, now: number): ServerFrame[] {
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
        const value = this.#source.valueOf(this.topic, key, now, this.#viewer);
        if (value === undefined) del.push(key);
        else set[key] = value;
      }
      const next = { ...at, state: sequence };
      frames.push({ op: 'delta', id: this.id, prev: encodeCursor(at), cursor: encodeCursor(next), now, set, del });
      at = next;
    }
    this.#held = at;
    return frames;
  }
}
