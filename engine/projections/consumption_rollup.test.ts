import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestClickHouse, type TestClickHouse } from '../embedded/clickhouse/testing.ts';
import { openHistory, type HistoryStore } from '../history/mod.ts';
import type { HistoryRows } from '../history/rows.ts';
import { dateTime } from '../history/place.ts';
import { startConsumptionRollup, type RollupOptions, type RollupStore } from './consumption_rollup.ts';
import { seededRandom, until } from './testing.ts';

let clickhouse: TestClickHouse;
let history: HistoryStore;
const noon = Date.UTC(2026, 4, 15, 12);
const minute = 60_000;

beforeAll(async () => {
  clickhouse = await startTestClickHouse();
  history = await openHistory(clickhouse);
}, 120_000);
afterAll(async () => {
  await history.close();
  await clickhouse.stop();
});

let sequence = 0;
/** A session of one hour at 6 kW in partition 3. */
const begin = (charger: string, transaction: number): HistoryRows['session_starts'] => ({
  ...{ site: 'demo', station: 'nord-1', charger, connector: 1, transaction, tag: 'DEMO0001' },
  ...{ started_at: dateTime(noon), received_at: dateTime(noon), meter_start_wh: 0, flags: [] },
  ...{ partition: 3, sequence: ++sequence, index: 0 },
});
const end = (s: HistoryRows['session_starts'], energyWh: number, version = 1): HistoryRows['sessions'] => ({
  ...s,
  ...{ ended_at: dateTime(noon + 60 * minute), meter_stop_wh: energyWh, energy_wh: energyWh, reason: 'Local', version },
  sequence: ++sequence,
});
const sample = (s: HistoryRows['session_starts'], minutes: number, wh: number): HistoryRows['meter_values'] => ({
  ...{ site: s.site, station: s.station, charger: s.charger, connector: 1, transaction: s.transaction },
  ...{ sampled_at: dateTime(noon + minutes * minute), received_at: dateTime(noon + minutes * minute) },
  ...{
    measurand: 'Energy.Active.Import.Register',
    phase: '',
    location: 'Outlet',
    context: 'Sample.Periodic',
    unit: 'Wh',
  },
  ...{ value_raw: String(wh), power_w: null, energy_wh: wh, current_ma: null },
  ...{ partition: 3, sequence: ++sequence, index: 0 },
});

/** What the sink does: rows first, then the telling, then the position. */
async function store<T extends 'sessions' | 'session_starts' | 'meter_values'>(
  rollup: Awaited<ReturnType<typeof start>> | null,
  table: T,
  rows: HistoryRows[T][],
) {
  await history.insert(table, rows);
  rollup?.stored(table, rows);
  rollup?.reached([[3, sequence]]);
}
const start = (over: RollupStore = history, options: RollupOptions = {}) =>
  startConsumptionRollup(over, { everyMs: 20, rest: 0, ...options });
/** Wh of its quarters of an hour that hold some, in order: by session, then by time. */
const quarters = async (charger: string) => {
  const rows = await history.client.query({
    query: `SELECT toInt32(energy_wh) AS wh FROM gridtick.consumption WHERE charger = {charger:String} ORDER BY transaction, at`,
    query_params: { charger },
    format: 'JSONEachRow',
  });
  return (await rows.json<{ wh: number }>()).map(({ wh }) => wh);
};
const position = async () => (await history.readReaderPositions('consumption')).get(3);

test('a session counts once it has ended, and anew when it is settled again or sampled late', async () => {
  const rollup = await start();
  const s = begin('C-1', 1);
  await store(rollup, 'session_starts', [s]);
  await store(rollup, 'meter_values', [sample(s, 30, 3_000)]);
  await until('position', async () => (await position()) === sequence);
  expect(await quarters('C-1')).toEqual([]);
  await store(rollup, 'sessions', [end(s, 6_000)]);
  await until('ended', async () => (await quarters('C-1')).length === 4);
  expect(await quarters('C-1')).toEqual([1_500, 1_500, 1_500, 1_500]);
  await store(rollup, 'meter_values', [sample(s, 45, 3_000)]);
  // The third quarter holds nothing any more.
  await until('sampled late', async () => (await quarters('C-1')).length === 3);
  expect(await quarters('C-1')).toEqual([1_500, 1_500, 3_000]);
  await store(rollup, 'sessions', [end(s, 12_000, 2)]);
  await until('settled again', async () => (await quarters('C-1')).reduce((a, b) => a + b, 0) === 12_000);
  await rollup.close();
});

test('what came while nobody made it is found at the start, late samples included', async () => {
  const [a, b] = [begin('C-2', 2), begin('C-2', 3)];
  await store(null, 'session_starts', [a, b]);
  await store(null, 'sessions', [end(a, 100), end(b, 200)]);
  let rollup = await start();
  rollup.reached([[3, sequence]]);
  const reached = sequence;
  await until('made', async () => (await position()) === reached);
  expect((await quarters('C-2')).reduce((x, y) => x + y, 0)).toBe(300);
  await rollup.close();
  await store(null, 'meter_values', [sample(a, 59, 0)]);
  rollup = await start();
  await until('late sample', async () => (await quarters('C-2'))[0] === 100);
  expect(await quarters('C-2')).toEqual([100, 50, 50, 50, 50]);
  await rollup.close();
});

test('more sessions than it can keep in mind are looked up page by page, also those that come meanwhile', async () => {
  const chargers = Array.from({ length: 25 }, (_, i) => `C-P-${i}`);
  const sessions = chargers.map((charger) => begin(charger, 50));
  const ends = sessions.map((s) => end(s, 4_000));
  await store(null, 'session_starts', sessions);
  await store(null, 'sessions', ends.slice(0, 13));
  const rollup = await start(history, { dirtyMax: 3, pageMax: 4 });
  await store(rollup, 'sessions', ends.slice(13));
  await until('made', async () => (await position()) === sequence);
  for (const charger of chargers)
    expect([charger, await quarters(charger)]).toEqual([charger, [1_000, 1_000, 1_000, 1_000]]);
  await rollup.close();
});

test('what is stored of a session while it is being made is not overlooked', async () => {
  const read: (() => void)[] = [];
  const slow: RollupStore = {
    readReaderPositions: (reader) => history.readReaderPositions(reader),
    writeReaderPositions: (reader, positions) => history.writeReaderPositions(reader, positions),
    sessionsSince: (...page) => history.sessionsSince(...page),
    insert: (table, rows) => history.insert(table, rows),
    async consumptionRows(sessions) {
      const made = await history.consumptionRows(sessions);
      await new Promise<void>((resolve) => read.push(resolve));
      return made;
    },
  };
  const rollup = await start(slow);
  const s = begin('C-M', 4);
  await store(rollup, 'meter_values', [sample(s, 30, 3_000)]);
  await until('read while it runs', async () => Promise.resolve(read.length === 1));
  await store(rollup, 'sessions', [end(s, 6_000)]);
  read.shift()!();
  await until('read when it has ended', async () => Promise.resolve(read.length === 1));
  await store(rollup, 'meter_values', [sample(s, 45, 3_000)]);
  read.shift()!();
  await until('read again', async () => Promise.resolve(read.length === 1));
  read.shift()!();
  await until('made', async () => (await position()) === sequence);
  expect(await quarters('C-M')).toEqual([1_500, 1_500, 3_000]);
  await rollup.close();
});

test('stopped at any moment, again and again, each session comes to its energy', async () => {
  const seed = Date.now() % 100_000;
  const random = seededRandom(seed);
  const chargers = Array.from({ length: 30 }, (_, i) => `C-K-${i}`);
  const killed = (): RollupStore => {
    let left = 1 + Math.floor(random() * 4);
    const alive = <T>(work: () => Promise<T>) => (left-- > 0 ? work() : Promise.reject(new Error('killed')));
    return {
      readReaderPositions: (reader) => history.readReaderPositions(reader),
      sessionsSince: (...page) => alive(() => history.sessionsSince(...page)),
      consumptionRows: (sessions) => alive(() => history.consumptionRows(sessions)),
      insert: (table, rows) => alive(() => history.insert(table, rows)),
      writeReaderPositions: (reader, positions) => alive(() => history.writeReaderPositions(reader, positions)),
    };
  };
  for (let round = 0; round < 6; round++) {
    let died = false;
    const rollup = await start(killed(), { onTrouble: () => (died = true) });
    for (const charger of chargers.slice(round * 5, round * 5 + 5)) {
      const s = begin(charger, 100);
      await store(rollup, 'session_starts', [s]);
      await store(rollup, 'sessions', [end(s, 4_000)]);
    }
    await until(`seed ${seed}: killed or done`, async () => died || (await position()) === sequence);
    await rollup.close();
  }
  const rollup = await start();
  rollup.reached([[3, sequence]]);
  await until(`seed ${seed}: made`, async () => (await position()) === sequence);
  await rollup.close();
  for (const charger of chargers)
    expect([charger, await quarters(charger)]).toEqual([charger, [1_000, 1_000, 1_000, 1_000]]);
}, 90_000);
