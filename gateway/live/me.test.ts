import type { Static } from 'typebox';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import type { CustomerState } from '#actors/schema/customer_entities';
import type { PublicEvent } from '#actors/schema/events';
import { startTestApi, TestScreen, type TestApi } from '../api/testing.ts';
import type { Delta, MeData } from '../schema/live.ts';
import { pendingEventsMax } from './subscription.ts';
import { aCustomer, anOrder, aTrade, tradeEvent } from './testing.ts';

let api: TestApi;
const screens: TestScreen[] = [];
beforeAll(async () => {
  api = await startTestApi({ limits: { flushEveryMs: 20 } });
});
afterAll(() => api.close());
afterEach(() => {
  for (const screen of screens.splice(0)) screen.ws.terminate();
});

/** A customer of its own for each test, so that the tests share a server and no account. */
let anna: string;
let count = 0;
beforeEach(async () => {
  anna = `anna-${++count}`;
  await api.putUser(anna, { roles: ['customer'] });
});
async function look(user = anna): Promise<TestScreen> {
  const screen = await TestScreen.open(api.base, await api.cookieOf(user));
  screens.push(screen);
  return screen;
}
async function following(user = anna) {
  const screen = await look(user);
  screen.send({ op: 'sub', id: 1, topic: 'me' });
  const snap = await screen.next('snap');
  return { screen, snap, data: snap.data as MeData };
}
/** What the journal says of Anna's account. */
const commit = (changes: Partial<CustomerState> | null, events: PublicEvent[] = []) =>
  api.replica.commit(
    anna,
    changes === null ? [] : [{ kind: 'customer', id: anna, value: 'open', context: aCustomer(changes) }],
    events,
  );
const trade = (order: string, changes: Parameters<typeof aTrade>[2] = {}) => tradeEvent(aTrade(anna, order, changes));
const apply = (data: Record<string, unknown>, { set, del }: Static<typeof Delta>) => {
  Object.assign(data, set);
  for (const key of del) delete data[key];
  return data;
};

test('the owner of an account sees wallet, battery and open orders', async () => {
  commit({ sek: { available: 5_000_000, pending: 1_000_000 }, orders: [anOrder(`${anna}-1`)] });
  const { data } = await following();
  expect(data).toEqual({
    wallet: { availableE5Sek: 5_000_000, heldE5Sek: 1_000_000, creditLimitE5Sek: 0 },
    battery: { energyWh: 50_000, capacityWh: 100_000, levelBp: 5_000, powerW: 0, at: expect.any(Number) as number },
    [`order:${anna}-1`]: {
      ...{ order: `${anna}-1`, side: 'buy', state: 'held', site: 'demo', station: 'nord-1', slot: 5 },
      ...{ energyWh: 10_000, priceE5SekPerKwh: 100_000, amountE5Sek: 1_000_000, deliveredWh: 0, settledE5Sek: 0 },
      ...{ heldAt: 60_000, expiresAt: 120_000, committedAt: null },
    },
  });
});

test('an account that is opened while its owner looks appears', async () => {
  const { screen, snap, data } = await following();
  expect(data).toEqual({});
  commit({});
  const delta = await screen.next('delta');
  expect(delta.prev).toBe(snap.cursor);
  expect(Object.keys(delta.set).sort()).toEqual(['battery', 'wallet']);
});

test('only what changed is told, and being present is no change', async () => {
  commit({});
  const { screen } = await following();
  commit({ presentUntil: 99 });
  commit({ presentUntil: 99, sek: { available: 1, pending: 0 } });
  const { set, del } = await screen.next('delta');
  expect(set).toEqual({ wallet: { availableE5Sek: 1, heldE5Sek: 0, creditLimitE5Sek: 0 } });
  expect(del).toEqual([]);
});

test('an order that ends leaves, and its trade says how it ended', async () => {
  commit({ orders: [anOrder('1'), anOrder('2', { side: 'sell' })] });
  const { screen, snap } = await following();
  commit({ orders: [anOrder('2', { side: 'sell' })] }, [trade('1', { state: 'expired' })]);
  const event = await screen.next('event');
  expect(event).toMatchObject({
    prev: snap.cursor,
    event: { kind: 'trade', customer: anna, order: '1', state: 'expired' },
  });
  const delta = await screen.next('delta');
  expect(delta).toMatchObject({ prev: event.cursor, set: {}, del: ['order:1'] });
});

test('the energy of a battery that is charging moves with every sample of it', async () => {
  const from = Date.now() - 3_600_000;
  const order = anOrder('1', { state: 'delivering', committedAt: from, powerW: 11_000, energyWh: 50_000 });
  commit({ powerW: 11_000, sinceAt: from, orders: [order] });
  const { screen, data } = await following();
  expect(data.battery).toMatchObject({ powerW: 11_000 });
  // An hour at 11 kW, and what this test takes.
  expect(data.battery?.energyWh).toBeGreaterThanOrEqual(61_000);
  expect(data.battery?.energyWh).toBeLessThan(61_200);
  const sample = { slot: 1, at: 1, energyWh: 61_000, capacityWh: 100_000, levelBp: 6_100, powerW: 11_000 };
  commit(null, [{ kind: 'battery', subject: 'battery.x', payload: { customer: anna, ...sample } }]);
  const { set } = await screen.next('delta');
  expect(Object.keys(set)).toEqual(['battery']);
  expect((set as MeData).battery?.at).toBeGreaterThanOrEqual(data.battery?.at as number);
});

test('who was away gets the trades made meanwhile, and what ended, from the cursor held', async () => {
  commit({ orders: [anOrder('1'), anOrder('2')] });
  const { screen, snap, data } = await following();
  await screen.close();
  const [running] = [anOrder('2', { state: 'delivering', committedAt: 1, deliveredWh: 30 })];
  commit({ orders: [running] }, [trade('1', { state: 'cancelled' }), trade('2', { state: 'delivering' })]);
  commit({ orders: [running, anOrder('3')], sek: { available: 7, pending: 0 } }, [trade('3')]);

  const again = await look();
  again.send({ op: 'sub', id: 1, topic: 'me', cursor: snap.cursor });
  const told: string[] = [];
  let cursor = snap.cursor;
  for (let i = 0; i < 3; i++) {
    const { prev, event, ...frame } = await again.next('event');
    expect(prev).toBe(cursor);
    ({ cursor } = frame);
    if (event.kind === 'trade') told.push(`${event.order} ${event.state}`);
  }
  expect(told).toEqual(['1 cancelled', '2 delivering', '3 held']);
  const delta = await again.next('delta');
  expect(delta.prev).toBe(cursor);
  const state = apply({ ...data }, delta) as MeData;
  expect(Object.keys(state).sort()).toEqual(['battery', 'order:2', 'order:3', 'wallet']);
  expect(state['order:2']?.state).toBe('delivering');
  expect(state.wallet?.availableE5Sek).toBe(7);
  // The same frame again: nothing changes.
  expect(apply({ ...state }, delta)).toEqual(state);
});

test('a cursor that is older than what is remembered gets the whole state', async () => {
  commit({});
  const { screen, snap } = await following();
  screen.send({ op: 'unsub', id: 1 });
  await screen.next('unsub');
  // Another customer of the same partition is as busy as that.
  const events = Array.from({ length: 64 }, (_, i) => trade(`${i}`));
  for (let n = 0; n < 80; n++) commit(null, events);
  screen.send({ op: 'sub', id: 1, topic: 'me', cursor: snap.cursor });
  expect(Object.keys((await screen.next('snap')).data)).toEqual(['wallet', 'battery']);
});

test('trades are never conflated; more than a screen can be owed make it start over', async () => {
  commit({});
  const { screen } = await following();
  commit(
    null,
    Array.from({ length: pendingEventsMax }, (_, i) => trade(`${i}`)),
  );
  for (let i = 0; i < pendingEventsMax; i++)
    expect((await screen.next('event')).event).toMatchObject({ kind: 'trade', order: `${i}` });
  commit(
    null,
    Array.from({ length: pendingEventsMax + 1 }, (_, i) => trade(`${i}`)),
  );
  await screen.next('snap');
  commit(null, [trade('after')]);
  expect((await screen.next('event')).event).toMatchObject({ order: 'after' });
});

test('whoever has no account sees an empty one, and no other by any name', async () => {
  commit({});
  const { data } = await following('operator');
  expect(data).toEqual({});
  const screen = await look('admin');
  for (const topic of [`me:${anna}`, 'me:', `me:${anna}:`, `customer:${anna}`, `wallet:${anna}`]) {
    screen.send({ op: 'sub', id: 1, topic });
    expect(await screen.next('refuse')).toMatchObject({ code: 'unknown_topic', detail: { topic } });
  }
});
