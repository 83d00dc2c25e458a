import type { NatsConnection } from '@nats-io/transport-node';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { jsApi } from './api.ts';
import { connectLog } from './connection.ts';
import { ProvisionDifference } from './errors.ts';
import { bounds } from './journal.ts';
import { integratorConsumer, provision, provisionIntegrator } from './provision.ts';
import { ringPublisher } from './ring_publisher.ts';
import { maxFileBytes, publicKinds, reservedBytes, streamTable } from './streams.ts';
import { startTestNats, type TestNats } from './testing.ts';

let nats: TestNats;
let nc: NatsConnection;
const size = { partitions: 2, scale: 1 / 16 };

beforeAll(async () => {
  nats = await startTestNats({ maxFileBytes: maxFileBytes({ partitions: 16 }) });
  nc = await connectLog(nats.url, 'provision test');
});
afterAll(async () => {
  await nc.close();
  await nats.stop();
});

const update = async (name: string, change: object) => {
  const { config } = await jsApi<{ config: object }>(nc, `STREAM.INFO.${name}`);
  await jsApi(nc, `STREAM.UPDATE.${name}`, { ...config, ...change });
};

test('everything is created once and found as it should be ever after', async () => {
  await provision(nc, size);
  await provision(nc, size);
  const { streams } = await jsApi<{ streams: string[] }>(nc, 'STREAM.NAMES');
  expect(streams.toSorted()).toEqual(
    ['C_0', 'C_1', 'J_0', 'J_1', 'S_0', 'S_1', 'OCPP', ...publicKinds.map((k) => k.toUpperCase())].toSorted(),
  );
  const { config } = await jsApi<{ config: Record<string, unknown> }>(nc, 'STREAM.INFO.J_1');
  expect(config).toMatchObject({
    subjects: ['j.1'],
    discard: 'new',
    max_bytes: 256 * 1024 * 1024,
    max_age: 0,
    allow_direct: false,
  });
});

test.each([
  ['J_0', 'max_age', 0, 86_400e9, { max_age: 86_400e9 }],
  ['J_1', 'max_bytes', 268_435_456, 1_000_000, { max_bytes: 1_000_000 }],
  ['C_0', 'discard', 'new', 'old', { discard: 'old' }],
  ['C_1', 'allow_direct', false, true, { allow_direct: true }],
  ['S_0', 'subjects', ['s.0.>'], ['s.0.>', 'elsewhere'], { subjects: ['s.0.>', 'elsewhere'] }],
  ['PRICE', 'max_msgs', -1, 5, { max_msgs: 5 }],
])('a difference in %s is refused and names %s', async (name, field, wanted, found, change) => {
  const { config } = await jsApi<{ config: object }>(nc, `STREAM.INFO.${name}`);
  await update(name, change);
  await expect(provision(nc, size)).rejects.toMatchObject({
    name: 'ProvisionDifference',
    subjectOf: `stream ${name}`,
    field,
    wanted,
    found,
  });
  await jsApi(nc, `STREAM.UPDATE.${name}`, config);
  await provision(nc, size);
});

test('another scale than that of the data directory is refused with the setting to change', async () => {
  const other = provision(nc, { partitions: 2, scale: 1 / 8 });
  await expect(other).rejects.toBeInstanceOf(ProvisionDifference);
  await expect(other).rejects.toThrow(
    /max_bytes should be \d+ but is \d+; a data directory keeps its size: set GRIDTICK_LOG_SCALE/,
  );
});

test('a consumer of an integrator that is not as it should be is refused', async () => {
  await provisionIntegrator(nc, { user: 'acme', hears: ['price', 'load'] });
  await provisionIntegrator(nc, { user: 'acme', hears: ['price', 'load'] });
  const durable = integratorConsumer('acme');
  await jsApi(nc, `CONSUMER.DELETE.LOAD.${durable}`);
  await jsApi(nc, `CONSUMER.DURABLE.CREATE.LOAD.${durable}`, {
    stream_name: 'LOAD',
    config: {
      durable_name: durable,
      deliver_policy: 'new',
      ack_policy: 'none',
      replay_policy: 'instant',
      max_waiting: 64,
    },
  });
  await expect(provisionIntegrator(nc, { user: 'acme', hears: ['price', 'load'] })).rejects.toThrow(
    `consumer ${durable} of LOAD: deliver_policy should be "all" but is "new"`,
  );
});

test('a refused append of the publisher reaches no subscriber, a stored one does once', async () => {
  const publisher = ringPublisher(nc);
  const heard: string[] = [];
  nc.subscribe('price.>', { callback: (_, m) => void heard.push(m.string()) });
  const { last } = await bounds(nc, 'PRICE');
  const text = (t: string) => new TextEncoder().encode(t);
  await publisher.publish('pub.price.a', text('one'), { expectedLastSequence: last });
  await expect(publisher.publish('pub.price.a', text('one again'), { expectedLastSequence: last })).rejects.toThrow(
    /wrong last sequence/,
  );
  await publisher.publish('pos.PRICE', text('position'), { expectedLastSequence: last + 1 });
  await publisher.publish('pub.price.a', text('two'), { expectedLastSequence: last + 2 });
  await nc.flush();
  expect(heard).toEqual(['one', 'two']);
  publisher.close();
});

test('sixteen partitions at scale 1 are reserved on any disk, because only the limit of the server counts', async () => {
  expect(reservedBytes({ partitions: 16 })).toBe((16 * (128 + 4096 + 512) + 10 * 1024 + 256) * 2 ** 20);
  expect(streamTable({ partitions: 16 })).toHaveLength(59);
  const fresh = await startTestNats({ maxFileBytes: maxFileBytes({ partitions: 16 }) });
  const connection = await connectLog(fresh.url, 'fresh');
  await provision(connection, { partitions: 16 });
  await connection.close();
  await fresh.stop();
  expect(() => streamTable({ partitions: 0 })).toThrow(RangeError);
  expect(() => streamTable({ partitions: 1, scale: 0 })).toThrow(RangeError);
});
