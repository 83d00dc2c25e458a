import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { NatsConnection } from '@nats-io/transport-node';
import { jsApi } from './api.ts';
import { connectLog } from './connection.ts';
import { LogWentBack, SequenceGone } from './errors.ts';
import { bounds } from './journal.ts';
import { parseAckSubject, pull, pullEach, type StoredMessage } from './puller.ts';
import { ringPublisher, type RingPublisher } from './ring_publisher.ts';
import { startTestNats, type TestNats } from './testing.ts';

let nats: TestNats;
let nc: NatsConnection;
let publisher: RingPublisher;
let name: string;
let counter = 0;

beforeAll(async () => {
  nats = await startTestNats();
  nc = await connectLog(nats.url, 'puller test');
  publisher = ringPublisher(nc);
});
afterAll(async () => {
  publisher.close();
  await nc.close();
  await nats.stop();
});
beforeEach(async () => {
  name = `T${++counter}`;
  await jsApi(nc, `STREAM.CREATE.${name}`, {
    name,
    subjects: [`t.${name}`, `t.${name}.*`],
    storage: 'file',
    retention: 'limits',
    discard: 'new',
    num_replicas: 1,
  });
});

const append = async (from: number, to: number, size = 8) => {
  for (let i = from; i <= to; i++) {
    const bytes = new Uint8Array(size);
    new DataView(bytes.buffer).setUint32(0, i);
    await publisher.publish(`t.${name}`, bytes);
  }
};
const numberIn = (m: StoredMessage) => new DataView(m.bytes.buffer, m.bytes.byteOffset).getUint32(0);
const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i);
const until = async (met: () => boolean, what: () => unknown = () => '') => {
  const end = Date.now() + 15_000;
  while (!met()) {
    if (Date.now() > end) throw new Error(`not within 15 s: ${JSON.stringify(what())}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
};

test('a reader gets everything from its start sequence in order with store times, then what is added', async () => {
  const before = Date.now();
  await append(1, 300);
  const seen: StoredMessage[] = [];
  const reader = await pull(nc, name, { from: 101, window: 32 }, (messages) => void seen.push(...messages));
  await until(() => seen.length === 200);
  await append(301, 310);
  await until(() => seen.length === 210);
  expect(seen.map((m) => m.sequence)).toEqual(range(101, 310));
  expect(seen.map(numberIn)).toEqual(range(101, 310));
  expect(seen[199]?.pending).toBe(0);
  expect(seen.every((m) => m.at >= before && m.at <= Date.now())).toBe(true);
  await reader.stop();
  expect(await reader.ended).toBeUndefined();
});

test('no more is fetched than the window while the callback is busy', async () => {
  await append(1, 200);
  let release = () => undefined as void;
  const gate = new Promise<void>((resolve) => (release = resolve));
  const batches: number[] = [];
  const reader = await pull(nc, name, { from: 1, window: 16 }, async (messages) => {
    batches.push(messages.length);
    await gate;
  });
  await until(() => batches.length === 1);
  const consumers = await jsApi<{ consumers: { delivered: { stream_seq: number } }[] }>(
    nc,
    `CONSUMER.LIST.${name}`,
    {},
  );
  expect(consumers.consumers[0]?.delivered.stream_seq).toBeLessThanOrEqual(32);
  release();
  await until(() => batches.reduce((a, b) => a + b, 0) === 200);
  expect(Math.max(...batches)).toBeLessThanOrEqual(32);
  await reader.stop();
});

test('a window of bytes smaller than the messages on their way slows the reader down and loses nothing', async () => {
  await append(1, 40, 200_000);
  const seen: number[] = [];
  const reader = await pull(
    nc,
    name,
    { from: 1, windowBytes: 50_000 },
    (messages) => void seen.push(...messages.map((m) => m.sequence)),
  );
  await until(
    () => seen.length === 40,
    () => seen,
  );
  expect(seen).toEqual(range(1, 40));
  await reader.stop();
});

test('a message larger than the window of bytes is read like any other', async () => {
  await append(1, 3, 700_000);
  const seen: number[] = [];
  const reader = await pull(
    nc,
    name,
    { from: 1, windowBytes: 512 * 1024 },
    (messages) => void seen.push(...messages.map((m) => m.sequence)),
  );
  await until(
    () => seen.length === 3,
    () => seen,
  );
  await reader.stop();
});

test('an idle reader whose pull requests expire still gets the next message', async () => {
  const seen: number[] = [];
  const reader = await pull(
    nc,
    name,
    { from: 1, expiresMs: 300 },
    (messages) => void seen.push(...messages.map((m) => m.sequence)),
  );
  const expired = new Promise<void>((resolve) => {
    let requests = 0;
    nc.subscribe(`$JS.API.CONSUMER.MSG.NEXT.${name}.*`, { callback: () => void (++requests === 3 && resolve()) });
  });
  await expired;
  await append(1, 1);
  await until(() => seen.length === 1);
  await reader.stop();
});

test('a request that ends without a word is noticed when it is overdue', async () => {
  // Silence makes a reader recreate its consumer within 6 s: it must not come to that.
  const expiresMs = 3_000;
  let swallowed = 0;
  const silent = new Proxy(nc, {
    get(target, key) {
      if (key !== 'subscribe') return Reflect.get(target, key, target) as unknown;
      const subscribe: NatsConnection['subscribe'] = (subject, options) =>
        target.subscribe(subject, {
          ...options,
          callback: (error, message) => {
            if (message.headers?.code === 408) swallowed++;
            else void options?.callback?.(error, message);
          },
        });
      return subscribe;
    },
  });
  const seen: number[] = [];
  const reader = await pull(silent, name, { from: 1, expiresMs }, (messages) =>
    messages.forEach((m) => seen.push(m.sequence)),
  );
  await append(1, 100);
  await until(() => swallowed === 1);
  const at = Date.now();
  await append(101, 101);
  await until(() => seen.length === 101);
  expect(Date.now() - at).toBeLessThan(1_000);
  await reader.stop();
});

test('a request whose bytes are used up exactly is followed by the next at once', async () => {
  // What one request may bring, and what the server counts of a message beside its data.
  const most = 1.25 * 1024 * 1024;
  const around = `t.${name}`.length + `$JS.ACK.${name}.consumer.1.1.1.${Date.now()}000000.0`.length;
  const half = most / 2 - around;
  const seen: number[] = [];
  const reader = await pull(nc, name, { from: 1, window: 64, windowBytes: 1_024 }, (messages) =>
    messages.forEach((m) => seen.push(m.sequence)),
  );
  await append(1, 2, half);
  await append(3, 4);
  const at = Date.now();
  await until(() => seen.length === 4);
  expect(Date.now() - at).toBeLessThan(2_000);
  await reader.stop();
});

test('a reader whose consumer is deleted goes on where it was', async () => {
  await append(1, 10);
  const seen: number[] = [];
  const reader = await pull(
    nc,
    name,
    { from: 1, expiresMs: 1_000 },
    (messages) => void seen.push(...messages.map((m) => m.sequence)),
  );
  await until(() => seen.length === 10);
  const { consumers } = await jsApi<{ consumers: { name: string }[] }>(nc, `CONSUMER.LIST.${name}`, {});
  await jsApi(nc, `CONSUMER.DELETE.${name}.${consumers[0]?.name}`);
  await append(11, 20);
  await until(
    () => seen.length === 20,
    () => seen,
  );
  expect(seen).toEqual(range(1, 20));
  await reader.stop();
});

test('a reader of a purged sequence ends and names what is left; with leave to skip it goes on there', async () => {
  await append(1, 20);
  await jsApi(nc, `STREAM.PURGE.${name}`, { seq: 11 });
  const reader = await pull(nc, name, { from: 5 }, () => undefined);
  const error = await reader.ended;
  expect(error).toBeInstanceOf(SequenceGone);
  expect(error).toMatchObject({ wanted: 5, first: 11 });
  const seen: number[] = [];
  const skipping = await pull(
    nc,
    name,
    { from: 5, onGone: 'skip' },
    (messages) => void seen.push(...messages.map((m) => m.sequence)),
  );
  await until(() => seen.length === 10);
  expect(seen).toEqual(range(11, 20));
  await skipping.stop();
});

test('a stream that ends before what was already seen of it ends the reader', async () => {
  await append(1, 3);
  const reader = await pull(nc, name, { from: 9 }, () => undefined);
  await append(4, 4);
  const error = await reader.ended;
  expect(error).toBeInstanceOf(LogWentBack);
  expect(error).toMatchObject({ wanted: 9, found: 4 });
});

test('a filtered reader sees only its subject', async () => {
  await publisher.publish(`t.${name}.a`, new Uint8Array(4));
  await publisher.publish(`t.${name}.b`, new Uint8Array(4));
  await publisher.publish(`t.${name}.a`, new Uint8Array(4));
  const seen: string[] = [];
  const reader = await pull(
    nc,
    name,
    { from: 1, filter: `t.${name}.a` },
    (messages) => void seen.push(...messages.map((m) => `${m.sequence} ${m.subject}`)),
  );
  await until(() => seen.length === 2);
  expect(seen).toEqual([`1 t.${name}.a`, `3 t.${name}.a`]);
  await reader.stop();
});

test('after stop nothing more is delivered, and an error in the callback ends the reader with it', async () => {
  await append(1, 50);
  const seen: number[] = [];
  const reader = await pullEach(nc, name, { from: 1 }, (m) => {
    seen.push(m.sequence);
    if (m.sequence === 7) void reader.stop();
  });
  await reader.ended;
  expect(seen).toEqual(range(1, 7));
  const failing = await pullEach(nc, name, { from: 1 }, (m) => {
    if (m.sequence === 3) throw new Error('cannot read 3');
  });
  expect((await failing.ended)?.message).toBe('cannot read 3');
});

test('a stream that does not exist is an error at the start', async () => {
  await expect(pull(nc, 'NOTHING', { from: 1 }, () => undefined)).rejects.toThrow(/stream not found/);
});

test('reading is gapless across kills of the server under load', async () => {
  const server = await startTestNats();
  const connection = await connectLog(server.url, 'gapless');
  const create = {
    name: 'K',
    subjects: ['t.K'],
    storage: 'file',
    retention: 'limits',
    discard: 'new',
    num_replicas: 1,
  };
  await jsApi(connection, 'STREAM.CREATE.K', create);
  const out = ringPublisher(connection);
  const seen: number[] = [];
  const reader = await pull(
    connection,
    'K',
    { from: 1, window: 64 },
    (messages) => void seen.push(...messages.map((m) => m.sequence)),
  );
  let writing = true;
  const writer = (async () => {
    while (writing) {
      await Promise.allSettled(Array.from({ length: 50 }, () => out.publish('t.K', new Uint8Array(100))));
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  })();
  for (let kill = 1; kill <= 3; kill++) {
    const reached = seen.length + 300;
    await until(
      () => seen.length > reached,
      () => seen.length,
    );
    await server.kill9();
    await server.restart();
  }
  const reached = seen.length + 300;
  await until(
    () => seen.length > reached,
    () => seen.length,
  );
  writing = false;
  await writer;
  const { last } = await bounds(connection, 'K');
  await until(
    () => seen.length === last,
    () => [seen.length, last],
  );
  expect(seen).toEqual(range(1, last));
  await reader.stop();
  await connection.close();
  await server.stop();
});

test('ack subjects of old and new servers are understood', () => {
  expect(parseAckSubject('$JS.ACK.J_0.abc.1.17.3.1700000000123456789.5')).toEqual({
    sequence: 17,
    at: 1_700_000_000_123,
    pending: 5,
  });
  expect(parseAckSubject('$JS.ACK._.HASH.J_0.abc.1.17.3.1700000000123456789.5.tok')).toEqual({
    sequence: 17,
    at: 1_700_000_000_123,
    pending: 5,
  });
});
