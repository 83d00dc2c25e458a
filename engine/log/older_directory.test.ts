import type { NatsConnection } from '@nats-io/transport-node';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { publicKinds as eventKinds } from '#actors/schema/events';
import { jsApi } from './api.ts';
import { connectLog } from './connection.ts';
import { bounds, readMessage } from './journal.ts';
import { integratorConsumer, provision, provisionIntegrator } from './provision.ts';
import { ringPublisher } from './ring_publisher.ts';
import { maxFileBytes, publicKinds } from './streams.ts';
import { startTestNats, type TestNats } from './testing.ts';

let nats: TestNats;
let nc: NatsConnection;
const size = { partitions: 2, scale: 1 / 64 };

beforeAll(async () => {
  nats = await startTestNats({ maxFileBytes: maxFileBytes(size) });
  nc = await connectLog(nats.url, 'older directory test');
});
afterAll(async () => {
  await nc.close();
  await nats.stop();
});

test('a data directory of a build with fewer kinds gets the streams it lacks and keeps what it holds', async () => {
  await provision(nc, size);
  const added = ['BATTERY', 'TRADE', 'LEDGER'];
  await jsApi(nc, 'STREAM.DELETE.OCPP');
  for (const name of added) await jsApi(nc, `STREAM.DELETE.${name}`);
  const publisher = ringPublisher(nc);
  const bytes = new TextEncoder().encode('kept');
  await publisher.publish('pub.price.nord-1', bytes);
  await publisher.publish('j.1', bytes);

  await provision(nc, size);
  await provisionIntegrator(nc, { user: 'acme' });
  const { streams } = await jsApi<{ streams: string[] }>(nc, 'STREAM.NAMES');
  expect(streams).toEqual(expect.arrayContaining(['OCPP', ...publicKinds.map((kind) => kind.toUpperCase())]));
  for (const name of added) {
    expect(await bounds(nc, name)).toMatchObject({ last: 0 });
    await jsApi(nc, `CONSUMER.INFO.${name}.${integratorConsumer('acme')}`);
  }
  for (const name of ['PRICE', 'J_1']) {
    expect(await bounds(nc, name)).toMatchObject({ first: 1, last: 1 });
    expect(Buffer.from((await readMessage(nc, name, { seq: 1 }))?.bytes ?? []).toString()).toBe('kept');
  }
  publisher.close();
});

test('every kind of event that actors make has a stream', () => {
  expect(publicKinds).toEqual(expect.arrayContaining([...eventKinds]));
});
