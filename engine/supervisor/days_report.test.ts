import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestClickHouse, type TestClickHouse } from '../embedded/clickhouse/testing.ts';
import { dateTime } from '../history/place.ts';
import { openHistory, type HistoryRows, type HistoryStore } from '../history/mod.ts';
import { daysReport, reportLines } from './days_report.ts';
import { Playback } from './playback.ts';

const from = Date.UTC(2019, 4, 15, 14);
const slot = 12_000;
let server: TestClickHouse;
let history: HistoryStore;

beforeAll(async () => {
  server = await startTestClickHouse();
  history = await openHistory(server);
});
afterAll(async () => {
  await history?.close();
  await server?.stop();
});

/** The price that slot `n` after `from` begins with: it shows the load of the slot before. */
const price = (n: number, loadW: number): HistoryRows['prices'] => ({
  station: 'jpl-1',
  slot: from / slot + n,
  produced_at: dateTime(from + n * slot),
  valid_until: dateTime(from + (n + 2) * slot),
  load_w: loadW,
  capacity_w: 195_000,
  utilisation_bp: Math.ceil((loadW * 10_000) / 195_000),
  tier: 'normal',
  import_open: true,
  price_e5_sek_per_kwh: 100_000,
  partition: 1,
  sequence: n,
  index: 0,
});
const session = (transaction: number, energy: number, stop: number, endedAt: number): HistoryRows['sessions'] => ({
  site: 'jpl',
  station: 'jpl-1',
  charger: `CP-${transaction}`,
  connector: 1,
  transaction,
  tag: 'A',
  started_at: dateTime(from),
  ended_at: dateTime(endedAt),
  received_at: dateTime(endedAt),
  meter_start_wh: 1_000,
  meter_stop_wh: stop,
  energy_wh: energy,
  reason: 'Local',
  flags: [],
  version: 1,
  partition: 1,
  sequence: transaction,
  index: 0,
});

test('peak, minutes by load, sessions and ledgers are those of the history', async () => {
  // Nobody there · 5 slots of 100 kW · 10 at 100.00 % · 15 of 310.2 kW · the last cars stand there without charging.
  const loads = [
    0,
    ...Array(5).fill(100_000),
    ...Array(10).fill(195_000),
    ...Array(15).fill(310_200),
    0,
    0,
  ] as number[];
  await history.insert(
    'prices',
    loads.map((load, n) => price(n, load)),
  );
  const end = from + loads.length * slot;
  await history.insert('sessions', [session(1, 500, 1_500, end), session(2, 700, 1_698, end)]);
  const report = await daysReport(history.client, {
    at: end,
    sessions: 2,
    energyWh: 1_198,
    wallMs: 61_000,
    zone: 'UTC',
  });
  expect(report.stations).toEqual([
    {
      station: 'jpl-1',
      capacityW: 195_000,
      fromAt: from,
      untilAt: from + 30 * slot,
      peakW: 310_200,
      peakBp: 15_908,
      peakAt: from + 15 * slot,
      minutes: { normal: 1, double: 2, triple: 0, capped: 3 },
    },
  ]);
  expect(report.sessions).toEqual({ ended: 2, energyWh: 1_200, doubled: 0, unlikeRegisters: 1 });
  expect(report.ledgers).toEqual([]);
  expect(reportLines(report).join('\n')).toContain('peak 310.2 kW = 159.1 % of 195 kW at 2019-05-15 14:03');
});

test('progress is told now and then, and the end once', async () => {
  const said: string[] = [];
  const playback = new Playback((line) => said.push(line));
  playback.heard('{"ready":true}');
  playback.heard(`{"progress":{"at":${from},"fraction":0.3301,"sessions":12}}`);
  playback.heard(`{"progress":{"at":${from},"fraction":0.3302,"sessions":13}}`);
  expect(said).toEqual(['   33.0 %   2019-05-15 14:00 UTC   12 sessions ended']);
  playback.heard(`{"finished":{"at":${from},"sessions":391,"energyWh":5797600}}`);
  expect(await playback.finished).toEqual({ at: from, sessions: 391, energyWh: 5_797_600 });
});
