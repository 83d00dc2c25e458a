/**
 * Any entity as it was after any record of the retained window.
 *
 * T1 Records hold whole post-images, so the state at a position is the last image at or before it: the journal is searched from
 *    there backwards, in growing pieces, down to the newest snapshot that was finished by then.
 * T2 A snapshot is written while the partition goes on, and may hold what came after the record it stands at. Everything of
 *    that lies before its pointer, so one counts only for positions at or behind its pointer.
 * T3 The window begins with the first record, or once that is purged with the pointer of the oldest kept snapshot. What lies
 *    outside is refused by name; nothing is guessed.
 */
import type { NatsConnection } from '@nats-io/transport-node';
import { partitionOf } from '#actors/partition_key';
import { journalBounds, readJournal, SequenceGone } from '../log/mod.ts';
import { decodeEntity, projectedId, type Definitions } from '../projections/entities.ts';
import { natsJournal } from '../projections/journal.ts';
import { blanked } from '../blanked.ts';
import { Refusal } from '../refusal.ts';
import type { CommitRecord, EntityImage, JournalEntry, SnapshotPointer } from '../wire.ts';
import { tailWindow } from './record_filter.ts';
import type { SnapshotStore } from './ports.ts';
import { findInSnapshot, snapshotStandsAt } from './snapshot.ts';
import { snapshotStore } from './snapshot_store.ts';

/** After the record at a place, after all that was decided by a log time (unix ms), or after the newest record. */
export type Moment = { partition: number; sequence: number } | { time: number } | 'now';

export interface Wanted {
  /** null: of any kind. */
  kind: string | null;
  /** As it is called in its partition; what every partition has one of also as `<id>@<p>`. */
  id: string;
  at: Moment;
  /** Where it is known to live. */
  partition?: number;
}

export interface Window {
  partition: number;
  /** First and last record after which states can be shown, and the log times they brought (unix ms); empty: to = 0. */
  from: { sequence: number; time: number };
  to: { sequence: number; time: number };
}

export interface EntityThen {
  kind: string;
  id: string;
  key: string;
  partition: number;
  /** The record after which this is the state, and the log's clock there. */
  at: { sequence: number; time: number };
  /** The record that made the state; null: an older one, of which the snapshot has the state. */
  changed: { sequence: number; time: number } | null;
  /** Counts its changes; the last one may have been its removal. */
  version: number;
  removed: boolean;
  /** State of its machine; null for records, and once removed. */
  value: string | null;
  /** Fields by name, secrets blanked; null once removed. */
  state: Record<string, unknown> | null;
}

export interface Search {
  /** Told how many records of how many were looked at. */
  onProgress?(done: number, of: number, partition: number): void;
  /** Ends the search. */
  signal?: AbortSignal;
}

const pieceMin = 256;
const pieceMax = 8_192;

export class TimeTravel {
  readonly #nc: NatsConnection;
  readonly #partitions: number;
  readonly #definitions: Definitions;

  constructor(nc: NatsConnection, partitions: number, definitions: Definitions) {
    this.#nc = nc;
    this.#partitions = partitions;
    this.#definitions = definitions;
  }

  /**
   * Everything of that name, one per partition and kind.
   * @throws {Refusal} `outside_window`, which names the window; `took_too_long` when the signal ended it; `unknown_entity`
   */
  async find(wanted: Wanted, search: Search = {}): Promise<EntityThen[]> {
    const { at, kind, id } = wanted;
    if (kind !== null && !this.#definitions.has(kind))
      throw new Refusal('unknown_entity', `there is no kind '${kind}'`, { kind, kinds: [...this.#definitions.keys()] });
    const found: EntityThen[] = [];
    const windows: Window[] = [];
    let outside: Refusal | undefined;
    for (const partition of this.#where(wanted)) {
      const window = await this.window(partition);
      windows.push(window);
      try {
        const here = await this.#inPartition(window, wanted, search);
        found.push(...here);
        // Whoever has its own id for a key lives in one place.
        if (kind !== null && here.some(({ key }) => key === id)) break;
      } catch (error) {
        if (!(error instanceof Refusal) || error.code !== 'outside_window') throw error;
        outside ??= error;
      }
    }
    if (found.length > 0) return found;
    if (outside) throw outside;
    const name = kind === null ? `'${id}'` : `${kind} '${id}'`;
    throw new Refusal('unknown_entity', `there was no ${name}${at === 'now' ? '' : ' then'}`, { kind, id, windows });
  }

  /** What can be shown of a partition. */
  async window(partition: number): Promise<Window> {
    const { first, last } = await journalBounds(this.#nc, partition);
    const time = async (sequence: number) => (await readJournal(this.#nc, partition, sequence))?.record.now ?? 0;
    if (first > last || last === 0) return { partition, from: { sequence: 1, time: 0 }, to: { sequence: 0, time: 0 } };
    const from = first <= 1 ? 1 : await this.#oldestPointer(partition, first, last);
    return {
      partition,
      from: { sequence: from, time: await time(from) },
      to: { sequence: last, time: await time(last) },
    };
  }

  *#where({ at, id, partition }: Wanted): Generator<number> {
    if (at !== 'now' && 'partition' in at) yield at.partition;
    else if (partition !== undefined) yield partition;
    else {
      // The likeliest first; the others follow, because most things live beside their owner.
      const named = Number(/@(\d{1,5})$/.exec(id)?.[1] ?? NaN);
      const home = named < this.#partitions ? named : partitionOf(id.replaceAll('@', ''), this.#partitions);
      yield home;
      for (let p = 0; p < this.#partitions; p++) if (p !== home) yield p;
    }
  }

  async #inPartition(window: Window, wanted: Wanted, { signal, onProgress }: Search): Promise<EntityThen[]> {
    const { partition } = window;
    const { kind, id } = wanted;
    const until = await this.#sequenceOf(wanted.at, window);
    if (until === 0) return [];
    const matches = (of: string, named: string, key: string) =>
      (kind === null || of === kind) && (named === id || projectedId({ id: named, key }) === id);
    const found = new Map<string, { image: EntityImage; sequence: number; time: number }>();
    const store = snapshotStore(this.#nc, null, partition);
    const kept = new Set(await store.generations());
    let base: SnapshotPointer | null = null;
    let time = 0;
    const { first } = await journalBounds(this.#nc, partition);
    let floor = Math.max(1, first);
    let piece = pieceMin;
    for (let to = until; to >= floor; piece = Math.min(2 * piece, pieceMax)) {
      const from = Math.max(floor, to - piece + 1);
      const here = new Map<string, { image: EntityImage; sequence: number; time: number }>();
      const pointers: SnapshotPointer[] = [];
      await this.#records(partition, from, to, signal, ({ sequence, record }) => {
        if (sequence === until) time = record.now;
        if (record.snapshot && kept.has(record.snapshot.gen)) pointers.push(record.snapshot);
        for (const image of record.entities)
          if (matches(image.kind, image.id, image.key ?? image.id))
            here.set(nameOf(image), { image, sequence, time: record.now });
      });
      for (const [name, one] of here) if (!found.has(name)) found.set(name, one);
      if (kind !== null && found.size > 0) break;
      base ??= pointers.at(-1) ?? null;
      if (base) floor = Math.max(floor, base.j0 + 1);
      onProgress?.(until - from + 1, until - floor + 1, partition);
      to = from - 1;
    }
    const at = { sequence: until, time };
    const all = [...found.values()].map(({ image, sequence, time: changedAt }) =>
      this.#shown(image, partition, at, { sequence, time: changedAt }),
    );
    if (kind !== null && found.size > 0) return all;
    for (const image of base ? await this.#inSnapshot(store, base, matches, partition) : [])
      if (!found.has(nameOf(image))) all.push(this.#shown(image, partition, at, null));
    return all;
  }

  async #inSnapshot(
    store: SnapshotStore,
    base: SnapshotPointer,
    matches: (kind: string, id: string, key: string) => boolean,
    partition: number,
  ): Promise<EntityImage[]> {
    const images = await findInSnapshot(store, base, matches);
    if (images) return images;
    throw new Refusal('unavailable', `snapshot ${base.gen} of partition ${partition} was removed meanwhile: ask again`);
  }

  #shown(image: EntityImage, partition: number, at: EntityThen['at'], changed: EntityThen['changed']): EntityThen {
    const { kind, id, key = id, version } = image;
    const one = { kind, id, key, partition, at, changed, version };
    if (image.image === null) return { ...one, removed: true, value: null, state: null };
    const { value, context } = decodeEntity(this.#definitions, image, partition, at.sequence);
    return { ...one, removed: false, value, state: blanked(context) as Record<string, unknown> };
  }

  /** The position that is meant; 0: before everything. @throws {Refusal} */
  async #sequenceOf(at: Moment, window: Window): Promise<number> {
    const { partition, from, to } = window;
    if (at === 'now') return to.sequence;
    if ('sequence' in at) {
      if (at.sequence < from.sequence || at.sequence > to.sequence)
        throw outsideWindow(window, `${partition}:${at.sequence}`);
      return at.sequence;
    }
    if (to.sequence === 0) return 0;
    if (at.time < from.time) {
      if (from.sequence === 1) return 0;
      throw outsideWindow(window, new Date(at.time).toISOString());
    }
    if (at.time >= to.time) return to.sequence;
    return this.#lastBy(partition, at.time, from.sequence, to.sequence);
  }

  /** The last record that counts whose log time is not behind `time`. */
  async #lastBy(partition: number, time: number, from: number, to: number): Promise<number> {
    // Records go by log time, but for those few of a superseded owner that stand beside an epoch record.
    let [low, high] = [from, to];
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      const read = await readJournal(this.#nc, partition, middle);
      if (!read) throw new Refusal('unavailable', `record ${partition}:${middle} was purged meanwhile: ask again`);
      if (read.record.now <= time) low = middle;
      else high = middle - 1;
    }
    let last = from;
    let passed = false;
    const end = Math.min(to, low + tailWindow);
    await this.#records(partition, Math.max(from, low - tailWindow), end, undefined, ({ sequence, record }) => {
      if (isVoid(record) || passed) return;
      if (record.now <= time) last = sequence;
      else passed = true;
    });
    return last;
  }

  /** Where the oldest kept snapshot was finished. */
  async #oldestPointer(partition: number, first: number, last: number): Promise<number> {
    const store = snapshotStore(this.#nc, null, partition);
    for (const gen of (await store.generations()).toReversed()) {
      const j0 = (await snapshotStandsAt(store, gen))?.j0 ?? null;
      if (j0 === null || j0 + 1 < first) continue;
      for (let from = j0 + 1; from <= last; from += pieceMin) {
        let pointer = 0;
        await this.#records(partition, from, Math.min(last, from + pieceMin - 1), undefined, ({ sequence, record }) => {
          if (record.snapshot?.gen === gen) pointer = sequence;
        });
        if (pointer > 0) return pointer;
      }
    }
    throw new Refusal(
      'outside_window',
      `the journal of partition ${partition} begins at ${first}, and no snapshot reaches it`,
      {
        partition,
      },
    );
  }

  async #records(
    partition: number,
    from: number,
    to: number,
    signal: AbortSignal | undefined,
    take: (entry: JournalEntry) => void,
  ): Promise<void> {
    const journal = natsJournal(this.#nc, this.#partitions);
    const given = new Refusal(
      'took_too_long',
      'the search was ended at its time limit: name the kind, or a later moment',
    );
    if (signal?.aborted) throw given;
    let done: (error?: Error) => void = () => undefined;
    const whole = new Promise<Error | undefined>((resolve) => (done = resolve));
    const abort = () => done(given);
    signal?.addEventListener('abort', abort);
    const tail = await journal.tail(partition, from, (entry) => {
      if (entry.sequence <= to) take(entry);
      if (entry.sequence >= to) done();
    });
    try {
      const error = await Promise.race([whole, tail.ended]);
      if (error instanceof SequenceGone)
        throw new Refusal('unavailable', `partition ${partition} was purged meanwhile: ask again`);
      if (error) throw error;
    } finally {
      signal?.removeEventListener('abort', abort);
      await tail.stop();
    }
  }
}

const nameOf = ({ kind, id }: { kind: string; id: string }) => `${kind}|${id}`;

/** A record of a superseded owner, as the journal's reader shows it. */
const isVoid = ({ kind, cut, snapshot, entities }: CommitRecord) =>
  kind !== 'epoch' && cut === null && snapshot === null && entities.length === 0;

function outsideWindow(window: Window, asked: string): Refusal {
  const { partition, from, to } = window;
  const time = (ms: number) => new Date(ms).toISOString();
  return new Refusal(
    'outside_window',
    to.sequence === 0
      ? `partition ${partition} has no records yet`
      : `${asked} lies outside of what is kept of partition ${partition}: ` +
          `${partition}:${from.sequence} (${time(from.time)}) to ${partition}:${to.sequence} (${time(to.time)})`,
    { asked, window },
  );
}

/**
 * `p:seq`, a time as ISO 8601 or as unix ms, or nothing for now.
 * @throws {Refusal} `bad_request`
 */
export function momentOf(text: string | undefined, partitions: number): Moment {
  if (text === undefined || text === 'now') return 'now';
  const place = /^(\d{1,5}):(\d{1,15})$/.exec(text);
  if (place) {
    const [partition, sequence] = [Number(place[1]), Number(place[2])];
    if (partition < partitions) return { partition, sequence };
    throw new Refusal('bad_request', `there is no partition ${partition}: 0 to ${partitions - 1}`);
  }
  const time = /^\d{12,14}$/.test(text) ? Number(text) : /^\d{4}-\d{2}-\d{2}/.test(text) ? Date.parse(text) : NaN;
  if (Number.isNaN(time))
    throw new Refusal(
      'bad_request',
      `'${text}' is no moment: <partition>:<sequence>, 2026-01-31T12:00:00Z, or unix ms`,
    );
  return { time };
}
