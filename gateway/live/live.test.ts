import { afterEach, expect, test } from 'vitest';
import { startTestApi, TestScreen, type TestApi, type TestApiOptions } from '../api/testing.ts';
import type { ClientFrame, Delta, StationData, TreeData } from '../schema/live.ts';
import type { Static } from 'typebox';
import type { Price, Sample } from '#actors/schema/events';
import { aCharger, aConnector, aPrice, aSession, producePrice } from './testing.ts';

let api: TestApi;
const screens: TestScreen[] = [];
afterEach(async () => {
  for (const screen of screens.splice(0)) screen.ws.terminate();
  await api.close();
});

async function open(options: TestApiOptions = {}): Promise<TestScreen> {
  api = await startTestApi(options);
  return another();
}
async function another(user = 'operator'): Promise<TestScreen> {
  const screen = await TestScreen.open(api.base, await api.cookieOf(user));
  screens.push(screen);
  return screen;
}
const station: ClientFrame = { op: 'sub', id: 7, topic: 'station:nord-1' };
const charging = (powerW: number) =>
  aCharger({ connectors: [aConnector({ status: 'Charging', transaction: 7, powerW, lastSampleAt: powerW })] });
/** CP-0001 draws `powerW` from now on. */
const draw = (powerW: number) =>
  api.replica.commit('demo', [
    { kind: 'charger', id: 'CP-0001', value: 'accepted', context: charging(powerW) },
    { kind: 'session', id: '7', value: 'energising', context: aSession({ registerWh: 5_000 + powerW }) },
  ]);
/** Throws when the next frame is no price. */
async function nextPrice(screen: TestScreen): Promise<Price> {
  const { event } = await screen.next('event');
  if (event.kind !== 'price') throw new Error(`a price, not ${event.kind}`);
  return event.price;
}
/** What a client does with a delta. */
const apply = (data: Record<string, unknown>, delta: Static<typeof Delta>) => {
  Object.assign(data, delta.set);
  for (const key of delta.del) delete data[key];
  return data;
};

test('a subscriber gets the whole state, then what changed', async () => {
  const screen = await open();
  screen.send(station);
  const snap = await screen.next('snap');
  const data = snap.data as StationData;
  expect(Object.keys(data).sort()).toEqual(['CP-0001/1', 'CP-0002/1', 'station']);
  expect(data.station).toMatchObject({ liveW: 11_040, tier: null, actions: { live: true, prices: true } });
  expect(data['CP-0001/1']).toMatchObject({ w: 11_040, transaction: 7, tag: '…007', energyWh: 600, online: true });

  draw(7_400);
  const delta = await screen.next('delta');
  expect(delta).toMatchObject({ id: 7, prev: snap.cursor, del: [] });
  expect(delta.set).toMatchObject({ 'CP-0001/1': { w: 7_400, at: 7_400, energyWh: 7_400 }, station: { liveW: 7_400 } });
  expect(delta.cursor).not.toBe(snap.cursor);
  expect(Math.abs(delta.now - Date.now())).toBeLessThan(5_000);
});

test('a new price comes as an event and in the state', async () => {
  const screen = await open();
  screen.send(station);
  const snap = await screen.next('snap');
  const price = producePrice(api.replica, 5, { tier: 'triple', priceE5SekPerKwh: 300_000 });
  const event = await screen.next('event');
  const delta = await screen.next('delta');
  expect(event).toMatchObject({ prev: snap.cursor, event: { kind: 'price', price } });
  expect(delta).toMatchObject({
    prev: event.cursor,
    set: { station: { tier: 'triple', slot: 5, validUntil: 84_000 } },
  });
});

test('many changes between two flushes are told once, with the latest value', async () => {
  const screen = await open({ limits: { flushEveryMs: 100 } });
  screen.send(station);
  await screen.next('snap');
  for (let powerW = 1; powerW <= 500; powerW++) draw(powerW);
  const delta = await screen.next('delta');
  expect(delta.set).toMatchObject({ 'CP-0001/1': { w: 500 } });
  expect(await screen.settled()).toEqual([]);
});

test('prices are never conflated', async () => {
  const screen = await open();
  screen.send(station);
  await screen.next('snap');
  for (const slot of [5, 6, 7]) producePrice(api.replica, slot);
  const slots = [];
  for (let i = 0; i < 3; i++) slots.push((await nextPrice(screen)).slot);
  expect(slots).toEqual([5, 6, 7]);
});

test('a lost delta is made good by subscribing again with the cursor held', async () => {
  const screen = await open();
  screen.send(station);
  const snap = await screen.next('snap');
  const data: Record<string, unknown> = { ...snap.data };
  draw(7_400);
  producePrice(api.replica, 5);
  await screen.next('event'); // lost on the way
  await screen.next('delta'); // lost on the way
  draw(3_700);
  const gap = await screen.next('delta');
  expect(gap.prev).not.toBe(snap.cursor);

  screen.send({ ...station, cursor: snap.cursor });
  const event = await screen.next('event');
  expect(event).toMatchObject({ prev: snap.cursor, event: { price: { slot: 5 } } });
  const delta = await screen.next('delta');
  expect(delta.prev).toBe(event.cursor);
  expect(Object.keys(delta.set).sort()).toEqual(['CP-0001/1', 'station']);
  expect(apply(data, delta)).toMatchObject({ 'CP-0001/1': { w: 3_700 }, station: { slot: 5, liveW: 3_700 } });

  draw(3_600);
  expect((await screen.next('delta')).prev).toBe(delta.cursor);
});

test('a duplicate frame changes nothing', async () => {
  const screen = await open();
  screen.send(station);
  const data: Record<string, unknown> = { ...(await screen.next('snap')).data };
  draw(7_400);
  const delta = await screen.next('delta');
  const once = structuredClone(apply(data, delta));
  expect(apply(data, delta)).toEqual(once);
});

test('a screen that missed nothing is told so with an empty delta', async () => {
  const screen = await open();
  screen.send(station);
  const { cursor } = await screen.next('snap');
  screen.send({ ...station, cursor });
  expect(await screen.next('delta')).toMatchObject({ prev: cursor, cursor, set: {}, del: [] });
});

test('another socket resumes where the broken one stood', async () => {
  const first = await open();
  first.send(station);
  const { cursor } = await first.next('snap');
  await first.close();
  producePrice(api.replica, 9);
  const second = await another();
  second.send({ ...station, id: 1, cursor });
  expect((await nextPrice(second)).slot).toBe(9);
  expect((await second.next('delta')).set).toHaveProperty('station');
});

test('a cursor older than what is remembered gets a snapshot', async () => {
  const screen = await open();
  screen.send({ ...station, cursor: Buffer.from('0:0:0').toString('base64url') });
  expect((await screen.next('snap')).data).toHaveProperty('station');
});

test('after more than an hour of prices a snapshot takes the place of the events', async () => {
  const screen = await open();
  screen.send(station);
  const { cursor } = await screen.next('snap');
  screen.send({ op: 'unsub', id: 7 });
  await screen.next('unsub');
  for (let slot = 1; slot <= 302; slot++) producePrice(api.replica, slot);
  screen.send({ ...station, cursor });
  expect((await screen.next('snap')).data).toMatchObject({ station: { slot: 302 } });
});

test('a charger that moves away leaves the station, and an old cursor then gets a snapshot', async () => {
  const screen = await open();
  screen.send(station);
  const { cursor } = await screen.next('snap');
  api.replica.commit('demo', [
    { kind: 'charger', id: 'CP-0002', value: 'accepted', context: aCharger({ station: 'syd-1' }) },
  ]);
  const delta = await screen.next('delta');
  expect(delta.del).toEqual(['CP-0002/1']);
  screen.send({ ...station, cursor });
  expect(Object.keys((await screen.next('snap')).data).sort()).toEqual(['CP-0001/1', 'station']);
});

test('the tree counts connectors by state and names the worst child', async () => {
  const screen = await open();
  screen.send({ op: 'sub', id: 1, topic: 'tree:demo' });
  const data = (await screen.next('snap')).data as TreeData;
  expect(Object.keys(data)).toEqual(['site:demo', 'station:nord-1', 'charger:CP-0001', 'charger:CP-0002']);
  expect(data['station:nord-1']).toMatchObject({
    kind: 'station',
    parent: 'site:demo',
    limitW: 138_000,
    liveW: 11_040,
    counts: { Charging: 1, Available: 1 },
    health: 'ok',
    worst: null,
  });
  expect(data['charger:CP-0001']).toMatchObject({ liveW: 11_040, limitW: 11_040, utilisationBp: 10_000 });

  api.replica.commit('demo', [
    {
      kind: 'charger',
      id: 'CP-0002',
      value: 'accepted',
      context: aCharger({ connectors: [aConnector({ status: 'Faulted' })] }),
    },
  ]);
  expect((await screen.next('delta')).set).toMatchObject({
    'charger:CP-0002': { health: 'fault', counts: { Faulted: 1 } },
    'station:nord-1': { health: 'fault', worst: 'charger:CP-0002', counts: { Charging: 1, Faulted: 1 } },
    'site:demo': { health: 'fault', worst: 'station:nord-1' },
  });
  api.replica.commit('demo', [
    { kind: 'charger', id: 'CP-0001', value: 'accepted', context: aCharger({ online: false, connection: null }) },
  ]);
  expect((await screen.next('delta')).set).toMatchObject({
    'site:demo': { counts: { Offline: 1, Faulted: 1 }, health: 'fault' },
  });
});

test('one charger can be watched', async () => {
  const screen = await open();
  screen.send({ op: 'sub', id: 1, topic: 'charger:CP-0001' });
  expect((await screen.next('snap')).data).toMatchObject({
    charger: { charger: 'CP-0001', w: 11_040, connectors: [{ connector: 1 }] },
  });
  draw(5);
  expect((await screen.next('delta')).set).toMatchObject({ charger: { w: 5 } });
});

test('a charger shows the newest sample of each kind, whatever order they came in', async () => {
  const sample = (at: number, measurand: string, value: string): Sample => ({
    ...{ at, measurand, phase: '', location: 'Outlet', context: 'Sample.Periodic', unit: 'W', value },
  });
  const sampled = (receivedAt: number, samples: Sample[]) =>
    api.replica.commit(
      'demo',
      [],
      [
        {
          kind: 'meter',
          subject: 'meter.CP-0001.1',
          payload: {
            ...{
              site: 'demo',
              station: 'nord-1',
              charger: 'CP-0001',
              connector: 1,
              transaction: 7,
              receivedAt,
              samples,
            },
          },
        },
      ],
    );
  const screen = await open();
  screen.send({ op: 'sub', id: 1, topic: 'charger:CP-0001' });
  const { cursor, data } = await screen.next('snap');
  expect(Object.keys(data)).toEqual(['charger']);
  sampled(10, [sample(10, 'Voltage', '230'), sample(10, 'Power.Active.Import', '7000')]);
  await screen.next('delta');
  sampled(11, [sample(9, 'Voltage', '999'), sample(11, 'Power.Active.Import', '7100')]);
  const { set } = await screen.next('delta');
  expect(set).toEqual({
    'samples/1': {
      ...{ connector: 1, transaction: 7, receivedAt: 11 },
      samples: [sample(10, 'Voltage', '230'), sample(11, 'Power.Active.Import', '7100')],
    },
  });
  // Who was away gets them again, who comes anew has them at once.
  screen.send({ op: 'sub', id: 1, topic: 'charger:CP-0001', cursor });
  expect((await screen.next('delta')).set).toHaveProperty('samples/1');
  screen.send({ op: 'sub', id: 2, topic: 'charger:CP-0001' });
  expect((await screen.next('snap')).data).toHaveProperty('samples/1');
});

test('a topic that is removed says so and is over', async () => {
  const screen = await open();
  screen.send({ op: 'sub', id: 1, topic: 'charger:CP-0002' });
  await screen.next('snap');
  api.replica.commit('demo', [{ kind: 'charger', id: 'CP-0002', context: null }]);
  expect(await screen.next('refuse')).toMatchObject({ id: 1, code: 'unknown_topic' });
});

test('a hidden page is told at most once a second', async () => {
  const screen = await open();
  screen.send(station);
  await screen.next('snap');
  screen.send({ op: 'hidden', hidden: true });
  await screen.settled();
  const from = performance.now();
  draw(1);
  await screen.next('delta');
  draw(2);
  await screen.next('delta');
  expect(performance.now() - from).toBeGreaterThan(900);
});

test('a ping comes back with its number and the server clock', async () => {
  const screen = await open();
  screen.send({ op: 'ping', t: 1234.5 });
  const pong = await screen.next('pong');
  expect(pong.t).toBe(1234.5);
  expect(Math.abs(pong.now - Date.now())).toBeLessThan(5_000);
});

test('a screen that takes nothing is skipped, then closed, and another goes on', async () => {
  const slow = await open({ limits: { bufferedBytesHigh: 16 * 1024, behindMsMax: 400, flushEveryMs: 20 } });
  const fast = await another();
  for (const screen of [slow, fast]) {
    screen.send({ op: 'sub', id: 1, topic: 'tree:demo' });
    screen.send(station);
    await screen.next('snap');
    await screen.next('snap');
  }
  slow.ws.pause();
  // Wide texts fill the kernel's buffers soon.
  const connectors = Array.from({ length: 8 }, () => aConnector({ status: 'Charging', errorCode: 'x'.repeat(60_000) }));
  while (api.hub.size > 1) {
    api.replica.commit('demo', [
      { kind: 'charger', id: 'CP-0001', value: 'accepted', context: aCharger({ connectors }) },
    ]);
    await fast.next('delta');
  }
  expect(fast.ws.readyState).toBe(fast.ws.OPEN);
  slow.ws.resume();
  expect([4408, 1006]).toContain((await slow.closed).code);
}, 60_000);

test('a screen that is silent is closed', async () => {
  const screen = await open({ limits: { pingEveryMs: 60, behindMsMax: 400 } });
  // Answers neither the protocol's ping nor ours.
  screen.ws.pause();
  while (api.hub.size > 0) await new Promise((resolve) => setTimeout(resolve, 20));
  screen.ws.resume();
  expect([4408, 1006]).toContain((await screen.closed).code);
});

test('signing out closes the sockets of that sign-in, and only those', async () => {
  const other = await open();
  const cookie = await api.cookieOf('operator');
  const screen = await TestScreen.open(api.base, cookie);
  screens.push(screen);
  const out = await fetch(`${api.base}/api/sign-out`, { method: 'POST', headers: { cookie, origin: api.base } });
  expect(out.status).toBe(200);
  expect((await screen.closed).code).toBe(4401);
  other.send({ op: 'ping' });
  await other.next('pong');
});

test('a sign-in that ends elsewhere closes the socket soon', async () => {
  const screen = await open({ limits: { rightsEveryMs: 30 } });
  await api.redis.del(...(await api.redis.keys('signin:*')));
  expect((await screen.closed).code).toBe(4401);
});

test('a role that is withdrawn closes the socket whose topics need it', async () => {
  api = await startTestApi({ limits: { rightsEveryMs: 30 } });
  await api.putUser('temp', { roles: ['operator'] });
  const screen = await another('temp');
  screen.send(station);
  await screen.next('snap');
  await api.putUser('temp', { roles: ['customer'] });
  expect((await screen.closed).code).toBe(4403);
});

test('several prices of one record survive a break between them', async () => {
  const screen = await open();
  screen.send(station);
  const { cursor } = await screen.next('snap');
  const events = [5, 6].map((slot) => ({ kind: 'price' as const, subject: 'price.nord-1', payload: aPrice(slot) }));
  api.replica.commit('demo', [], events);
  const first = await screen.next('event');
  expect(first.cursor).toBe(cursor);
  screen.send({ ...station, id: 8, cursor: first.cursor });
  const second = await screen.next('event');
  expect(second).toMatchObject({ id: 7, event: { price: { slot: 6 } } });
  expect((await nextPrice(screen)).slot).toBe(5);
  expect((await nextPrice(screen)).slot).toBe(6);
});
