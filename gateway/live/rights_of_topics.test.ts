/** Rights of an open socket: what changes about its user changes what it gets, or ends it. */
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { startTestApi, TestScreen, type TestApi } from '../api/testing.ts';
import type { HealthData, ScreensHealth } from '../schema/live.ts';
import { HealthTopics } from './health_topics.ts';
import { Recorder } from './testing.ts';

let api: TestApi;
const screens: TestScreen[] = [];
beforeAll(async () => {
  api = await startTestApi({
    limits: { flushEveryMs: 20 },
    probes: { history: () => Promise.reject(new Error('connection refused')) },
  });
});
afterAll(() => api.close());
afterEach(() => {
  vi.useRealTimers();
  for (const screen of screens.splice(0)) screen.ws.terminate();
});
async function look(user: string) {
  const screen = await TestScreen.open(api.base, await api.cookieOf(user));
  screens.push(screen);
  return screen;
}

test('a user who is disabled is out at once, and nobody else is', async () => {
  await api.putUser('leaver', { roles: ['customer'] });
  const other = await look('customer');
  const screen = await look('leaver');
  screen.send({ op: 'sub', id: 1, topic: 'me' });
  await screen.next('snap');
  await api.putUser('leaver', { roles: ['customer'], value: 'disabled' });
  expect((await screen.closed).code).toBe(4401);
  other.send({ op: 'ping' });
  await other.next('pong');
});

test('a role that is withdrawn ends the socket that used it, not one that did not need it', async () => {
  await api.putUser('both', { roles: ['admin', 'customer'] });
  const [admin, customer] = [await look('both'), await look('both')];
  admin.send({ op: 'sub', id: 1, topic: 'health' });
  customer.send({ op: 'sub', id: 1, topic: 'me' });
  await Promise.all([admin.next('snap'), customer.next('snap')]);
  await api.putUser('both', { roles: ['customer'] });
  expect((await admin.closed).code).toBe(4403);
  customer.send({ op: 'sub', id: 2, topic: 'health' });
  expect(await customer.next('refuse')).toMatchObject({ code: 'role_missing', detail: { right: 'view_health' } });
});

test('who is there is told while a socket is open', async () => {
  const seen = vi.spyOn(api.presence, 'seen');
  await look('customer');
  await vi.waitFor(() => expect(seen.mock.calls.some(([{ user }]) => user === 'customer')).toBe(true));
});

test('an admin sees partitions, stores and screens; what does not answer says why', async () => {
  const screen = await look('admin');
  const recorder = new Recorder(screen.ws);
  screen.send({ op: 'sub', id: 1, topic: 'health' });
  const data = (await screen.next('snap')).data as HealthData;
  expect(data['partition:0']).toMatchObject({ partition: 0, served: true, lagMs: 3 });
  expect(Object.keys(data).filter((key) => key.startsWith('partition:'))).toHaveLength(16);
  const { set } = (await recorder.until((f) => f.op === 'delta' && 'store:history' in f.set)) as { set: object };
  expect(set).toMatchObject({
    'store:history': { ok: false, reason: 'connection refused' },
    'store:redis': { ok: true },
    'store:nats': { ok: true },
  });
});

test.each(['customer', 'operator'])('a %s does not see the health of the house', async (user) => {
  const screen = await look(user);
  screen.send({ op: 'sub', id: 1, topic: 'health' });
  expect(await screen.next('refuse')).toMatchObject({ code: 'role_missing', detail: { right: 'view_health' } });
});

test('health is measured while somebody looks, and only then', async () => {
  vi.useFakeTimers();
  let probed = 0;
  const screensHealth: ScreensHealth = { sockets: 0, topics: 0, behind: 0, bufferedBytes: 0 };
  const health = new HealthTopics({
    partitions: () => [{ partition: 0, served: true, lagMs: probed, sequence: 1 }],
    screens: () => screensHealth,
    probes: { late: () => new Promise(() => probed++) },
  });
  const topic = { kind: 'health' as const, id: '', name: 'health' };
  const told: string[] = [];
  health.listen({ touched: ([touch]) => told.push(...(touch?.keys ?? [])), event: () => {} });
  await vi.advanceTimersByTimeAsync(20_000);
  expect(told).toEqual([]);
  health.watched(topic, true);
  expect(told.splice(0)).toEqual(['partition:0', 'screens']);
  await vi.advanceTimersByTimeAsync(4_000);
  // The lag is another one, the screens are as they were, and a store that never answers is late.
  expect(told.splice(0)).toEqual(['partition:0', 'store:late']);
  expect(health.valueOf(topic, 'store:late')).toMatchObject({ ok: false, reason: 'no answer in 3000 ms' });
  health.watched(topic, false);
  const { sequence } = health.position(topic) ?? {};
  await vi.advanceTimersByTimeAsync(60_000);
  expect(probed).toBe(1);
  expect(health.position(topic)?.sequence).toBe(sequence);
});
