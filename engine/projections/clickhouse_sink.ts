/**
 * Journal → ClickHouse. Rows of all partitions are gathered into one batch, inserted, and only then the positions are
 * written, now and then: an insert costs as much as thousands of rows. A crash in between inserts the same rows again: they
 * have the same (partition, sequence, index), so the views, which read the ReplacingMergeTree tables with FINAL, show each
 * once.
 *
 * Memory: one batch under way and one gathering; the journal's readers wait while both are full.
 */
import type { PublicEvent } from '#actors/schema/events';
import { failpoint } from '../failpoint.ts';
import type { JournalEntry, Origin } from '../wire.ts';
import type { Tracer } from '../telemetry/tracer.ts';
import { insertApart } from './insert_apart.ts';
import { JournalTails, nextSequence, partitionList, type JournalReader } from './journal.ts';

export type Row = object;

/** What the sink needs of the history; inserts may be repeated. */
export interface SinkStore {
  insert(table: string, rows: Row[]): Promise<unknown>;
  /** Keeps rows that their table refuses for ever, with the reason. */
  putAside(rows: { table: string; row: Row; reason: string }[]): Promise<unknown>;
  readPositions(): Promise<ReadonlyMap<number, number>>;
  writePositions(positions: Iterable<readonly [partition: number, sequence: number]>): Promise<unknown>;
}

export interface ClickhouseSinkOptions {
  rowsOf(
    event: PublicEvent,
    place: { partition: number; sequence: number; index: number },
  ): { table: string; rows: readonly Row[] } | undefined;
  /** The row that leads from the origin of an event to its rows. @default none are made */
  linkOf?(
    origin: Origin,
    made: { table: string; rows: readonly Row[] },
    at: number,
    place: { partition: number; sequence: number; index: number },
  ): Row;
  /** Gets a span of the way of each followed record into ClickHouse. */
  tracer?: Pick<Tracer, 'span'>;
  onFatal(error: Error): void;
  onTrouble?(detail: { error: string; waitMs: number; rows: number }): void;
  /** An event that `rowsOf` throws on: it stays in the journal and out of the history, the others go on. */
  onUnusable?(detail: { at: string; kind: string; error: string }): void;
  /** A row that ClickHouse refuses for ever: it is kept aside, the others go on. */
  onAside?(detail: { table: string; reason: string }): void;
  /** Records below `first` were purged before the sink saw them: the history lacks them. */
  onMissing?(detail: { partition: number; from: number; first: number }): void;
  /** @default 20,000 */
  rowsMax?: number;
  /** @default 8 MiB, estimated */
  bytesMax?: number;
  /** Oldest row to insert, at most. @default 300 */
  lingerMs?: number;
  /** Positions of stored rows are written no more often than this. @default 2,000 */
  positionsMs?: number;
  /** Positions without rows are written at the latest after this. @default 5,000 */
  idlePositionsMs?: number;
}

export interface ClickhouseSink {
  /** Per partition: up to where rows and position are in ClickHouse. */
  positions(): [partition: number, sequence: number][];
  /** Rows inserted, repeated ones included, rows that wait, and rows that were refused and put aside. */
  stats(): { rows: number; waiting: number; aside: number };
  /** Inserts what is gathered (bounded to one try) and stops. */
  close(): Promise<void>;
}

const linkTable = 'correlations';
const retryMsMin = 100;
const retryMsMax = 5_000;

class Batch {
  readonly tables = new Map<string, Row[]>();
  readonly positions = new Map<number, number>();
  /** Of followed records: context, when it was read (unix ms), where it stands. */
  readonly traced: { context: string; at: number; partition: number; sequence: number }[] = [];
  rows = 0;
  bytes = 0;

  add(table: string, rows: readonly Row[]): void {
    const gathered = this.tables.get(table);
    if (gathered) for (const row of rows) gathered.push(row);
    else this.tables.set(table, rows.slice());
    this.rows += rows.length;
    // Rows of one event are alike.
    this.bytes += rows.length * estimateBytes(rows[0] as Row);
  }

  /** The rows are stored: a retry only concerns the positions. */
  forget(): void {
    this.tables.clear();
    this.rows = 0;
  }
}

/** About the row's size as JSON, without making it. */
function estimateBytes(row: Row): number {
  let bytes = 2;
  for (const name in row) {
    const value = (row as Record<string, unknown>)[name];
    bytes += name.length + 12;
    if (typeof value === 'string') bytes += value.length;
    else if (typeof value === 'object' && value !== null) bytes += JSON.stringify(value).length;
  }
  return bytes;
}

/** Starts at the stored positions. Throws {@link ProjectionStopped} when the journal is older than they are. */
export async function startClickhouseSink(
  store: SinkStore,
  journal: JournalReader,
  options: ClickhouseSinkOptions,
): Promise<ClickhouseSink> {
  const { rowsMax = 20_000, bytesMax = 8 * 1024 * 1024, lingerMs = 300 } = options;
  const { positionsMs = 2_000, idlePositionsMs = 5_000 } = options;
  const written = new Map(await store.readPositions());
  const tails = new JournalTails();
  let gathering = new Batch();
  let inserting: Promise<void> | null = null;
  let inserted = 0;
  let aside = 0;
  let positionsAt = -Infinity;
  let timer: NodeJS.Timeout | undefined;
  let timerDue = Infinity;
  let state: 'running' | 'closing' | 'closed' = 'running';

  const insertAll = async (table: string, rows: Row[]) => {
    const refused = await insertApart(rows, (part) => store.insert(table, part));
    if (refused.length === 0) return;
    // Kept before the position passes them: what is refused is not lost either.
    await store.putAside(refused.map(({ row, reason }) => ({ table, row, reason })));
    aside += refused.length;
    for (const { reason } of refused) options.onAside?.({ table, reason });
  };

  const write = async (batch: Batch) => {
    for (let waitMs = retryMsMin; ; waitMs = Math.min(waitMs * 2, retryMsMax)) {
      try {
        // Rows first: a position without its rows would lose them.
        await Promise.all([...batch.tables].map(([table, rows]) => insertAll(table, rows)));
        if (batch.rows > 0) failpoint('history.inserted');
        inserted += batch.rows;
        for (const { context, at, ...place } of batch.traced.splice(0))
          options.tracer?.span(context, 'sink', at, Date.now(), { ...place, rows: batch.rows });
        batch.forget();
        if (state === 'running' && performance.now() - positionsAt < positionsMs) {
          // Whatever the next batch brings is behind these.
          for (const [p, sequence] of batch.positions)
            if (!gathering.positions.has(p)) gathering.positions.set(p, sequence);
          return;
        }
        await store.writePositions(batch.positions);
        for (const [p, sequence] of batch.positions) written.set(p, sequence);
        positionsAt = performance.now();
        return;
      } catch (error) {
        options.onTrouble?.({ error: String(error), waitMs, rows: batch.rows });
        if (state !== 'running') throw error;
        await new Promise((resolve) => setTimeout(resolve, waitMs));
        if (state !== 'running') throw error;
      }
    }
  };

  /** Starts the next insert if none is under way. */
  const flush = () => {
    if (inserting || gathering.positions.size === 0 || state === 'closed') return;
    clearTimeout(timer);
    timer = undefined;
    timerDue = Infinity;
    const batch = gathering;
    gathering = new Batch();
    inserting = write(batch)
      .catch(() => undefined)
      .then(() => {
        inserting = null;
        if (isFull()) flush();
        else if (gathering.rows > 0) schedule(lingerMs);
        else if (gathering.positions.size > 0) schedule(Math.min(positionsMs, idlePositionsMs));
      });
  };
  const isFull = () => gathering.rows >= rowsMax || gathering.bytes >= bytesMax;
  const schedule = (afterMs: number) => {
    const due = Date.now() + afterMs;
    if (due >= timerDue) return;
    clearTimeout(timer);
    timerDue = due;
    timer = setTimeout(flush, afterMs);
  };

  const onEntry = async (entry: JournalEntry) => {
    while (isFull() && state === 'running') {
      flush();
      await inserting;
    }
    if (state !== 'running') return;
    const rows = gathering.rows;
    const { partition, sequence, record } = entry;
    let origins = 0;
    for (const [index, event] of record.events.entries()) {
      let origin = record.origins[origins];
      if (origin && index >= origin.first + origin.count) origin = record.origins[++origins];
      try {
        const made = options.rowsOf(event, { partition, sequence, index });
        if (!made || made.rows.length === 0) continue;
        gathering.add(made.table, made.rows);
        if (origin && index >= origin.first && options.linkOf)
          gathering.add(linkTable, [options.linkOf(origin, made, record.now, { partition, sequence, index })]);
      } catch (error) {
        options.onUnusable?.({ at: `${partition}:${sequence}:${index}`, kind: event.kind, error: String(error) });
      }
    }
    if (record.traces && options.tracer)
      for (const context of record.traces) gathering.traced.push({ context, at: Date.now(), partition, sequence });
    gathering.positions.set(partition, sequence);
    if (isFull()) flush();
    else if (!inserting) schedule(gathering.rows > rows ? lingerMs : idlePositionsMs);
  };

  const from = new Map<number, number>();
  for (const p of partitionList(journal.partitions)) {
    const position = written.get(p) ?? null;
    const start = nextSequence('ClickHouse', p, position, await journal.bounds(p));
    if (start.missing) options.onMissing?.({ partition: p, from: start.next, first: start.first });
    from.set(p, start.missing ? start.first : start.next);
  }
  let failed = false;
  await tails.start(journal, from, onEntry, (error) => {
    if (failed) return;
    failed = true;
    options.onFatal(error);
  });

  return {
    positions: () => [...written],
    stats: () => ({ rows: inserted, waiting: gathering.rows, aside }),
    async close() {
      if (state !== 'running') return;
      state = 'closing';
      await tails.stop();
      await inserting;
      flush();
      await inserting;
      state = 'closed';
      clearTimeout(timer);
    },
  };
}
