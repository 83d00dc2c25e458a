/** How a projection reads the journal: bounds and an ordered, gapless tail per partition. */
import type { NatsConnection } from '@nats-io/transport-node';
import { journalBounds, tailJournal } from '../log/mod.ts';
import { RecordFilter, tailWindow } from '../partition/record_filter.ts';
import { noContent, type CommitRecord, type JournalEntry } from '../wire.ts';

export interface JournalReader {
  readonly partitions: number;
  /** First and last stored sequence; an empty journal has last = first − 1 or 0. */
  bounds(partition: number): Promise<{ first: number; last: number }>;
  /** Calls `onEntry` for every record from `from` on, in order, one at a time. */
  tail(partition: number, from: number, onEntry: OnEntry): Promise<JournalTail>;
}

export type OnEntry = (entry: JournalEntry) => void | Promise<void>;

export interface JournalTail {
  /** Resolves when the tail has ended: with an error (purged, went back, `onEntry` threw) or without (stopped). */
  readonly ended: Promise<Error | undefined>;
  stop(): Promise<void>;
}

/** Read ahead per tail; all tails of a process together stay within partitions × readers × about twice this. */
const windowBytes = 512 * 1024;

/** The journal in NATS, strays voided. */
export function natsJournal(nc: NatsConnection, partitions: number): JournalReader {
  return validRecords({
    partitions,
    bounds: (partition) => journalBounds(nc, partition),
    tail: (partition, from, onEntry) => tailJournal(nc, partition, from, onEntry, { windowBytes }),
  });
}

/**
 * Records that do not count (appended by a superseded owner, see {@link RecordFilter}) are delivered empty: positions pass
 * over them and nothing of them is shown. Begins a few records early, to know which record counted last.
 */
export function validRecords(inner: JournalReader): JournalReader {
  return {
    partitions: inner.partitions,
    bounds: (partition) => inner.bounds(partition),
    async tail(partition, from, onEntry) {
      const { first } = await inner.bounds(partition);
      const start = Math.min(from, Math.max(first, from - tailWindow, 1));
      const before: Pick<CommitRecord, 'epoch' | 'batch'>[] = [];
      let filter: RecordFilter | undefined;
      return inner.tail(partition, start, (entry) => {
        if (entry.sequence < from) return void before.push({ epoch: entry.record.epoch, batch: entry.record.batch });
        filter ??= filterBehind(before, entry);
        return onEntry(filter.accepts(entry.record) ? entry : { ...entry, record: voided(entry.record) });
      });
    },
  };
}

function filterBehind(
  before: readonly Pick<CommitRecord, 'epoch' | 'batch'>[],
  { sequence, record: { epoch, batch } }: JournalEntry,
): RecordFilter {
  if (before.length > 0) {
    const filter = RecordFilter.forWindow(before);
    for (const record of before) filter.accepts(record);
    return filter;
  }
  if (sequence === 1) return new RecordFilter();
  // Everything before it was purged, so it has been snapshotted: it counts.
  return new RecordFilter(batch === 0 ? { epoch: epoch - 1, batch: 0 } : { epoch, batch: batch - 1 });
}

const voided = (record: CommitRecord): CommitRecord => ({
  ...record,
  ...noContent(),
});

/** A projection that must not go on; its process ends with this message and is started again. */
export class ProjectionStopped extends Error {
  override readonly name = 'ProjectionStopped';
  readonly code: StopCode;
  constructor(code: StopCode, message: string) {
    super(message);
    this.code = code;
  }
}

type StopCode =
  'journal_went_back' | 'journal_purged' | 'other_writer' | 'stream_went_back' | 'unknown_entity_kind' | 'newer_schema';

/**
 * Where a projection that stands at `position` (null = it holds nothing yet) goes on.
 * `missing` = records between its position and the first stored one have been purged.
 * Throws {@link ProjectionStopped} when the journal ends before the position: it was reset or restored.
 */
export function nextSequence(
  name: string,
  partition: number,
  position: number | null,
  bounds: { first: number; last: number },
) {
  const next = (position ?? 0) + 1;
  if (position !== null && bounds.last < position) {
    throw new ProjectionStopped(
      'journal_went_back',
      `journal J_${partition} ends at ${bounds.last}, but ${name} has already seen ${position}: the log went back in time ` +
        '(power cut, restored disk or another data directory). Restore the journal, or rebuild the projection from it',
    );
  }
  const first = Math.max(bounds.first, 1);
  const purged = () =>
    new ProjectionStopped(
      'journal_purged',
      `journal J_${partition} begins at ${first}, but ${name} needs ${next}: records were purged unseen`,
    );
  return { next, missing: first > next, first, purged };
}

/** All partition numbers below `partitions`. */
export const partitionList = (partitions: number): number[] => Array.from({ length: partitions }, (_, p) => p);

/**
 * Tails all partitions and reports the first failure of any of them, or of `onEntry`, once.
 * `from` gives the first sequence per partition.
 */
export class JournalTails {
  #tails: JournalTail[] = [];
  #stopped = false;
  #failed = false;

  async start(
    journal: JournalReader,
    from: ReadonlyMap<number, number>,
    onEntry: OnEntry,
    onFatal: (error: Error) => void,
  ): Promise<void> {
    await Promise.all(
      [...from].map(async ([partition, sequence]) => {
        const tail = await journal.tail(partition, sequence, (entry) => (this.#stopped ? undefined : onEntry(entry)));
        this.#tails.push(tail);
        void tail.ended.then((error) => {
          if (!error || this.#stopped || this.#failed) return;
          this.#failed = true;
          onFatal(error);
        });
      }),
    );
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#tails.map((tail) => tail.stop()));
  }
}
