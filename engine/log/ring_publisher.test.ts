import { afterAll, beforeAll, expect, test } from 'vitest';
import type { NatsConnection } from '@nats-io/transport-node';
import { jsApi } from './api.ts';
import { connectLog } from './connection.ts';
import { AppendUncertain, StreamRefused, WrongLastSequence } from './errors.ts';
import { bounds } from './journal.ts';
import { ringPublisher } from './ring_publisher.ts';
import { startTestNats, type TestNats } from './testing.ts';

let nats: TestNats;
let nc: NatsConnection;
const bytes = (text: string) => new TextEncoder().encode(text);
const createStream = (name: string, more: object = {}) =>
  jsApi(nc, `STREAM.CREATE.${name}`, {
    name,
    subjects: [`t.${name}`],
    storage: 'file',
    retention: 'limits',
    discard: 'new',
    num_replicas: 1,
    ...more,
  });

beforeAll(async () => {
  nats = await startTestNats();
  nc = await connectLog(nats.url, 'publisher test');
});
afterAll(async () => {
  await nc.close();
  await nats.stop();
});

test('pipelined appends are acknowledged with dense sequences in call order, also beyond the ring', async () => {
  await createStream('PIPE');
  const publisher = ringPublisher(nc, { inFlightMax: 64 });
  const acks = await Promise.all(Array.from({ length: 128 }, (_, i) => publisher.publish('t.PIPE', bytes(`${i}`))));
  expect(acks.map((a) => a.sequence)).toEqual(Array.from({ length: 128 }, (_, i) => i + 1));
  expect(publisher.inFlight).toBe(0);
  publisher.close();
});

test('more appends than the ring and its queue hold are refused, not queued without end', async () => {
  await createStream('BOUND');
  const publisher = ringPublisher(nc, { inFlightMax: 4 });
  const outcomes = await Promise.allSettled(Array.from({ length: 9 }, () => publisher.publish('t.BOUND', bytes('x'))));
  expect(outcomes.map((o) => o.status)).toEqual([...Array(8).fill('fulfilled'), 'rejected']);
  expect((outcomes[8] as PromiseRejectedResult).reason).toBeInstanceOf(StreamRefused);
  publisher.close();
});

test('an append that expects another last sequence is refused as such and stores nothing', async () => {
  await createStream('CAS');
  const publisher = ringPublisher(nc);
  await publisher.publish('t.CAS', bytes('a'), { expectedLastSequence: 0 });
  await publisher.publish('t.CAS', bytes('b'), { expectedLastSequence: 1 });
  const refused = publisher.publish('t.CAS', bytes('c'), { expectedLastSequence: 1 });
  await expect(refused).rejects.toBeInstanceOf(WrongLastSequence);
  await expect(refused).rejects.toMatchObject({ expected: 1 });
  expect((await bounds(nc, 'CAS')).last).toBe(2);
  publisher.close();
});

test('a full stream refuses; a subject without a stream leaves the append uncertain', async () => {
  await createStream('FULL', { max_bytes: 2_000 });
  const publisher = ringPublisher(nc);
  await publisher.publish('t.FULL', new Uint8Array(1_500));
  await expect(publisher.publish('t.FULL', new Uint8Array(1_500))).rejects.toBeInstanceOf(StreamRefused);
  await expect(publisher.publish('t.NOBODY', bytes('x'))).rejects.toMatchObject({
    name: 'AppendUncertain',
    reason: 'no responders',
  });
  publisher.close();
});

test('an append that stays unanswered is uncertain after the timeout, and at once when the server dies', async () => {
  const mute = nc.subscribe('t.MUTE', { callback: () => undefined });
  const publisher = ringPublisher(nc, { timeoutMs: 100 });
  await expect(publisher.publish('t.MUTE', bytes('x'))).rejects.toMatchObject({ reason: 'timeout' });
  mute.unsubscribe();

  const other = await startTestNats();
  const connection = await connectLog(other.url, 'dying');
  connection.subscribe('t.MUTE', { callback: () => undefined });
  const patient = ringPublisher(connection);
  const waiting = patient.publish('t.MUTE', bytes('x'));
  waiting.catch(() => undefined);
  await connection.flush();
  await other.kill9();
  await expect(waiting).rejects.toBeInstanceOf(AppendUncertain);
  await expect(waiting).rejects.toMatchObject({ reason: 'disconnected' });
  expect(patient.connected).toBe(false);
  await expect(patient.publish('t.MUTE', bytes('y'))).rejects.toMatchObject({ reason: 'disconnected' });
  await connection.close();
  await other.stop();
  publisher.close();
});
