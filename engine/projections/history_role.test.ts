import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { NatsConnection } from '@nats-io/transport-node';
import { domain } from '#actors/mod';
import { encodeImage } from '#actors/codec';
import type { StationState } from '#actors/schema/entities';
import { startTestClickHouse, type TestClickHouse } from '../embedded/clickhouse/testing.ts';
import { encodeMessageBatch, type TracedFrame } from '../history/messages.ts';
import { openHistory } from '../history/mod.ts';
import { anyPositions, bounds, connectLog, internal, provision, pull, ringPublisher } from '../log/mod.ts';
import { startTestNats, type TestNats } from '../log/testing.ts';
import { packr, type EntityImage } from '../wire.ts';
import { lookup, openReplica, projectionReady, type SinkPositions } from './mod.ts';
import { stageOf } from './rebuild.ts';
import {
  journalWriter,
  meterEvent,
  priceEvent,
  seededRandom,
  startTestRedis,
  until,
  type TestRedis,
} from './testing.ts';

const partitions = 4;
let nats: TestNats;
let redisServer: TestRedis;
let clickhouse: TestClickHouse;
let nc: NatsConnection;

beforeAll(async () => {
  [nats, redisServer, clickhouse] = await Promise.all([startTestNats(), startTestRedis(), startTestClickHouse()]);
  nc = await connectLog(nats.url, 'test');
  await provision(nc, { partitions, scale: 0.1 });
}, 240_000);
afterAll(async () => {
  await nc.close();
  await Promise.all([nats.stop(), redisServer.stop(), clickhouse.stop()]);
});

const main = fileURLToPath(new URL('./main.ts', import.meta.url));

/** Starts the role as the supervisor does; resolves with its ready line. */
async function startRole(): Promise<{ child: ChildProcess; log: () => string }> {
  const child = spawn(process.execPath, ['--conditions=source', '--import', 'tsx', main], {
    env: {
      ...process.env,
      GRIDTICK_NATS_URL: nats.url,
      GRIDTICK_REDIS_URL: redisServer.url,
      GRIDTICK_CLICKHOUSE_URL: clickhouse.url,
      GRIDTICK_CLICKHOUSE_USER: clickhouse.user,
      GRIDTICK_CLICKHOUSE_PASSWORD: clickhouse.password,
      GRIDTICK_PARTITIONS: String(partitions),
    },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let log = '';
  child.stderr?.on('data', (chunk: Buffer) => (log = (log + chunk.toString()).slice(-20_000)));
  const ended = once(child, 'exit').then(() => null);
  const line = await Promise.race([once(child.stdout as NodeJS.ReadableStream, 'data'), ended]);
  if (!line) throw new Error(`history did not start: ${log}`);
  expect(JSON.parse(String(line[0]))).toMatchObject({ ready: true });
  return { child, log: () => log };
}

const stationDefinition = domain.actors.find((a) => a.kind === 'station');
if (!stationDefinition) throw new Error('the domain has no stations');
const station = (id: string, version: number, priceE5SekPerKwh: number): EntityImage => {
  const state: StationState = {
    site: 'demo',
    name: id,
    capacityW: 138_000,
    baseE5SekPerKwh: 100_000,
    createdAt: 1,
    slot: version,
    producedAt: version * 12_000,
    loadW: 110_400,
    utilisationBp: 8_000,
    priceE5SekPerKwh,
    importOpen: true,
    stale: false,
    draws: { powerW: 0, sinceMs: 0, slot: version, wMs: 0 },
  };
  return {
    kind: 'station',
    id,
    version,
    schema: stationDefinition.version,
    key: 'demo',
    image: encodeImage(stationDefinition, 'normal', state),
  };
};

test('a history killed at random again and again: each row, public event and state is there once, and the newest', async () => {
  const seed = Date.now() % 100_000;
  const random = seededRandom(seed);
  const writers = Array.from({ length: partitions }, (_, p) => journalWriter(nc, p));
  const versions = new Array<number>(partitions).fill(0);
  const expected = { prices: 0, meters: 0 };
  const last = new Array<number>(partitions).fill(0);
  const now = Date.now();
  let batches = 0;
  const publisher = ringPublisher(nc);
  // Every third batch comes twice, as from a gateway that did not hear that it was stored.
  const sendMessages = async (sequence: number) => {
    const frames: TracedFrame[] = [0, 1].map((i) => [
      now + sequence,
      'in',
      'CP-1',
      1,
      '',
      null,
      `[2,"${i}","Heartbeat",{}]`,
    ]);
    const bytes = encodeMessageBatch({ v: 1, gateway: 'gw-1', sequence, dropped: 0, frames });
    for (let i = 0; i < (sequence % 3 === 0 ? 2 : 1); i++) await publisher.publish('raw.gw-1', bytes);
  };
  let writing = true;
  const writer = (async () => {
    // Bounded, because a busy machine takes long to start a process four times.
    for (let slot = Math.floor(now / 12_000); writing && expected.prices < 4_000; slot++) {
      await Promise.all(
        writers.map(async (w, p) => {
          versions[p] = (versions[p] as number) + 1;
          const meters = Array.from({ length: 8 }, (_, i) => meterEvent(`c${p}-${i}`, now + slot));
          const { sequence } = await w.append({
            entities: [station(`s${p}`, versions[p], slot)],
            events: [priceEvent(`s${p}`, slot), ...meters],
          });
          last[p] = sequence;
          expected.prices += 1;
          expected.meters += meters.length;
        }),
      );
      if (slot % 5 === 0) await sendMessages(++batches);
      await new Promise((resolve) => setTimeout(resolve, 15));
    }
  })();

  for (let round = 0; round < 3; round++) {
    const { child } = await startRole();
    await new Promise((resolve) => setTimeout(resolve, 200 + random() * 1_200));
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
  }
  const { child, log } = await startRole();
  writing = false;
  await writer;

  const history = await openHistory({ url: clickhouse.url, user: clickhouse.user, password: clickhouse.password });
  const newest = new Map(last.entries());
  await until(
    `seed ${seed}: history has all`,
    async () => {
      const positions = await history.readPositions();
      return [...newest].every(([p, sequence]) => positions.get(p) === sequence);
    },
    40_000,
  );
  const count = async (view: string, by = 'partition') => {
    const query = `SELECT count() AS rows, countDistinct(${by}, sequence, \`index\`) AS places FROM gridtick.${view}`;
    const [row] = await (
      await history.client.query({ query, format: 'JSONEachRow' })
    ).json<{ rows: string; places: string }>();
    return [Number(row?.rows), Number(row?.places)];
  };
  expect(await count('prices'), `seed ${seed}`).toEqual([expected.prices, expected.prices]);
  expect(await count('meter_values'), `seed ${seed}`).toEqual([expected.meters * 2, expected.meters * 2]);

  await until('messages are stored', async () => (await count('ocpp_messages', 'gateway'))[0] === batches * 2);
  expect(await count('ocpp_messages', 'gateway'), `seed ${seed}`).toEqual([batches * 2, batches * 2]);
  publisher.close();

  const redis = redisServer.client();
  await until(
    'Redis has all',
    async () => (await redis.mget([...newest.keys()].map((p) => `projected:${p}`))).join() === last.join(),
  );
  expect(await projectionReady(redis, partitions)).toBe(true);
  const replica = await openReplica(nc, redis, { partitions, kinds: ['station'] });
  for (let p = 0; p < partitions; p++) {
    expect(replica.get('station', `s${p}`)).toEqual(await lookup(redis, 'station', `s${p}`));
    expect(replica.get<StationState>('station', `s${p}`)).toMatchObject({
      key: 'demo',
      context: { slot: versions[p] },
      sequence: last[p],
    });
  }
  await replica.close();

  await until(
    'all published',
    async () =>
      (await publicEvents('METER')).length >= expected.meters &&
      (await publicEvents('PRICE')).length >= expected.prices,
  );
  for (const [name, total] of [
    ['METER', expected.meters],
    ['PRICE', expected.prices],
  ] as const) {
    const stored = await publicEvents(name);
    expect([stored.length, new Set(stored).size], `seed ${seed}: ${name}`).toEqual([total, total]);
  }

  // A rebuild of each copy is cut off by a kill: the next process goes on with it, and both are as they were.
  const states = async () => (await redis.keys('e:*')).sort();
  const before = await states();
  nc.publish(internal.rebuild, 'clickhouse');
  await until('the rebuild is under way', async () => (await stageOf(redis, 'clickhouse')) !== null);
  const cutOff = once(child, 'exit');
  child.kill('SIGKILL');
  await cutOff;
  await redis.set('rebuilding:redis', JSON.stringify('dropping'));
  await redis.unlink('projected:0', ...before.slice(0, 1));
  const again = await startRole();
  await until(
    `seed ${seed}: both are whole again`,
    async () =>
      (await stageOf(redis, 'clickhouse')) === null &&
      (await stageOf(redis, 'redis')) === null &&
      (await projectionReady(redis, partitions)),
    40_000,
  );
  expect(await count('prices'), `seed ${seed}`).toEqual([expected.prices, expected.prices]);
  expect(await count('meter_values'), `seed ${seed}`).toEqual([expected.meters * 2, expected.meters * 2]);
  expect(await states()).toEqual(before);

  const gone = once(again.child, 'exit');
  again.child.kill('SIGTERM');
  expect(await gone, `${log()}${again.log()}`).toEqual([0, null]);
  await history.close();
}, 240_000);

test('positions of all three sinks are announced, and the role ends with its supervisor', async () => {
  const announced = new Map<string, SinkPositions>();
  const subscription = nc.subscribe(anyPositions, {
    callback: (_, m) => {
      const message = packr.unpack(m.data) as SinkPositions;
      announced.set(message.sink, message);
    },
  });
  await nc.flush();
  const { child, log } = await startRole();
  await until('announced', () => announced.size === 3);
  expect([...announced.keys()].sort()).toEqual(['clickhouse', 'publisher', 'redis']);
  for (const { positions } of announced.values()) expect(positions.map(([p]) => p).sort()).toEqual([0, 1, 2, 3]);
  subscription.unsubscribe();
  const gone = once(child, 'exit');
  child.stdin?.end();
  expect(await gone, log()).toEqual([0, null]);
}, 60_000);

test('a log that went back in time ends the role with the reason', async () => {
  const redis = redisServer.client();
  const before = await redis.get('projected:0');
  await redis.set('projected:0', '999999');
  await expect(startRole()).rejects.toThrow(/J_0 ends at \d+, but the Redis projection has already seen 999999/);
  await redis.set('projected:0', String(before));
}, 60_000);

/** Journal positions of all stored events of a public stream. */
async function publicEvents(name: string): Promise<string[]> {
  const { last } = await bounds(nc, name);
  const stored: string[] = [];
  await new Promise<void>((resolve, reject) => {
    pull(nc, name, { from: 1 }, (messages) => {
      for (const m of messages) if (m.subject.startsWith('pub.')) stored.push(m.header('Gridtick-At'));
      if ((messages.at(-1)?.sequence ?? 0) >= last) resolve();
    }).then((reader) => reader.ended.then((error) => error && reject(error)), reject);
  });
  return stored;
}
