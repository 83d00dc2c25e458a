/**
 * One moment of all journals: a journal sequence per partition, so that whatever one partition has applied of another's
 * relays, that other one has decided within its own part. Restored without it, the sender would number its relays anew, and
 * the receiver would take the first of them for what it has already: money gone, or there twice.
 *
 * A moment need not be stopped for: the ends of all journals are noted one after the other, three times. Some moment lies
 * between the first round and the second, and it is such a cut; so the newest one below the second round is above the
 * first, and only what lies between is looked at. The third round is above every relay that the second, or a
 * command log noted between the two, can have seen.
 */
import type { NatsConnection } from '@nats-io/transport-node';
import { commandBounds, journalBounds, readJournal } from '../log/mod.ts';
import { RecordFilter, tailWindow } from '../partition/record_filter.ts';
import { isRelay, relayWriter } from '../partition/state.ts';
import { natsJournal, partitionList } from '../projections/journal.ts';
import type { CommitRecord } from '../wire.ts';

/** Where a partition was: its newest record at the cut that counts. */
export interface CutAt {
  partition: number;
  /** The last sequence of the journal that belongs to it, whether it counts or not. */
  sequence: number;
  offset: number;
  epoch: number;
  batch: number;
  /** Of the chain, hex. */
  hash: string;
  /** The log's clock, unix ms. */
  now: number;
}

/** What passed between partitions in a stretch of one journal, by sequence. */
export interface Passed {
  /** Relays decided here. */
  made: [sequence: number, to: number, relay: number][];
  /** Up to which relay of another partition everything is applied. */
  applied: [sequence: number, from: number, relay: number][];
}

/** The newest cut at or below the given ends in which no partition has applied what its sender has not decided. */
export function closedBelow(ends: readonly number[], passed: readonly Passed[]): number[] {
  const cut = [...ends];
  for (let changed = true; changed;) {
    changed = false;
    for (const [q, { applied }] of passed.entries()) {
      for (const [sequence, p, relay] of applied) {
        if (sequence > cut[q]!) break;
        const isUndecided = passed[p]?.made.some(([at, to, number]) => at > cut[p]! && to === q && number <= relay);
        if (!isUndecided) continue;
        cut[q] = sequence - 1;
        changed = true;
        break;
      }
    }
  }
  return cut;
}

export interface ClosedCut {
  /** Per partition: the last sequence of its journal that belongs to it. */
  ends: number[];
  /** Per partition: a sequence of its command log; all relays that the cut knows to be stored there are at or below it. */
  commands: number[];
  /** Per sender and receiver: the first relay that was decided behind the cut and may be in those command logs already. */
  behind: (number | undefined)[][];
}

/** The newest cut there is. */
export async function closedCut(nc: NatsConnection, partitions: number): Promise<ClosedCut> {
  const round = async () => {
    const ends: number[] = [];
    for (const p of partitionList(partitions)) ends.push((await journalBounds(nc, p)).last);
    return ends;
  };
  const below = await round();
  const ends = await round();
  const commands: number[] = [];
  for (const p of partitionList(partitions)) commands.push((await commandBounds(nc, p)).last);
  const above = await round();
  const passed = await Promise.all(
    partitionList(partitions).map((p) => passedIn(nc, partitions, p, below[p]!, above[p]!)),
  );
  const cut = closedBelow(ends, passed);
  const behind = passed.map(({ made }, p) => {
    const first: (number | undefined)[] = [];
    for (const [at, to, relay] of made) if (at > cut[p]!) first[to] = Math.min(first[to] ?? Infinity, relay);
    return first;
  });
  return { ends: cut, commands, behind };
}

const writers = (partitions: number) => new Map(partitionList(partitions).map((p) => [relayWriter(p), p]));

async function passedIn(
  nc: NatsConnection,
  partitions: number,
  partition: number,
  after: number,
  last: number,
): Promise<Passed> {
  const passed: Passed = { made: [], applied: [] };
  if (last <= after) return passed;
  const senders = writers(partitions);
  let finish!: () => void;
  const complete = new Promise<void>((resolve) => (finish = resolve));
  const tail = await natsJournal(nc, partitions).tail(partition, after + 1, ({ sequence, record }) => {
    if (sequence > last) return;
    for (const { to, seq } of record.relays) passed.made.push([sequence, to, seq]);
    for (const [writer, seq] of Object.entries(record.writers))
      if (isRelay(writer)) passed.applied.push([sequence, senders.get(writer)!, seq]);
    if (sequence === last) finish();
  });
  const error = await Promise.race([complete, tail.ended]);
  await tail.stop();
  if (error) throw error;
  return passed;
}

/** What a partition's journal says of itself at a sequence; null when it is empty up to there. */
export async function cutAt(nc: NatsConnection, partition: number, sequence: number): Promise<CutAt | null> {
  const { first } = await journalBounds(nc, partition);
  const window: CommitRecord[] = [];
  for (let s = Math.max(first, sequence - tailWindow + 1, 1); s <= sequence; s++) {
    const stored = await readJournal(nc, partition, s);
    if (stored) window.push(stored.record);
  }
  if (window.length === 0) return null;
  const filter = RecordFilter.forWindow(window);
  const valid = window.filter((record) => filter.accepts(record)).at(-1);
  if (!valid) throw new Error(`partition ${partition}: no record below ${sequence} counts`);
  const { offset, epoch, batch, hash, now } = valid;
  return { partition, sequence, offset, epoch, batch, hash, now };
}
