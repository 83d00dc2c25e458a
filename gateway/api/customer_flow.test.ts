/** A customer's day over real parts: log, engine, projections, ClickHouse, HTTP. Nothing between the page and the ledger is left out. */
import { randomUUID } from 'node:crypto';
import type { NatsConnection } from '@nats-io/transport-node';
import type { Redis } from 'ioredis';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { domain } from '#actors/mod';
import type { HeldReply, QuoteReply } from '#actors/schema/customer_commands';
import { startTestClickHouse, type TestClickHouse } from '#engine/embedded/clickhouse/testing';
import { openHistory, type HistoryStore } from '#engine/history/mod';
import { connectLog, openDoor, provision, type Door } from '#engine/log/mod';
import { startTestNats, type TestNats } from '#engine/log/testing';
import { lookup, openReplica, runHistory, type Replica } from '#engine/projections/mod';
import { startTestRedis, type TestRedis } from '#engine/projections/testing';
import { startEngine, type Engine } from '#engine/roles/engine_role';
import { loadScenario } from '#gateway/simulator/scenario';
import type { Account, BatchReply, CommandStatus } from '../schema/commands.ts';
import type { LedgerEntry } from '../schema/records.ts';
import { identityResolver } from '../identities.ts';
import { openTrace, startOcpp, type MessageTrace, type OcppDoor } from '../ocpp/mod.ts';
import { openCharger } from '../ocpp/testing/charger.ts';
import { sow } from '../seed/sowing.ts';
import { gridKinds, startApi } from './mod.ts';

const partitions = 4;
const lines: Record<string, unknown>[] = [];
const log = pino(
  {
    level: process.env['GRIDTICK_TEST_LOG'] ?? 'info',
  },
  { write: (line) => void lines.push(JSON.parse(line) as Record<string, unknown>) },
);
const passwords = { operator: 'one two', admin: 'three four', customer: 'five six', trader: 'seven eight' };
const onFatal = (error: unknown) => {
  throw error;
};

let [nats, redisServer, clickhouse]: [TestNats?, TestRedis?, TestClickHouse?] = [];
let nc: NatsConnection;
let redis: Redis;
let door: Door;
let engine: Engine;
let replica: Replica;
let store: HistoryStore;
let history: { close(): Promise<void> };
let api: { port: number; close(): Promise<void> };
let trace: MessageTrace;
let ocpp: OcppDoor;

const engineConfig = () => ({
  config: { natsUrl: (nats as TestNats).url, partitions },
  domain,
  log,
  onFatal,
  sinks: [] as string[],
});

beforeAll(async () => {
  [nats, redisServer, clickhouse] = await Promise.all([startTestNats(), startTestRedis(), startTestClickHouse()]);
  nc = await connectLog(nats.url, 'customer flow');
  redis = redisServer.client();
  await provision(nc, { partitions, scale: 0.1 });
  engine = await startEngine(engineConfig());
  const { url: clickhouseUrl, user: clickhouseUser, password: clickhousePassword } = clickhouse;
  history = await runHistory(
    { natsUrl: nats.url, redisUrl: redisServer.url, clickhouseUrl, clickhouseUser, clickhousePassword, partitions },
    { onFatal, log },
  );
  door = await openDoor(nc, { name: 'gw-test', partitions });
  const ground = {
    partitions,
    request: (command: Parameters<Door['request']>[0]) => door.request(command),
    lookup: (kind: string, id: string) => lookup(redis, kind, id),
  };
  await sow(ground, { scenario: await loadScenario({ kind: 'demo', seed: 1 }), passwords });
  replica = await openReplica(nc, redis, { partitions, kinds: gridKinds, onFatal });
  store = await openHistory({ url: clickhouseUrl, user: clickhouseUser, password: clickhousePassword });
  api = await startApi({
    config: { bind: '127.0.0.1', httpPort: 0, loopDelayMsMax: 60_000 },
    redis,
    replica,
    history: store,
    door,
    nats: nc,
    log,
  });
  trace = openTrace(nc, { gateway: 'gw-test', clock: Date, log });
  ocpp = await startOcpp({
    ...{ door, trace, nats: nc, gatewayId: 'gw-test', bind: '127.0.0.1', port: 0, log },
    resolve: identityResolver(redis, partitions),
  });
}, 240_000);

afterAll(async () => {
  await ocpp?.close();
  await trace?.close();
  await api?.close();
  await store?.close();
  await replica?.close();
  await history?.close();
  await door?.close();
  await engine?.close();
  await nc?.close();
  await Promise.all([nats?.stop(), redisServer?.stop(), clickhouse?.stop()]);
});

/** A signed-in user over real HTTP. */
class Person {
  readonly #cookie: string;
  private constructor(cookie: string) {
    this.#cookie = cookie;
  }

  static async signIn(email: string, password: string): Promise<Person> {
    const response = await fetch(`http://127.0.0.1:${api.port}/api/sign-in`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ email, password }),
    });
    expect(response.status).toBe(200);
    return new Person((response.headers.get('set-cookie') ?? '').split(';')[0] as string);
  }

  async ask<T>(url: string, body?: object): Promise<{ status: number; body: T; at: string | null; id: string | null }> {
    const response = await fetch(`http://127.0.0.1:${api.port}${url}`, {
      method: body ? 'POST' : 'GET',
      headers: { cookie: this.#cookie, ...(body && { 'content-type': 'application/json' }) },
      ...(body && { body: JSON.stringify(body) }),
    });
    const { status, headers } = response;
    return {
      ...{ status, body: (await response.json()) as T },
      ...{ at: headers.get('gridtick-at'), id: headers.get('x-correlation-id') },
    };
  }

  async account(): Promise<Account> {
    return (await this.ask<Account>('/api/account')).body;
  }
}
const eventually = <T>(what: () => Promise<T>) => expect.poll(what, { timeout: 60_000, interval: 200 });

test('deposit, quote, hold, cancel, commit: each answer is in the account at once, and later in the history', async () => {
  const customer = await Person.signIn('customer@demo.local', passwords.customer);
  expect(await customer.account()).toMatchObject({
    customer: 'customer',
    availableE5Sek: 0,
    battery: { energyWh: 50_000, powerW: 0 },
    tags: ['…041'],
  });
  for (let n = 1; n <= 20; n++) {
    const { status } = await customer.ask('/api/account/deposit', { id: `notes:${n}`, amount: '5.00' });
    expect([status, (await customer.account()).availableE5Sek]).toEqual([200, n * 500_000]);
  }

  // The first price comes at the next border of 12 s.
  await eventually(async () => (await customer.ask('/api/stations/nord-1/quote')).status).toBe(200);
  const place = async () => {
    const quote = (await customer.ask<QuoteReply>('/api/stations/nord-1/quote')).body;
    const body = { id: randomUUID(), side: 'buy', station: 'nord-1', slot: quote.slot, energyWh: 10_000 };
    return (await customer.ask<HeldReply>('/api/orders', body)).body;
  };
  const first = await place();
  expect(first).toMatchObject({ order: 'customer-1', priceE5SekPerKwh: 100_000, amountE5Sek: 1_000_000 });
  const cancelled = await customer.ask('/api/orders/cancel', { id: randomUUID(), side: 'buy', order: first.order });
  expect(cancelled.body).toMatchObject({ order: 'customer-1', state: 'cancelled' });
  const second = await place();
  expect(await customer.account()).toMatchObject({ availableE5Sek: 9_000_000, heldE5Sek: 1_000_000 });
  await customer.ask('/api/orders/commit', { id: randomUUID(), side: 'buy', order: null });
  const charging = await customer.account();
  expect(charging).toMatchObject({
    battery: { powerW: 11_000 },
    orders: [{ order: second.order, state: 'delivering' }],
  });

  await eventually(async () =>
    (await customer.ask<{ rows: { order: string; state: string }[] }>('/api/trades')).body.rows
      .map(({ order, state }) => `${order} ${state}`)
      .reverse(),
  ).toEqual(['customer-1 held', 'customer-1 cancelled', 'customer-2 held', 'customer-2 delivering']);
  const { rows } = (await customer.ask<{ rows: LedgerEntry[] }>('/api/ledger?limit=1000')).body;
  const paidIn = rows.filter(({ kind, ledger, amount }) => kind === 'deposit' && ledger === 'SEK' && amount > 0);
  expect(paidIn).toHaveLength(20);
  expect(rows.reduce((sum, { ledger, amount }) => sum + (ledger === 'SEK' ? amount : 0), 0)).toBe(0);
  // Signed in: the battery is sampled every 5 s, and at 11 kW a sample is 15 or 16 Wh above the one before.
  await eventually(
    async () =>
      (await customer.ask<{ rows: { powerW: number }[] }>('/api/battery')).body.rows.filter((r) => r.powerW > 0).length,
  ).toBeGreaterThan(2);
  const samples = (await customer.ask<{ rows: { energyWh: number; powerW: number }[] }>('/api/battery')).body.rows
    .filter(({ powerW }) => powerW > 0)
    .map(({ energyWh }) => energyWh)
    .reverse();
  for (const [i, energyWh] of samples.slice(1).entries()) expect([15, 16]).toContain(energyWh - (samples[i] as number));

  const trader = await Person.signIn('trader@demo.local', passwords.trader);
  expect(await trader.account()).toMatchObject({ customer: 'trader', availableE5Sek: 0, orders: [], tags: [] });
  expect((await trader.ask<{ rows: unknown[] }>('/api/trades')).body.rows).toEqual([]);
}, 180_000);

test('an engine that is replaced remembers: a retry gets the stored result, a look-up finds the decision', async () => {
  const trader = await Person.signIn('trader@demo.local', passwords.trader);
  const commands = Array.from({ length: 64 }, (_, i) => ({
    id: `coins:${i + 1}`,
    type: 'customer.deposit',
    body: { amount: '0.25' },
  }));
  const batch = (await trader.ask<BatchReply>('/api/commands', { commands })).body;
  expect(batch.results.map(({ ok }) => ok)).toEqual(commands.map(() => true));
  expect((await trader.account()).availableE5Sek).toBe(1_600_000);
  const single = randomUUID();
  const paid = await trader.ask('/api/account/withdraw', { id: single, amount: '6' });

  await engine.close();
  engine = await startEngine(engineConfig());

  const again = await trader.ask('/api/account/withdraw', { id: single, amount: '6' });
  expect([again.status, again.body]).toEqual([200, paid.body]);
  expect(again.at).not.toBe(paid.at);
  // From the record of the decision, not from that of its repetition.
  expect((await trader.ask<CommandStatus>(`/api/commands/${single}`)).body).toMatchObject({
    state: 'done',
    result: { ok: true, value: paid.body, at: paid.at },
  });
  expect((await trader.ask<CommandStatus>('/api/commands/coins:64')).body).toMatchObject({
    state: 'done',
    result: { ok: true, value: { availableE5Sek: 1_600_000 }, at: batch.results[63]?.at },
  });
  expect((await trader.ask<CommandStatus>(`/api/commands/${randomUUID()}`)).body).toMatchObject({ state: 'unknown' });
  expect((await trader.account()).availableE5Sek).toBe(1_000_000);
}, 120_000);

test('an answer that was never noted is found in the journal all the same', async () => {
  const trader = await Person.signIn('trader@demo.local', passwords.trader);
  const id = randomUUID();
  const paid = await trader.ask('/api/account/deposit', { id, amount: '1' });
  // As a gateway leaves it that was killed while it waited for the answer.
  const keys = await redis.keys('command:*');
  for (const key of keys) {
    const { at, ...note } = JSON.parse((await redis.get(key)) ?? '{}') as { at?: number };
    if (`${at}` === paid.at?.split(':')[1]) await redis.set(key, JSON.stringify(note), 'KEEPTTL');
  }
  expect((await trader.ask<CommandStatus>(`/api/commands/${id}`)).body).toMatchObject({
    state: 'done',
    result: { at: paid.at, value: paid.body },
  });
}, 60_000);

const rows = async <T>(query: string): Promise<T[]> =>
  (await store.client.query({ query, format: 'JSONEachRow' })).json<T>();
/** Rows of a view that came of a request or message. */
const rowsOf = <T>(view: string, correlation: string) =>
  rows<T>(`SELECT v.* FROM gridtick.${view} AS v
    JOIN gridtick.correlations AS c ON c.partition = v.partition AND c.sequence = v.sequence
    WHERE c.correlation = '${correlation}' AND c.rows_of = '${view}' AND v.index BETWEEN c.index_from AND c.index_to`);

test('the id of an HTTP request leads through the log of the door to the rows of a purchase, and back', async () => {
  const trader = await Person.signIn('trader@demo.local', passwords.trader);
  await trader.ask('/api/account/deposit', { id: randomUUID(), amount: '50' });
  const { slot } = (await trader.ask<QuoteReply>('/api/stations/nord-1/quote')).body;
  const command = randomUUID();
  const order = { id: command, side: 'buy', station: 'nord-1', slot, energyWh: 1_000 };
  const bought = await trader.ask<HeldReply>('/api/orders', order);
  expect(bought.status).toBe(200);
  const correlation = bought.id as string;
  expect(lines).toContainEqual(
    expect.objectContaining({ event: 'command_answered', correlation, command, ok: true, at: bought.at }),
  );
  await eventually(() => rowsOf('trades', correlation)).toMatchObject([
    { customer: 'trader', order: bought.body.order, state: 'held' },
  ]);
  const legs = await rowsOf<{ customer: string; batch: string; ledger: string }>('ledger_entries', correlation);
  expect(legs.map(({ customer, ledger }) => [customer, ledger])).toEqual([
    ['trader', 'SEK'],
    ['trader', 'SEK'],
  ]);
  const [partition, sequence] = (bought.at ?? '').split(':');
  const back = `SELECT DISTINCT correlation, command_id FROM gridtick.correlations
    WHERE partition = ${partition} AND sequence = ${sequence} AND command_id = '${command}'`;
  expect(await rows(back)).toEqual([{ correlation, command_id: command }]);
}, 120_000);

test('the number of a connection and the id of a message lead to the session that a charger began, and back', async () => {
  const charger = await openCharger(ocpp.port, '/ocpp/CP-0003');
  await charger.call('BootNotification', { chargePointVendor: 'Acme', chargePointModel: 'Wall' });
  const start = { connectorId: 1, idTag: 'DEMO0001', meterStart: 7, timestamp: new Date().toISOString() };
  const [, , { transactionId }] = await charger.call('StartTransaction', start, 'begin-1');
  interface Message {
    connection_seq: number;
    message_id: string;
  }
  const said = `SELECT connection_seq, message_id FROM gridtick.ocpp_messages
    WHERE charger = 'CP-0003' AND type = 'call' AND action = 'StartTransaction'`;
  await eventually(() => rows(said)).toHaveLength(1);
  const [message] = (await rows(said)) as [Message];
  const correlation = `CP-0003:${message.connection_seq}:${message.message_id}`;
  expect(correlation).toBe(`CP-0003:${message.connection_seq}:begin-1`);
  await eventually(() => rowsOf('session_starts', correlation)).toMatchObject([
    { charger: 'CP-0003', transaction: transactionId, tag: 'DEMO0001', meter_start_wh: 7 },
  ]);
  // And from the row to what was said.
  const [begun] = await rows<{ correlation: string }>(`SELECT DISTINCT c.correlation AS correlation
    FROM gridtick.session_starts AS s
    JOIN gridtick.correlations AS c ON c.partition = s.partition AND c.sequence = s.sequence AND c.rows_of = 'session_starts'
    WHERE s.transaction = ${transactionId} AND s.index BETWEEN c.index_from AND c.index_to`);
  expect(begun).toEqual({ correlation });
  charger.close();
}, 120_000);
