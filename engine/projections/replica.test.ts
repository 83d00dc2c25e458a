import { afterAll, beforeAll, expect, test } from 'vitest';
import type { NatsConnection } from '@nats-io/transport-node';
import { connectLog } from '../log/connection.ts';
import { provision } from '../log/provision.ts';
import { startTestNats, type TestNats } from '../log/testing.ts';
import { purgeJournal } from '../log/journal.ts';
import { natsJournal } from './journal.ts';
import { definitionsOf } from './entities.ts';
import { lookup, projectionReady } from './lookup.ts';
import { startRedisProjection, storedEntities } from './redis_projection.ts';
import { followReplica, type Replica, type ReplicaChange } from './replica.ts';
import {
  journalWriter,
  lamp,
  lampDefinition,
  priceEvent,
  seededRandom,
  startTestRedis,
  tag,
  testDefinitions,
  until,
  type TestRedis,
} from './testing.ts';

const partitions = 2;
let nats: TestNats;
let nc: NatsConnection;
let redisServer: TestRedis;

beforeAll(async () => {
  nats = await startTestNats();
  redisServer = await startTestRedis();
  nc = await connectLog(nats.url, 'test');
});
afterAll(async () => {
  await nc.close();
  await redisServer.stop();
  await nats.stop();
});

/** Empty journals and an empty Redis. */
async function fresh() {
  const { jetstreamManager } = await import('@nats-io/jetstream');
  const jsm = await jetstreamManager(nc);
  for (let p = 0; p < partitions; p++) await jsm.streams.delete(`J_${p}`).catch(() => undefined);
  await provision(nc, { partitions, scale: 0.01 });
  const redis = redisServer.client();
  await redis.flushall();
  const journal = natsJournal(nc, partitions);
  const writers = [journalWriter(nc, 0), journalWriter(nc, 1)] as const;
  const fatal: Error[] = [];
  const project = () =>
    startRedisProjection(redis, journal, { definitions: testDefinitions, onFatal: (e) => fatal.push(e) });
  const follow = () => followReplica(redis, journal, { kinds: ['lamp', 'tag'], definitions: testDefinitions });
  return { redis, journal, writers, fatal, project, follow };
}

const wattsOf = (replica: Replica) =>
  Object.fromEntries([...replica.all<{ watts: number }>('lamp')].map((e) => [e.id, e.context.watts]).sort());

test('Redis holds the last state of every entity, and forgets removed ones', async () => {
  const { redis, writers, project } = await fresh();
  await writers[0].append({ entities: [lamp('a', 1, 40), lamp('b', 1, 60)] });
  await writers[0].append({ entities: [lamp('a', 2, 0)] });
  await writers[0].append({ entities: [lamp('b', 2, null)] });
  expect(await projectionReady(redis, partitions)).toBe(false);
  const projection = await project();
  await until('projected', async () => (await redis.get('projected:0')) === '3');

  expect(await lookup(redis, 'lamp', 'a', testDefinitions)).toEqual({
    kind: 'lamp',
    id: 'a',
    key: 'demo',
    value: 'off',
    context: { site: 'demo', watts: 0 },
    partition: 0,
    sequence: 2,
  });
  expect(await lookup(redis, 'lamp', 'b', testDefinitions)).toBeUndefined();
  expect(await redis.smembers('ids:lamp')).toEqual(['a']);
  expect(await projectionReady(redis, partitions)).toBe(true);
  await projection.close();
});

test('what an earlier build left in Redis is read as well, brought to the newest schema', async () => {
  const { redis } = await fresh();
  await redis.set('e:lamp:a', '{"p":0,"s":9,"k":"demo","value":"on","context":{"site":"demo","watts":9}}');
  const definitions = definitionsOf({
    actors: [{ ...lampDefinition, version: 2, migrate: { 1: (context) => ({ ...context, colour: 'warm' }) } }],
    records: [],
  });
  expect(await lookup(redis, 'lamp', 'a', definitions)).toEqual({
    kind: 'lamp',
    id: 'a',
    key: 'demo',
    value: 'on',
    context: { site: 'demo', watts: 9, colour: 'warm' },
    partition: 0,
    sequence: 9,
  });
});

test('a kind or schema that this build does not know stops the projection and who reads it', async () => {
  const { redis, writers, project, fatal } = await fresh();
  await writers[0].append({ entities: [lamp('a', 1, 1)] });
  const projection = await project();
  await until('projected', async () => (await redis.get('projected:0')) === '1');
  await writers[0].append({ entities: [{ ...lamp('a', 2, 2), schema: 7 }] });
  await until('stopped', () => fatal.length > 0);
  expect(fatal[0]).toMatchObject({ code: 'newer_schema' });
  expect((await lookup(redis, 'lamp', 'a', testDefinitions))?.context).toMatchObject({ watts: 1 });
  await projection.close();
  await redis.set('e:lamp:a', '[0,9,null,7,["on","demo",2]]');
  await expect(lookup(redis, 'lamp', 'a', testDefinitions)).rejects.toMatchObject({ code: 'newer_schema' });
  await expect(lookup(redis, 'lamp', 'a', definitionsOf({ actors: [], records: [] }))).rejects.toMatchObject({
    code: 'unknown_entity_kind',
  });
});

test('what an actor keeps for its own decisions stays out of Redis, and the position passes over it', async () => {
  const { redis, journal, writers } = await fresh();
  await writers[0].append({ entities: [lamp('a', 1, 40), tag('DEMO0001', 0, 5)] });
  await writers[0].append({ entities: [tag('DEMO0001', 0, 6)] });
  const projection = await startRedisProjection(redis, journal, {
    definitions: testDefinitions,
    leaveOut: new Set(['tag']),
    onFatal: (error) => expect.unreachable(error.message),
  });
  await until('projected', async () => (await redis.get('projected:0')) === '2');
  expect(await redis.keys('e:*')).toEqual(['e:lamp:a']);
  await projection.close();
});

test('what every partition holds its own of is kept apart per partition', async () => {
  const { redis, writers, project } = await fresh();
  await writers[0].append({ entities: [tag('DEMO0001', 0, 5)] });
  await writers[1].append({ entities: [tag('DEMO0001', 1, 6)] });
  const projection = await project();
  await until('projected', async () => (await redis.mget('projected:0', 'projected:1')).every((p) => p === '1'));
  expect((await lookup(redis, 'tag', 'DEMO0001@0', testDefinitions))?.context).toEqual({ version: 5 });
  expect((await lookup(redis, 'tag', 'DEMO0001@1', testDefinitions))?.context).toEqual({ version: 6 });
  await projection.close();
});

test('a projection that was overtaken by another one stops and takes nothing back', async () => {
  const { redis, writers, project, fatal } = await fresh();
  await writers[0].append({ entities: [lamp('a', 1, 1)] });
  const overtaken = await project();
  await until('projected', async () => (await redis.get('projected:0')) === '1');
  // Another one has gone on to 9 while this one was paused.
  await redis.set('projected:0', '9');
  await redis.set('e:lamp:a', '{"p":0,"s":9,"value":"on","context":{"site":"demo","watts":9}}');
  await writers[0].append({ entities: [lamp('a', 2, 2)] });
  await until('stopped', () => fatal.length > 0);
  expect(fatal[0]).toMatchObject({ code: 'other_writer' });
  expect((await lookup(redis, 'lamp', 'a', testDefinitions))?.context).toEqual({ site: 'demo', watts: 9 });
  expect(await redis.get('projected:0')).toBe('9');
  await overtaken.close();
});

test('a journal that is older than Redis is refused by name', async () => {
  const { redis, writers, project, follow } = await fresh();
  await writers[0].append({ entities: [lamp('a', 1, 1)] });
  await redis.mset('projected:0', '4000', 'projected:1', '0');
  await expect(project()).rejects.toThrow(/J_0 ends at 1, but the Redis projection has already seen 4000/);
  await expect(follow()).rejects.toThrow(/J_0 ends at 1, but the replica has already seen 4000/);
});

test('a purged journal needs a snapshot, which also removes what is gone', async () => {
  const { redis, journal, writers, project } = await fresh();
  for (let i = 1; i <= 5; i++) await writers[0].append({ entities: [lamp('a', i, i)] });
  await purgeJournal(nc, 0, 4);
  await expect(project()).rejects.toMatchObject({ code: 'journal_purged' });

  await redis.set('e:lamp:ghost', '{"p":0,"s":1,"value":"on","context":{"site":"demo","watts":1}}');
  await redis.sadd('ids:lamp', 'ghost');
  const projection = await startRedisProjection(redis, journal, {
    definitions: testDefinitions,
    onFatal: (e) => {
      throw e;
    },
    loadSnapshot: (p) =>
      Promise.resolve(p === 0 ? { sequence: 3, entities: [lamp('a', 3, 3), lamp('old', 1, 8)] } : null),
  });
  await until('projected', async () => (await redis.get('projected:0')) === '5');
  expect((await lookup(redis, 'lamp', 'a', testDefinitions))?.context).toMatchObject({ watts: 5 });
  expect((await redis.smembers('ids:lamp')).sort()).toEqual(['a', 'old']);
  await projection.close();
});

test('replicas opened while writing goes on have neither hole nor double, and equal Redis and the journal', async () => {
  const seed = 20260;
  const random = seededRandom(seed);
  const { redis, writers, project, follow, fatal } = await fresh();
  const truth = new Map<string, { watts: number; sequence: number }>();
  const versions = new Map<string, number>();
  const lasts = [0, 0];
  const writeSome = async (records: number) => {
    const appended: Promise<void>[] = [];
    for (let i = 0; i < records; i++) {
      const p = random() < 0.5 ? 0 : 1;
      const entities = Array.from({ length: 1 + Math.floor(random() * 3) }, (_, n) => {
        // Two names of a record never meet: an entity appears once in a record.
        const id = `p${p}-${n}-${Math.floor(random() * 40)}`;
        const version = (versions.get(id) ?? 0) + 1;
        versions.set(id, version);
        return lamp(id, version, random() < 0.15 ? null : Math.floor(random() * 1_000));
      });
      appended.push(
        writers[p].append({ entities, events: [priceEvent(`s${p}`, i)] }).then(({ sequence }) => {
          lasts[p] = sequence;
          for (const e of entities) {
            if (e.image === null) truth.delete(e.id);
            else truth.set(e.id, { watts: e.image[2] as number, sequence });
          }
        }),
      );
      if (i % 50 === 49) await Promise.all(appended.splice(0));
    }
    await Promise.all(appended);
  };

  await writeSome(200);
  const projection = await project();
  const replicas: Replica[] = [];
  /** What somebody who looks once and then listens ends up with. */
  const listeners: { held: Map<string, number>; events: Map<number, number[]>; from: number[] }[] = [];
  const writing = writeSome(3_000);
  for (let i = 0; i < 5; i++) {
    const replica = await follow();
    replicas.push(replica);
    const held = new Map([...replica.all<{ watts: number }>('lamp')].map((e) => [e.id, e.context.watts]));
    const events = new Map<number, number[]>([
      [0, []],
      [1, []],
    ]);
    listeners.push({ held, events, from: [replica.position(0), replica.position(1)] });
    replica.onChange(({ kind, id, before, after }: ReplicaChange) => {
      if (kind !== 'lamp') return;
      expect(before?.context['watts'], `seed ${seed}: ${id}`).toBe(held.get(id));
      if (after) held.set(id, after.context['watts'] as number);
      else held.delete(id);
    });
    replica.onEvents((_, at) => events.get(at.partition)?.push(at.sequence));
  }
  await writing;
  await until('followed', () => replicas.every((r) => r.position(0) === lasts[0] && r.position(1) === lasts[1]));
  await until('projected', async () => (await redis.mget('projected:0', 'projected:1')).join() === lasts.join());

  const expected = Object.fromEntries([...truth].map(([id, { watts }]) => [id, watts]).sort());
  const inRedis: Record<string, number> = {};
  for await (const e of storedEntities(redis, testDefinitions, 'lamp')) {
    inRedis[e.id] = e.context['watts'] as number;
    expect(e.sequence, `seed ${seed}: ${e.id}`).toBe(truth.get(e.id)?.sequence);
  }
  expect(inRedis).toEqual(expected);
  for (const [i, replica] of replicas.entries()) {
    expect(wattsOf(replica), `seed ${seed}, replica ${i}`).toEqual(expected);
    const { held, events, from } = listeners[i] as (typeof listeners)[0];
    expect(Object.fromEntries([...held].sort())).toEqual(expected);
    for (const p of [0, 1]) {
      const first = (from[p] as number) + 1;
      expect(events.get(p)).toEqual(Array.from({ length: (lasts[p] as number) - first + 1 }, (_, n) => first + n));
    }
    await replica.close();
  }
  expect(fatal).toEqual([]);
  await projection.close();
});

test('what a superseded owner still appended is shown nowhere, wherever a reader begins', async () => {
  const { redis, writers, project, follow } = await fresh();
  const [writer] = writers;
  await writer.append({ entities: [lamp('a', 1, 1)] });
  await writer.append({ entities: [lamp('a', 2, 2)] });
  // Epoch 2 stands where batch 2 of epoch 1 wanted to be; batch 3 finds the number that it expected.
  await writer.append({ as: [2, 0] });
  await writer.append({ as: [1, 3], entities: [lamp('a', 4, 666), lamp('stray', 1, 1)] });
  await writer.append({ as: [2, 2], entities: [lamp('a', 4, 777)] });
  const early = await project();
  await until('projected', async () => (await redis.get('projected:0')) === '5');
  expect((await lookup(redis, 'lamp', 'a', testDefinitions))?.context).toMatchObject({ watts: 2 });
  await early.close();

  const replica = await follow();
  const late = await project();
  await writer.append({ as: [2, 1], entities: [lamp('a', 3, 3)] });
  await writer.append({ as: [2, 2], entities: [lamp('a', 4, 4)] });
  await until('projected', async () => (await redis.get('projected:0')) === '7');
  await until('followed', () => replica.position(0) === 7);
  expect((await lookup(redis, 'lamp', 'a', testDefinitions))?.context).toMatchObject({ watts: 4 });
  expect(wattsOf(replica)).toEqual({ a: 4 });
  await replica.close();
  await late.close();
});

test('a replica survives a killed nats-server and goes on without a hole', async () => {
  const { journal, writers, project, follow } = await fresh();
  await writers[0].append({ entities: [lamp('a', 1, 1)] });
  const projection = await project();
  const replica = await follow();
  const seen: number[] = [];
  replica.onChange(({ after }) => seen.push(after?.context['watts'] as number));
  await writers[0].append({ entities: [lamp('a', 2, 2)] });
  await nats.kill9();
  await nats.restart();
  await until('connected', () =>
    journal.bounds(0).then(
      () => true,
      () => false,
    ),
  );
  await writers[0].append({ entities: [lamp('a', 3, 3)] });
  await until('followed', () => replica.get('lamp', 'a')?.context['watts'] === 3);
  expect(seen).toEqual([2, 3]);
  await replica.close();
  await projection.close();
});
