/** The commands for operators over real parts: a log with customers in it, their history and their live state. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Redis } from 'ioredis';
import pino from 'pino';
import { customerAddress, domain } from '#actors/mod';
import { loadConfig, type Config } from '../config/config.ts';
import { startTestClickHouse, type TestClickHouse } from '../embedded/clickhouse/testing.ts';
import { openHistory } from '../history/mod.ts';
import { connectLog, openDoor, provision, type Door } from '../log/mod.ts';
import { startTestNats, type TestNats } from '../log/testing.ts';
import { runHistory } from '../projections/mod.ts';
import { checkAll } from '../telemetry/health.ts';
import { openRegistry } from '../telemetry/registry.ts';
import { unlessRebuilding } from '../projections/rebuild.ts';
import { startTestRedis, type TestRedis } from '../projections/testing.ts';
import { startEngine, type Engine } from '../roles/engine_role.ts';
import type { Run } from './command.ts';
import { commands } from './table.ts';

const partitions = 2;
const customers = ['ada', 'bo', 'cy', 'di'];
const dataDir = mkdtempSync(join(tmpdir(), 'gridtick-commands-'));
let nats: TestNats;
let redis: TestRedis;
let clickhouse: TestClickHouse;
let engine: Engine;
let history: Awaited<ReturnType<typeof runHistory>>;
const metrics = openRegistry();
let nc: Awaited<ReturnType<typeof connectLog>>;
let door: Door;
let config: Config;
const failures: unknown[] = [];
/** While set, every deposit throws. */
let isBroken = false;

const brittle: typeof domain = {
  ...domain,
  actors: domain.actors.map((actor) =>
    actor.kind !== 'customer'
      ? actor
      : {
          ...actor,
          facts: (view, self, type, body) => {
            if (isBroken && type === 'customer.deposit') throw new Error('boom');
            return actor.facts?.(view, self, type, body) ?? null;
          },
        },
  ),
};

beforeAll(async () => {
  [nats, redis, clickhouse] = await Promise.all([startTestNats(), startTestRedis(), startTestClickHouse()]);
  config = loadConfig({
    GRIDTICK_DATA_DIR: dataDir,
    GRIDTICK_PARTITIONS: String(partitions),
    GRIDTICK_NATS_URL: nats.url,
    GRIDTICK_REDIS_URL: redis.url,
    GRIDTICK_CLICKHOUSE_URL: clickhouse.url,
    GRIDTICK_CLICKHOUSE_USER: clickhouse.user,
    GRIDTICK_CLICKHOUSE_PASSWORD: clickhouse.password,
  });
  nc = await connectLog(nats.url, 'commands test');
  await provision(nc, { partitions });
  engine = await startEngine({
    config: { natsUrl: nats.url, partitions },
    domain: brittle,
    log: pino({ level: 'silent' }),
    onFatal: (error) => failures.push(error),
    sinks: [],
    metrics,
  });
  history = await runHistory(config, { metrics, onFatal: (error) => failures.push(error) });
  door = await openDoor(nc, { name: 'test', partitions });
  for (const customer of customers) {
    await send(customer, 'customer.open', { name: customer });
    await send(customer, 'customer.deposit', { amountE5Sek: 100_000 });
  }
}, 240_000);
afterAll(async () => {
  await door.close();
  await history.close();
  await engine.close();
  await nc.close();
  await Promise.all([nats.stop(), redis.stop(), clickhouse.stop()]);
  rmSync(dataDir, { recursive: true, force: true });
  expect(failures).toEqual([]);
});

const send = (customer: string, type: string, body: Record<string, unknown>) =>
  door.request({ id: null, to: customerAddress(customer), type, body, timeoutMs: 20_000 });

/** What a command line prints, and its exit code. */
async function gridtick(word: string, ...args: string[]) {
  const run: Run = await commands[word]!.load();
  const said: string[] = [];
  const exitCode = await run(config, args, {
    say: (line) => void said.push(line),
    write: async (text) => void said.push(String(text instanceof Uint8Array ? Buffer.from(text) : text)),
    tell: () => {},
  });
  return { exitCode: exitCode ?? 0, said, json: () => JSON.parse(said.join('\n')) as Record<string, never> };
}
const balance = (customer: string) =>
  engine.owners
    .map((owner) => owner.state.get<{ sek: { available: number } }>('customer', customer))
    .find((stored) => stored)?.context.sek.available;

test('ps and lag tell who owns what, and that nobody is behind', async () => {
  const ps = await gridtick('ps', '--json');
  expect(ps.json()).toMatchObject({
    exitCode: 0,
    serves: true,
    partitions: [0, 1].map((partition) => ({ partition, engine: engine.id, epoch: 1 })),
  });
  await expect
    .poll(async () => (await gridtick('lag', '--json')).json(), { timeout: 20_000, interval: 1_000 })
    .toMatchObject({
      exitCode: 0,
      partitions: [0, 1].map((partition) => ({ partition, behind: 0 })),
      readers: ['clickhouse', 'redis', 'publisher'].map((reader) => ({ reader, silent: false })),
    });
  expect((await gridtick('lag')).said[0]).toMatch(/^partition +engine +stored +committed/);
}, 60_000);

test('engine and history say that they are ready, and how far their partitions and readers are', async () => {
  expect(await checkAll(engine.probes)).toEqual({
    ok: true,
    checks: { log: { ok: true }, partitions: { ok: true }, lag: { ok: true } },
  });
  const fine = { ok: true };
  expect(await checkAll(history.probes)).toEqual({
    ok: true,
    checks: { log: fine, redis: fine, clickhouse: fine, readers: fine },
  });
  const scrape = async () => (await metrics.metrics()).split('\n');
  await expect
    .poll(scrape, { timeout: 20_000, interval: 1_100 })
    .toEqual(
      expect.arrayContaining([
        ...['clickhouse', 'redis', 'publisher'].map((reader) => `gridtick_reader_lag_records{reader="${reader}"} 0`),
        ...[0, 1].map((partition) => `gridtick_partition_epoch{partition="${partition}"} 1`),
        'gridtick_takeovers_total 2',
        'gridtick_message_log_lag_batches 0',
        'gridtick_history_rows_waiting 0',
      ]),
    );
  expect((await scrape()).find((line) => line.startsWith('nodejs_eventloop_lag_p99_seconds'))).toBeDefined();
  expect(door.stats()).toMatchObject({ inFlight: 0, waiting: 0, stored: 8, refused: {}, replies: { ok: 8 } });
}, 60_000);

test('inspect shows a customer as it is, and as it was at a record and at a time', async () => {
  interface Shown {
    entities: {
      partition: number;
      changed: { sequence: number; time: number };
      state: { sek: { available: number } };
    }[];
  }
  const now = (await gridtick('inspect', 'customer:ada', '--json')).json() as unknown as Shown;
  const { partition, changed, state } = now.entities[0]!;
  expect(state.sek.available).toBe(100_000);
  await send('ada', 'customer.deposit', { amountE5Sek: 50_000 });
  const at = async (moment: string) =>
    ((await gridtick('inspect', 'ada', '--at', moment, '--json')).json() as unknown as Shown).entities[0]!.state.sek;
  expect(await at(`${partition}:${changed.sequence}`)).toMatchObject({ available: 100_000 });
  expect(await at(new Date(changed.time).toISOString())).toMatchObject({ available: 100_000 });
  expect(await at(String(Date.now() + 1_000))).toMatchObject({ available: 150_000 });
  const beyond = await gridtick('inspect', 'ada', '--at', `${partition}:999999`, '--json');
  expect([beyond.exitCode, beyond.json()]).toMatchObject([1, { ok: false, code: 'outside_window' }]);
  await expect(gridtick('inspect', 'customer:nobody')).rejects.toMatchObject({ code: 'unknown_entity' });
  expect((await gridtick('inspect', 'customer:ada')).said.join('\n')).toContain('"available": 150000');
});

test('a dead letter holds the whole command; it is sent again once, however often that is asked for', async () => {
  isBroken = true;
  const failed = await Promise.all([
    send('bo', 'customer.deposit', { amountE5Sek: 7_000 }),
    send('cy', 'customer.deposit', { amountE5Sek: 9_000 }),
  ]);
  isBroken = false;
  expect(failed).toMatchObject([{ code: 'internal_error' }, { code: 'internal_error' }]);
  type Listed = { place: string; entity: string; state: string; detail: Record<string, unknown> };
  const list = async (...more: string[]) =>
    (await gridtick('dead-letters', 'list', '--json', ...more)).json()['letters'] as unknown as Listed[];
  await expect.poll(async () => (await list()).length, { timeout: 20_000 }).toBe(2);
  const letters = await list();
  const placeOf = (customer: string) => letters.find(({ entity }) => entity === `customer/${customer}`)!.place;
  const shown = (await gridtick('dead-letters', 'show', placeOf('bo'), '--json')).json();
  expect(shown).toMatchObject({
    letter: {
      ...{ entity: 'customer/bo', command: 'customer.deposit', reason: 'boom', state: 'open', retained: true },
      detail: {
        unit: expect.stringMatching(/^\d+:\d+$/) as string,
        writer: expect.any(String) as string,
        build: expect.stringMatching(/^0\.1\.0\+/) as string,
        key: 'bo',
        body: { amountE5Sek: 7_000 },
      },
    },
  });
  expect((await gridtick('dead-letters', 'retry', placeOf('bo'))).said[0]).toMatch(/^accepted at /);
  const again = await gridtick('dead-letters', 'retry', placeOf('bo'), '--json');
  expect([again.exitCode, again.json()]).toMatchObject([1, { code: 'letter_settled', detail: { state: 'retried' } }]);
  expect(balance('bo')).toBe(107_000);
  expect((await gridtick('dead-letters', 'discard', placeOf('cy'))).exitCode).toBe(0);
  expect(balance('cy')).toBe(100_000);
  await expect.poll(() => list(), { timeout: 20_000 }).toEqual([]);
  expect((await list('--all')).map(({ state }) => state).sort()).toEqual(['discarded', 'retried']);
  await expect(gridtick('dead-letters', 'retry', '0:999999:0')).rejects.toMatchObject({ code: 'unknown_letter' });
}, 60_000);

/** All rows of a view but for the moment they came in, in one order. */
async function rowsOf(view: string): Promise<string[]> {
  const { said } = await gridtick('export', view);
  const lines = said.join('').split('\n').filter(Boolean);
  return lines
    .map((line) => JSON.stringify({ ...(JSON.parse(line) as object), ingested_at: null, sequence: 0 }))
    .sort();
}
const exact = async (view: string) => {
  const { said } = await gridtick('export', view);
  const lines = said.join('').split('\n').filter(Boolean);
  return lines.map((line) => JSON.stringify({ ...(JSON.parse(line) as object), ingested_at: null })).sort();
};

test('export gives every row of a view, within times, as lines or as CSV, and entities without their secrets', async () => {
  const rows = await exact('ledger_entries');
  expect(rows.length).toBeGreaterThan(customers.length * 2);
  const csv = (await gridtick('export', 'ledger_entries', '--format', 'csv')).said.join('').trim().split('\n');
  expect([csv[0], csv.length]).toEqual([expect.stringMatching(/^"customer","batch"/) as string, rows.length + 1]);
  expect((await gridtick('export', 'ledger_entries', '--to', '2001-01-01T00:00:00Z')).said).toEqual([]);
  const entities = (await rowsOf('customer')).map((line) => (JSON.parse(line) as { id: string }).id);
  expect(entities.sort()).toEqual(customers);
  await expect(gridtick('export', 'nonsense')).rejects.toThrow(/no view and no kind/);
}, 60_000);

test('Redis and ClickHouse are made again from the journal, and answer as before', async () => {
  const views = ['ledger_entries', 'trades', 'audit_events', 'dead_letters'];
  const before = await Promise.all([...views.map(exact), exact('customer')]);
  expect((await gridtick('rebuild', 'redis', '--json')).json()).toMatchObject({ ok: true });
  expect((await gridtick('rebuild', 'clickhouse')).said[0]).toMatch(/^clickhouse is whole again/);
  expect(await Promise.all([...views.map(exact), exact('customer')])).toEqual(before);
}, 120_000);

test('while the history is being rebuilt it answers nobody', async () => {
  const own = new Redis(redis.url);
  const store = await openHistory({ url: clickhouse.url, user: clickhouse.user, password: clickhouse.password });
  const guarded = unlessRebuilding(store, own);
  await own.set('rebuilding:clickhouse', '"dropping"');
  await expect(guarded.trades({ customer: null })).rejects.toMatchObject({ code: 'history_unavailable' });
  await own.del('rebuilding:clickhouse');
  expect((await guarded.trades({ customer: null })).rows).toEqual([]);
  await store.close();
  own.disconnect();
});

test('doctor finds nothing wrong, and says so of each thing it looked at', async () => {
  const { json } = await gridtick('doctor', '--json');
  const { findings } = json() as unknown as { findings: { check: string; level: string; found: string }[] };
  const checks = [
    'node',
    'nats',
    'redis',
    'disk',
    'clock',
    'streams',
    'log',
    'partitions',
    'commands',
    'clickhouse',
    'publisher',
  ];
  expect(findings.map(({ check }) => check)).toEqual(expect.arrayContaining(checks));
  expect(findings.filter(({ level }) => level === 'problem')).toEqual([]);
}, 30_000);
