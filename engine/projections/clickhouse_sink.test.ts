import { afterAll, beforeAll, expect, test } from 'vitest';
import { jetstreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { HistoryRefused } from '../history/errors.ts';
import { connectLog, provision } from '../log/mod.ts';
import { startTestNats, type TestNats } from '../log/testing.ts';
import { startClickhouseSink, type ClickhouseSinkOptions, type Row, type SinkStore } from './clickhouse_sink.ts';
import { natsJournal } from './journal.ts';
import { journalWriter, meterEvent, seededRandom, until } from './testing.ts';

const partitions = 2;
let nats: TestNats;
let nc: NatsConnection;

beforeAll(async () => {
  nats = await startTestNats();
  nc = await connectLog(nats.url, 'test');
});
afterAll(async () => {
  await nc.close();
  await nats.stop();
});

/** A history in memory that fails as told, and checks that a position never comes before its rows. */
function memoryStore(fails: () => boolean = () => false) {
  const inserts: Row[][] = [];
  const positions = new Map<number, number>();
  let inFlight = 0;
  const store: SinkStore = {
    async insert(_, rows) {
      inFlight += 1;
      expect(inFlight).toBe(1);
      await new Promise((resolve) => setImmediate(resolve));
      inFlight -= 1;
      if (fails()) throw new Error('history is away');
      inserts.push(rows);
      // A fault after the rows are in: the sink cannot know.
      if (fails()) throw new Error('answer lost');
    },
    putAside: () => Promise.reject(new Error('nothing is refused here')),
    readPositions: () => Promise.resolve(positions),
    writePositions(moved) {
      if (fails()) return Promise.reject(new Error('history is away'));
      for (const [p, sequence] of moved) positions.set(p, sequence);
      return Promise.resolve();
    },
  };
  const ids = () => inserts.flat().map((row) => (row as { id: string }).id);
  return { store, positions, inserts, ids };
}

/** One row per sample. */
const rowsOf: ClickhouseSinkOptions['rowsOf'] = (event, { partition, sequence, index }) => {
  if (event.kind === 'charger') throw new Error('no such row');
  if (event.kind !== 'meter') return undefined;
  return {
    table: 'meter_values',
    rows: event.payload.samples.map((_, s) => ({ id: `${partition}:${sequence}:${index}:${s}` })),
  };
};

async function fresh() {
  const jsm = await jetstreamManager(nc);
  for (let p = 0; p < partitions; p++) await jsm.streams.delete(`J_${p}`).catch(() => undefined);
  await provision(nc, { partitions, scale: 0.05 });
  const writers = [journalWriter(nc, 0), journalWriter(nc, 1)] as const;
  const expected: string[] = [];
  const write = async (partition: 0 | 1, meters: number) => {
    const { sequence } = await writers[partition].append({
      events: Array.from({ length: meters }, (_, i) => meterEvent(`c${i}`, i)),
    });
    for (let i = 0; i < meters; i++)
      expected.push(`${partition}:${sequence}:${i}:0`, `${partition}:${sequence}:${i}:1`);
  };
  const fatal: Error[] = [];
  const start = (store: SinkStore, options: Partial<ClickhouseSinkOptions> = {}) =>
    startClickhouseSink(store, natsJournal(nc, partitions), { rowsOf, onFatal: (e) => fatal.push(e), ...options });
  return { write, expected, start, fatal };
}

test('rows of all partitions go in one insert a moment later, and their positions follow', async () => {
  const { write, start } = await fresh();
  const { store, inserts, positions, ids } = memoryStore();
  const sink = await start(store);
  const began = Date.now();
  await Promise.all([write(0, 1), write(1, 1)]);
  await until('inserted', () => inserts.length > 0);
  expect(Date.now() - began).toBeGreaterThanOrEqual(200);
  expect(inserts).toHaveLength(1);
  expect(ids().sort()).toEqual(['0:1:0:0', '0:1:0:1', '1:1:0:0', '1:1:0:1']);
  await until('positions', () => positions.size === 2);
  expect(sink.positions().sort()).toEqual([
    [0, 1],
    [1, 1],
  ]);
  await sink.close();
});

test('a full batch does not wait, and no insert is much larger than the bound', async () => {
  const { write, start, expected } = await fresh();
  for (let i = 0; i < 60; i++) await write((i % 2) as 0 | 1, 10);
  const { store, inserts, ids } = memoryStore();
  const sink = await start(store, { rowsMax: 100, lingerMs: 60_000 });
  await until('inserted', () => inserts.length >= 11);
  await sink.close();
  expect(ids().sort()).toEqual([...expected].sort());
  for (const rows of inserts) expect(rows.length).toBeLessThanOrEqual(120);
});

test('a history that is away makes the sink wait: nothing is lost, memory stays bounded, the position never passes the rows', async () => {
  const seed = Date.now() % 100_000;
  const random = seededRandom(seed);
  const { write, start, expected, fatal } = await fresh();
  let away = true;
  const { store, positions, ids } = memoryStore(() => away || random() < 0.05);
  let troubles = 0;
  const sink = await start(store, { rowsMax: 50, lingerMs: 20, onTrouble: () => (troubles += 1) });
  for (let i = 0; i < 100; i++) await write((i % 2) as 0 | 1, 5);
  await until('troubles', () => troubles >= 3);
  expect(sink.stats().waiting).toBeLessThanOrEqual(60);
  expect(positions.size).toBe(0);
  away = false;
  await until(`seed ${seed}: all in`, () => positions.get(0) === 50 && positions.get(1) === 50);
  expect([...new Set(ids())].sort()).toEqual([...expected].sort());
  expect(fatal).toEqual([]);
  await sink.close();
});

test('a row that the history refuses for good goes aside with the reason, and everything else goes on', async () => {
  const { write, start, expected } = await fresh();
  const { store, positions, ids } = memoryStore();
  const bad = '0:2:1:0';
  const aside: unknown[] = [];
  const told: unknown[] = [];
  const refusing: SinkStore = {
    ...store,
    insert(table, rows) {
      if (rows.some((row) => (row as { id: string }).id === bad))
        return Promise.reject(new HistoryRefused('out of range', { isAboutData: true }));
      return store.insert(table, rows);
    },
    putAside(rows) {
      // Before the position passes it.
      expect(positions.get(0) ?? 0).toBeLessThan(2);
      aside.push(...rows);
      return Promise.resolve();
    },
  };
  const sink = await start(refusing, { lingerMs: 10, positionsMs: 0, onAside: (detail) => told.push(detail) });
  for (let i = 0; i < 4; i++) await write(0, 3);
  await until('all in', () => positions.get(0) === 4);
  expect(aside).toEqual([{ table: 'meter_values', row: { id: bad }, reason: 'out of range' }]);
  expect(told).toEqual([{ table: 'meter_values', reason: 'out of range' }]);
  expect(sink.stats().aside).toBe(1);
  expect([...new Set(ids())].sort()).toEqual(expected.filter((id) => id !== bad).sort());
  await sink.close();
});

test('a sink starts behind its stored positions, and refuses a journal that ends before them', async () => {
  const { write, start } = await fresh();
  for (let i = 0; i < 4; i++) await write(0, 1);
  const { store, positions, ids } = memoryStore();
  positions.set(0, 3);
  const sink = await start(store, { lingerMs: 10 });
  await until('inserted', () => ids().length > 0);
  expect(ids()).toEqual(['0:4:0:0', '0:4:0:1']);
  await sink.close();
  positions.set(0, 77);
  await expect(start(store)).rejects.toThrow('journal J_0 ends at 4, but ClickHouse has already seen 77');
});

test('positions follow their rows now and then, and all of them when the sink closes', async () => {
  const { write, start, expected } = await fresh();
  const { store, positions, ids } = memoryStore();
  const sink = await start(store, { lingerMs: 5, positionsMs: 60_000 });
  for (let i = 1; i <= 5; i++) {
    await write(0, 1);
    await until('inserted', () => ids().length === 2 * i);
  }
  expect(positions.get(0)).toBe(1);
  expect(sink.positions()).toEqual([[0, 1]]);
  await sink.close();
  expect(positions.get(0)).toBe(5);
  expect(ids()).toEqual(expected);
});

test('records without rows move the position too, so that the journal can be purged', async () => {
  const { write, start } = await fresh();
  const { store, positions } = memoryStore();
  const sink = await start(store, { idlePositionsMs: 30 });
  await write(1, 0);
  await until('moved', () => positions.get(1) === 1);
  await sink.close();
});
