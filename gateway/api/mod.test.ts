import { afterAll, beforeAll, expect, test } from 'vitest';
import { pino } from 'pino';
import type { Redis } from 'ioredis';
import type { NatsConnection } from '@nats-io/transport-node';
import { connectLog } from '#engine/log/mod';
import { startTestNats, type TestNats } from '#engine/log/testing';
import { startTestRedis, type TestRedis } from '#engine/projections/testing';
import { packr } from '#engine/wire';
import { demoReplica } from '../live/testing.ts';
import type { Ready } from '../schema/health.ts';
import { startApi, type StartApiDeps } from './mod.ts';
import { emptyGridHistory } from './testing_world.ts';

const partitions = 2;
let server: TestNats;
let store: TestRedis;
let nats: NatsConnection;
let redis: Redis;
let historyAnswers = true;

beforeAll(async () => {
  [server, store] = await Promise.all([startTestNats(), startTestRedis()]);
  nats = await connectLog(server.url, 'api test');
  redis = store.client();
});
afterAll(async () => {
  await nats.close();
  await server.stop();
  await store.stop();
});

const noEngine = () => Promise.reject(new Error('nobody is behind this door'));
const noRows = () => Promise.resolve({ rows: [], cursor: null });
const deps = (): StartApiDeps => ({
  config: { bind: '127.0.0.1', httpPort: 0, loopDelayMsMax: 60_000 },
  redis,
  replica: demoReplica(),
  nats,
  door: { partitions, request: noEngine, append: noEngine },
  history: {
    prices: async () => [],
    trades: noRows,
    ledgerEntries: noRows,
    batteryStates: noRows,
    ...emptyGridHistory,
    deadLetters: async () => [],
    ping: async () => historyAnswers,
  },
  log: pino({ level: 'silent' }),
});

/** What is not well, by name. */
async function failing(port: number): Promise<string[]> {
  const response = await fetch(`http://127.0.0.1:${port}/health/ready`);
  const body = (await response.json()) as Ready | { detail: { checks: Ready['checks'] } };
  const checks = 'checks' in body ? body.checks : body.detail.checks;
  const names = Object.entries(checks).flatMap(([name, { ok }]) => (ok ? [] : [name]));
  expect(response.status).toBe(names.length === 0 ? 200 : 503);
  return names;
}

const engineSays = async (lagMs: number) => {
  nats.publish(
    'engine.e1.commits',
    packr.pack({
      engine: 'e1',
      partitions: [
        [0, 9, 9, 0],
        [1, 9, 9, lagMs],
      ],
    }),
  );
  // Published and received by the same connection: in order, so one round trip suffices.
  await nats.flush();
};

test('the door is ready once projection, engine and history are, and not before', async () => {
  const api = await startApi(deps());
  expect(await failing(api.port)).toEqual(['projection', 'engine']);
  await redis.mset({ 'projected:0': '1', 'projected:1': '1' });
  expect(await failing(api.port)).toEqual(['engine']);
  await engineSays(0);
  expect(await failing(api.port)).toEqual([]);
  await engineSays(2_000);
  expect(await failing(api.port)).toEqual(['engine']);
  await engineSays(0);
  historyAnswers = false;
  expect(await failing(api.port)).toEqual(['history']);
  historyAnswers = true;
  await fetch(`http://127.0.0.1:${api.port}/nowhere/${Date.now()}`);
  // Counted when the last byte has been handed over, which may be after it was read.
  await expect
    .poll(() => api.stats())
    .toMatchObject({
      inFlight: 0,
      requests: expect.arrayContaining([
        [{ method: 'GET', route: '/health/ready', status: '200' }, 1],
        [{ method: 'GET', route: '/health/ready', status: '503' }, 4],
      ]),
    });
  expect(
    api
      .stats()
      .requests.map(([{ route }]) => route)
      .join(),
  ).not.toContain('nowhere');
  await api.close();
});

test('a port that is taken is an error, and nothing stays open', async () => {
  const first = await startApi(deps());
  const second = { ...deps(), config: { bind: '127.0.0.1', httpPort: first.port } };
  await expect(startApi(second)).rejects.toMatchObject({ code: 'EADDRINUSE' });
  await first.close();
  const third = await startApi(second);
  expect(third.port).toBe(first.port);
  await third.close();
});
