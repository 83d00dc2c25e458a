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

test('appends that ask for no answer are stored in order between those that do, and after a refused one none fits', async () => {
  await createStream('TOLD');
  const publisher = ringPublisher(nc, { inFlightMax: 4 });
  const heard: string[] = [];
  const ear = nc.subscribe('t.TOLD', { callback: (_, m) => void heard.push(`${m.string()}${m.reply ? '?' : ''}`) });
  const answers: Promise<{ sequence: number }>[] = [];
  for (let i = 0; i < 18; i++) {
    const expected = { expectedLastSequence: i };
    if (i % 3 === 2) answers.push(publisher.publish('t.TOLD', bytes(`${i}`), expected));
    else publisher.tell('t.TOLD', bytes(`${i}`), expected);
  }
  expect((await Promise.all(answers)).map(({ sequence }) => sequence)).toEqual([3, 6, 9, 12, 15, 18]);
  expect(heard).toEqual(Array.from({ length: 18 }, (_, i) => (i % 3 === 2 ? `${i}?` : `${i}`)));
  // The first of these does not fit, so neither does any other.
  for (const i of [20, 21]) publisher.tell('t.TOLD', bytes(`${i}`), { expectedLastSequence: i });
  await expect(publisher.publish('t.TOLD', bytes('22'), { expectedLastSequence: 22 })).rejects.toBeInstanceOf(
    WrongLastSequence,
  );
  expect((await bounds(nc, 'TOLD')).last).toBe(18);
  ear.unsubscribe();
  publisher.close();
  publisher.tell('t.TOLD', bytes('late'));
  await nc.flush();
  expect((await bounds(nc, 'TOLD')).last).toBe(18);
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
