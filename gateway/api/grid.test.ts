import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Price } from '#actors/schema/events';
import {
  aCharger,
  aConnector,
  aPrice,
  aSession,
  demoReplica,
  producePrice,
  type MemoryReplica,
} from '../live/testing.ts';
import type { ChargersReply, PricesReply, SitesReply, StationReply } from '../schema/replies.ts';
import { startTestApi, TestScreen, type TestApi } from './testing.ts';

let api: TestApi;
let replica: MemoryReplica;
let cookie: string;
let stored: Price[] | Error = [];
const asked: unknown[] = [];

beforeAll(async () => {
  replica = demoReplica();
  api = await startTestApi({
    replica,
    history: {
      prices: async (station, range) => {
        asked.push([station, range]);
        if (stored instanceof Error) throw stored;
        return stored;
      },
    },
  });
  cookie = await api.cookieOf('operator');
});
afterAll(() => api.close());

const get = (url: string, as = cookie) => api.app.inject({ url, headers: { cookie: as } });

test('a site is shown with its stations and the power drawn now', async () => {
  const { sites, now } = (await get('/api/sites')).json<SitesReply>();
  expect(sites).toEqual([
    {
      site: 'demo',
      name: 'Demo',
      timeZone: 'Europe/Stockholm',
      capacityW: 200_000,
      slot: null,
      loadW: null,
      stale: false,
      liveW: 11_040,
      stations: [{ station: 'nord-1', name: 'Nord 1', capacityW: 138_000 }],
      actions: { live: true },
    },
  ]);
  expect(Math.abs(now - Date.now())).toBeLessThan(5_000);
});

test('a station without a price shows none, not 0', async () => {
  const { station, connectors } = (await get('/api/stations/nord-1')).json<StationReply>();
  expect(station).toMatchObject({
    tier: null,
    slot: null,
    priceE5SekPerKwh: null,
    validUntil: null,
    loadW: null,
    liveW: 11_040,
  });
  expect(connectors).toEqual([
    {
      charger: 'CP-0001',
      connector: 1,
      station: 'nord-1',
      online: true,
      status: 'Charging',
      errorCode: 'NoError',
      statusAt: 1_000,
      w: 11_040,
      at: 2_000,
      intervalMs: 10_000,
      transaction: 7,
      tag: '…007',
      startAt: 1_000,
      energyWh: 600,
    },
    {
      charger: 'CP-0002',
      connector: 1,
      station: 'nord-1',
      online: true,
      status: 'Available',
      errorCode: 'NoError',
      statusAt: 1_000,
      w: 0,
      at: null,
      intervalMs: null,
      transaction: null,
      tag: null,
      startAt: null,
      energyWh: null,
    },
  ]);
});

test('a price shows when it was produced and when it lapses', async () => {
  producePrice(replica, 1_000, { tier: 'double', priceE5SekPerKwh: 200_000, utilisationBp: 8_001, loadW: 110_401 });
  const { station } = (await get('/api/stations/nord-1')).json<StationReply>();
  expect(station).toMatchObject({
    tier: 'double',
    slot: 1_000,
    producedAt: 12_000_000,
    validUntil: 12_024_000,
    priceE5SekPerKwh: 200_000,
    utilisationBp: 8_001,
  });
});

test('prices of the history and of the journal are joined: no slot missing, none twice', async () => {
  stored = [aPrice(998), aPrice(999), aPrice(1_000, { tier: 'double', priceE5SekPerKwh: 200_000 })];
  producePrice(replica, 1_001);
  const reply = (await get('/api/stations/nord-1/prices?from=11976000&limit=3')).json<PricesReply>();
  expect(reply.prices.map(({ slot }) => slot)).toEqual([999, 1_000, 1_001]);
  expect(reply.prices[1]).toEqual(
    aPrice(1_000, { tier: 'double', priceE5SekPerKwh: 200_000, utilisationBp: 8_001, loadW: 110_401 }),
  );
  expect(asked.at(-1)).toEqual(['nord-1', { from: 11_976_000, to: expect.any(Number) as number, limit: 3 }]);
});

test('a screen that joins the live topic from the cursor of the prices gets the next price as an event', async () => {
  const { cursor } = (await get('/api/stations/nord-1/prices')).json<PricesReply>();
  const price = producePrice(replica, 1_002);
  const screen = await TestScreen.open(api.base, cookie);
  screen.send({ op: 'sub', id: 1, topic: 'station:nord-1', cursor });
  expect(await screen.next('event')).toMatchObject({ prev: cursor, event: { kind: 'price', price } });
  expect((await screen.next('delta')).set).toMatchObject({ station: { slot: 1_002 } });
  await screen.close();
});

test('when the history store is away the prices say so', async () => {
  stored = new Error('connection refused');
  const response = await get('/api/stations/nord-1/prices');
  stored = [];
  expect([response.statusCode, response.json<{ code: string }>().code]).toEqual([503, 'history_unavailable']);
});

test('chargers come in pages, by station or site', async () => {
  const first = (await get('/api/chargers?site=demo&limit=1')).json<ChargersReply>();
  expect(first.chargers.map(({ charger }) => charger)).toEqual(['CP-0001']);
  expect(first.next).toBe('CP-0001');
  const second = (await get(`/api/chargers?station=nord-1&limit=1&after=${first.next}`)).json<ChargersReply>();
  expect(second.chargers[0]).toMatchObject({
    charger: 'CP-0002',
    state: 'accepted',
    protocol: 'ocpp1.6',
    w: 0,
    actions: { live: true },
  });
  expect(second.next).toBeNull();
});

test('after too long a silence the assumed power is shown', async () => {
  const silent = aConnector({
    status: 'Charging',
    transaction: 8,
    powerW: 5_000,
    silentW: 11_040,
    silentFromMs: 1_000,
  });
  replica.commit('demo', [
    { kind: 'charger', id: 'CP-0003', value: 'accepted', context: aCharger({ connectors: [silent] }) },
    {
      kind: 'session',
      id: '8',
      value: 'energising',
      context: aSession({ transaction: 8, charger: 'CP-0003', registers: 0, integralWMs: 7_200_000 }),
    },
  ]);
  const { chargers } = (await get('/api/chargers?after=CP-0002')).json<ChargersReply>();
  expect(chargers[0]?.connectors[0]).toMatchObject({ w: 11_040, energyWh: 2 });
  replica.commit('demo', [
    { kind: 'charger', id: 'CP-0003', context: null },
    { kind: 'session', id: '8', context: null },
  ]);
});

test('a customer sees stations and prices, and nothing of single chargers', async () => {
  const customer = await api.cookieOf('customer');
  const refused = await get('/api/chargers', customer);
  expect([refused.statusCode, refused.json<{ code: string }>().code]).toEqual([403, 'role_missing']);
  expect((await get('/api/sites', customer)).json<SitesReply>().sites).toHaveLength(1);
  expect((await get('/api/stations/nord-1/prices', customer)).statusCode).toBe(200);
  const reply = await get('/api/stations/nord-1', customer);
  expect(reply.json<StationReply>()).toMatchObject({
    station: { station: 'nord-1', actions: { quote: true } },
    connectors: [],
  });
  expect(reply.body).not.toContain('CP-0001');
});

test('while live state is being loaded the answer is "starting", never "not found"', async () => {
  const loading = demoReplica();
  loading.ready = false;
  const early = await startTestApi({ replica: loading });
  const as = await early.cookieOf('operator');
  const before = await early.app.inject({ url: '/api/stations/nope', headers: { cookie: as } });
  expect([before.statusCode, before.json<{ code: string }>().code]).toEqual([503, 'starting']);
  loading.ready = true;
  const after = await early.app.inject({ url: '/api/stations/nord-1', headers: { cookie: as } });
  expect(after.json<StationReply>().connectors).toHaveLength(2);
  await early.close();
});
