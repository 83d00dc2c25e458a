/**
 * Energy per session and quarter of an hour, made from what the history stores about a session once it has ended, and made
 * anew when it is settled again or a late sample comes.
 *
 * R1 What is to be made is known by session; the position is written only when everything stored up to it has been made.
 * R2 A run that is repeated writes the same rows, so a kill anywhere costs a repetition and nothing else.
 * R3 Runs take at most a sixth of the time, however much there is to do.
 */
import type { HistoryStore, SessionKey } from '../history/mod.ts';
import type { HistoryRows } from '../history/rows.ts';
import { consumptionReader } from './sinks.ts';

export type RollupStore = Pick<
  HistoryStore,
  'readReaderPositions' | 'writeReaderPositions' | 'sessionsSince' | 'consumptionRows'
> & { insert(table: 'consumption', rows: HistoryRows['consumption'][]): Promise<unknown> };

export interface RollupOptions {
  onTrouble?(detail: { error: string; waitMs: number }): void;
  /** Least time from the end of one run to the next. @default 2,000 */
  everyMs?: number;
  /** How much longer than a run the rest behind it is. @default 5 */
  rest?: number;
  /** Sessions that are known to be made; beyond so many they are looked up in the history instead. @default 100,000 */
  dirtyMax?: number;
  /** Sessions looked up for one run. @default 5,000 */
  pageMax?: number;
}

export interface ConsumptionRollup {
  /** Rows that are stored now. */
  stored(table: string, rows: readonly object[]): void;
  /** Everything up to these journal sequences has been told by `stored`. */
  reached(positions: Iterable<readonly [partition: number, sequence: number]>): void;
  /** Ends after the run under way. */
  close(): Promise<void>;
}

/** Sessions of one run; what is behind waits for the next. */
const sessionsPerRun = 200;
const runningMax = 100_000;
const retryMsMax = 30_000;

const keyOf = ({ charger, transaction }: SessionKey) => `${transaction}/${charger}`;

export async function startConsumptionRollup(
  store: RollupStore,
  { onTrouble, everyMs = 2_000, rest = 5, dirtyMax = 100_000, pageMax = 5_000 }: RollupOptions = {},
): Promise<ConsumptionRollup> {
  const written = new Map(await store.readReaderPositions(consumptionReader));
  const dirty = new Map<string, SessionKey>();
  /** Sessions that are known to run: their samples change nothing yet. */
  const running = new Set<string>();
  /** Sessions of the run under way: what is stored of them meanwhile it may not have read. */
  let making: ReadonlySet<string> = new Set();
  let told = new Map<number, number>();
  /** Some are not known: they have to be looked up, a page in each run, */
  let lost = true;
  /** behind the last one that was. */
  let search: { after: SessionKey | null } | null = null;
  let closed = false;
  let working: Promise<void> | null = null;
  let timer: NodeJS.Timeout | undefined;

  const mark = ({ charger, transaction }: SessionKey) => {
    const key = keyOf({ charger, transaction });
    if (dirty.size < dirtyMax || dirty.has(key)) dirty.set(key, { charger, transaction });
    else lost = true;
  };

  const make = async (keys: readonly (readonly [string, SessionKey])[]) => {
    for (let i = 0; i < keys.length && !closed; i += sessionsPerRun) {
      const part = keys.slice(i, i + sessionsPerRun);
      for (const [key] of part) dirty.delete(key);
      making = new Set(part.map(([key]) => key));
      try {
        const { rows, ended } = await store.consumptionRows(part.map(([, session]) => session));
        if (rows.length > 0) await store.insert('consumption', rows);
        const made = new Set(ended.map(keyOf));
        if (running.size > runningMax) running.clear();
        for (const [key] of part) {
          if (made.has(key)) running.delete(key);
          else if (!dirty.has(key)) running.add(key);
        }
      } catch (error) {
        for (const [, session] of part) mark(session);
        throw error;
      } finally {
        making = new Set();
      }
    }
  };

  /** Makes what is to be made now. */
  const run = async () => {
    const reached = told;
    if (search === null && lost) {
      lost = false;
      search = { after: null };
    }
    if (search !== null) {
      const page = await store.sessionsSince(written, search.after, pageMax);
      await make(page.map((session) => [keyOf(session), session]));
      if (closed) return;
      search = page.length < pageMax ? null : { after: page.at(-1)! };
    }
    // Whatever is told from here on belongs to a later position.
    await make([...dirty]);
    if (closed || lost || search !== null || reached.size === 0) return;
    await store.writeReaderPositions(consumptionReader, reached);
    for (const [p, sequence] of reached) written.set(p, sequence);
    if (told === reached) told = new Map();
  };

  let waitMs = everyMs;
  const schedule = (afterMs: number) => {
    if (closed || timer || working) return;
    timer = setTimeout(() => {
      timer = undefined;
      const started = performance.now();
      working = run()
        .then(
          () => {
            waitMs = Math.max(everyMs, (performance.now() - started) * rest);
          },
          (error: unknown) => {
            waitMs = Math.min(Math.max(waitMs * 2, everyMs), retryMsMax);
            onTrouble?.({ error: String(error), waitMs });
          },
        )
        .finally(() => {
          working = null;
          if (dirty.size > 0 || lost || search !== null || told.size > 0) schedule(waitMs);
        });
    }, afterMs);
  };
  schedule(0);

  return {
    stored(table, rows) {
      if (table === 'sessions') {
        for (const session of rows as HistoryRows['sessions'][]) {
          running.delete(keyOf(session));
          mark(session);
        }
      } else if (table === 'session_starts') {
        for (const session of rows as HistoryRows['session_starts'][])
          if (running.size < runningMax) running.add(keyOf(session));
      } else if (table === 'meter_values') {
        for (const { charger, transaction } of rows as HistoryRows['meter_values'][]) {
          if (transaction === null) continue;
          const session = { charger, transaction };
          if (making.has(keyOf(session)) || !running.has(keyOf(session))) mark(session);
        }
      } else return;
      if (dirty.size > 0) schedule(waitMs);
    },
    reached(positions) {
      told = new Map([...told, ...positions]);
      schedule(waitMs);
    },
    async close() {
      closed = true;
      clearTimeout(timer);
      await working;
    },
  };
}
