/** What one screen may cost, however slow it is and however busy the house. */
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { startTestApi, TestScreen, type TestApi } from '../api/testing.ts';
import type { LiveEvent } from '../schema/live.ts';
import type { Topic, TopicSource } from './source.ts';
import { pendingEventsMax, pendingKeysMax, Subscription } from './subscription.ts';
import { aCharger, aConnector, aTrade, producePrice, tradeEvent } from './testing.ts';

const bufferedBytesHigh = 64 * 1024;
let api: TestApi;
const screens: TestScreen[] = [];
beforeAll(async () => {
  api = await startTestApi({
    limits: { flushEveryMs: 20, bufferedBytesHigh, behindMsMax: 3_000, rightsEveryMs: 60_000 },
  });
});
afterAll(() => api.close());
afterEach(() => {
  for (const screen of screens.splice(0)) screen.ws.terminate();
});
async function look(user = 'operator') {
  const screen = await TestScreen.open(api.base, await api.cookieOf(user));
  screens.push(screen);
  return screen;
}

test('a screen that takes nothing costs one set of keys, is closed, and slows nobody', async () => {
  const slow = await look();
  const fast = await look();
  for (const screen of [slow, fast]) {
    screen.send({ op: 'sub', id: 1, topic: 'station:nord-1' });
    await screen.next('snap');
  }
  slow.ws.pause();
  const connectors = Array.from({ length: 4 }, () => aConnector({ status: 'Charging', errorCode: 'x'.repeat(20_000) }));
  const snapshotBytes = 5 * 4 * 20_000;
  const loads: { bufferedBytes: number; behind: number }[] = [];
  let slot = 10;
  while (api.hub.size > 1) {
    api.replica.commit('demo', [
      { kind: 'charger', id: 'CP-0001', value: 'accepted', context: aCharger({ connectors }) },
    ]);
    producePrice(api.replica, ++slot);
    // Told at once, whatever the other one does.
    expect((await fast.next('event')).event).toMatchObject({ kind: 'price', price: { slot } });
    await fast.next('delta');
    loads.push(api.hub.load);
  }
  expect(loads.some(({ behind }) => behind === 1)).toBe(true);
  // What was let through when it was not yet behind, and never more.
  expect(Math.max(...loads.map((load) => load.bufferedBytes))).toBeLessThan(bufferedBytesHigh + snapshotBytes);
  expect(fast.ws.readyState).toBe(fast.ws.OPEN);
  slow.ws.resume();
  expect([4408, 1006]).toContain((await slow.closed).code);
}, 60_000);

test('a screen that was slow for a moment gets the latest values and all its events', async () => {
  const screen = await look();
  screen.send({ op: 'sub', id: 1, topic: 'station:nord-1' });
  await screen.next('snap');
  screen.ws.pause();
  const from = api.replica.position(6);
  for (let slot = 1_000; slot < 1_100; slot++) producePrice(api.replica, slot);
  expect(api.replica.position(6)).toBe(from + 100);
  screen.ws.resume();
  for (let slot = 1_000; slot < 1_100; slot++)
    expect((await screen.next('event')).event).toMatchObject({ price: { slot } });
  expect((await screen.next('delta')).set).toMatchObject({ station: { slot: 1_099 } });
});

test('64 topics are enough for a screen', async () => {
  const screen = await look();
  for (let id = 0; id < 64; id++) screen.send({ op: 'sub', id, topic: 'tree:demo' });
  for (let id = 0; id < 64; id++) await screen.next('snap');
  // The same one again is none more.
  screen.send({ op: 'sub', id: 63, topic: 'tree:demo' });
  await screen.next('snap');
  screen.send({ op: 'sub', id: 64, topic: 'tree:demo' });
  expect(await screen.next('refuse')).toMatchObject({ code: 'too_many_topics', detail: { topicsMax: 64 } });
  expect((await screen.closed).code).toBe(4429);
});

test('what waits for one topic is bounded by keys and by events, and a snapshot takes the place of more', () => {
  const topic: Topic = { kind: 'me', id: 'anna', name: 'me' };
  const source: TopicSource = {
    position: () => ({ partition: 0, sequence: 9 }),
    keysSince: () => ['wallet'],
    eventsSince: () => [],
    valueOf: () => 1,
    listen: () => () => {},
  };
  const viewer = { user: 'anna', roles: ['customer' as const] };
  const made = () => {
    const subscription = new Subscription(source, 1, topic, viewer, { partition: 0, sequence: 9 }, undefined);
    subscription.flush(0, 0);
    return subscription;
  };
  const event: LiveEvent = { kind: 'trade', ...aTrade('anna', '1') };

  const byKeys = made();
  for (let i = 0; i < pendingKeysMax; i++) byKeys.touched([`order:${i}`, `order:${i}`]);
  expect(byKeys.waiting).toBe(pendingKeysMax);
  byKeys.touched(['order:one-more']);
  expect(byKeys.waiting).toBe(0);
  for (let i = 0; i < 100_000; i++) byKeys.touched([`order:${i}`]);
  expect(byKeys.waiting).toBe(0);
  expect(byKeys.flush(0, 0)).toMatchObject([{ op: 'snap', data: { wallet: 1 } }]);

  const byEvents = made();
  for (let i = 0; i < pendingEventsMax; i++) byEvents.event(event, 10);
  expect(byEvents.waiting).toBe(pendingEventsMax);
  for (let i = 0; i < 100_000; i++) byEvents.event(event, 10);
  expect(byEvents.waiting).toBe(0);
  expect(byEvents.flush(0, 0)).toMatchObject([{ op: 'snap' }]);
});

test('a thousand trades of others cost a screen nothing', async () => {
  const screen = await look('customer');
  screen.send({ op: 'sub', id: 1, topic: 'me' });
  await screen.next('snap');
  for (let n = 0; n < 1_000; n++) api.replica.commit('trader', [], [tradeEvent(aTrade('trader', `${n}`))]);
  expect(await screen.settled()).toEqual([]);
  expect(api.hub.load).toMatchObject({ topics: 1, behind: 0, bufferedBytes: 0 });
});

test('a server that is restarted says so to every screen', async () => {
  const own = await startTestApi();
  const screen = await TestScreen.open(own.base, await own.cookieOf('customer'));
  screen.send({ op: 'sub', id: 1, topic: 'me' });
  await screen.next('snap');
  await own.close();
  expect(await screen.closed).toEqual({ code: 4409, reason: 'new_version' });
});
