import type { NatsConnection } from '@nats-io/transport-node';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestClickHouse, type TestClickHouse } from '../embedded/clickhouse/testing.ts';
import { encodeMessageBatch } from '../history/messages.ts';
import { openHistory, type HistoryStore } from '../history/mod.ts';
import { jsApi } from '../log/api.ts';
import { connectLog, provision, ringPublisher, type RingPublisher } from '../log/mod.ts';
import { startTestNats, type TestNats } from '../log/testing.ts';
import { startMessageSink, type MessageSinkOptions, type MessageStore } from './message_sink.ts';
import { seededRandom, until } from './testing.ts';

let nats: TestNats;
let nc: NatsConnection;
let clickhouse: TestClickHouse;
let history: HistoryStore;
let publisher: RingPublisher;
const noon = Date.UTC(2026, 4, 15, 12);

beforeAll(async () => {
  [nats, clickhouse] = await Promise.all([startTestNats(), startTestClickHouse()]);
  nc = await connectLog(nats.url, 'message sink test');
  await provision(nc, { partitions: 1, scale: 1 / 64 });
  publisher = ringPublisher(nc);
  history = await openHistory(clickhouse);
}, 120_000);
afterAll(async () => {
  publisher.close();
  await history.close();
  await nc.close();
  await Promise.all([nats.stop(), clickhouse.stop()]);
});

const send = (gateway: string, sequence: number, frames = 3, dropped = 0) =>
  publisher.publish(
    `raw.${gateway}`,
    encodeMessageBatch({
      v: 1,
      gateway,
      sequence,
      dropped,
      frames: Array.from({ length: frames }, (_, i) => [
        noon + sequence,
        'in',
        `C-${gateway}`,
        1,
        '',
        null,
        `[2,"${sequence}-${i}","Heartbeat",{}]`,
      ]),
    }),
  );
const ids = async (gateway: string) =>
  (await history.messages({ charger: `C-${gateway}`, limit: 1_000 })).rows.map((row) => row.messageId).reverse();
const start = (store: MessageStore = history, options: MessageSinkOptions = {}) =>
  startMessageSink(nc, store, { everyMs: 10, positionsMs: 0, ...options });

test('batches become rows; one that came twice is there once', async () => {
  const sink = await start();
  await send('gw-a', 1);
  await send('gw-a', 1);
  const { sequence } = await send('gw-a', 2, 1);
  await until('stored', () => sink.position() === sequence);
  expect(await ids('gw-a')).toEqual(['1-0', '1-1', '1-2', '2-0']);
  await sink.close();
  expect(await history.readReaderPositions('ocpp')).toEqual(new Map([[0, sequence]]));
});

test('stopped anywhere between rows and position, again and again, each message is there once', async () => {
  const seed = Date.now() % 100_000;
  const random = seededRandom(seed);
  // The kill: from one moment on nothing more is done, the rows may be in or not, the position is not.
  const killed = (): MessageStore => {
    let left = 1 + Math.floor(random() * 3);
    const alive = () => {
      if (left-- <= 0) throw new Error('killed');
    };
    return {
      insert: async (table, rows) => {
        alive();
        await history.insert(table, rows);
        alive();
      },
      readReaderPositions: (reader) => history.readReaderPositions(reader),
      writeReaderPositions: async (reader, positions) => {
        alive();
        await history.writeReaderPositions(reader, positions);
      },
    };
  };
  let last = 0;
  for (let round = 0; round < 8; round++) {
    for (let i = 1; i <= 5; i++) last = (await send('gw-b', round * 5 + i)).sequence;
    let died = false;
    const sink = await start(killed(), { onTrouble: () => (died = true) });
    await until(`seed ${seed}: killed or done`, () => died || sink.position() === last);
    await sink.close();
  }
  const sink = await start();
  await until(`seed ${seed}: stored`, () => sink.position() === last);
  await sink.close();
  const expected = Array.from({ length: 40 }, (_, i) => [0, 1, 2].map((f) => `${i + 1}-${f}`)).flat();
  expect(await ids('gw-b')).toEqual(expected);
  const repeated = await history.client.query({
    query: `SELECT count() = uniqExact(gateway, sequence, index) AS once FROM gridtick.ocpp_messages WHERE gateway = 'gw-b'`,
    format: 'JSONEachRow',
  });
  expect(await repeated.json()).toEqual([{ once: 1 }]);
}, 60_000);

test('a history that is killed makes the sink wait, and a nats-server that is killed does too', async () => {
  let troubles = 0;
  const sink = await start(history, { onTrouble: () => (troubles += 1) });
  await clickhouse.kill9();
  const { sequence } = await send('gw-c', 1);
  await until('trouble', () => troubles > 0);
  expect(sink.position()).toBeLessThan(sequence);
  await clickhouse.restart();
  await until('stored', () => sink.position() === sequence);
  await nats.kill9();
  await nats.restart();
  await until('sent', async () => {
    const sent = await send('gw-c', 2).catch(() => undefined);
    return sent !== undefined;
  });
  await until('stored again', async () => (await ids('gw-c')).length === 6);
  await sink.close();
}, 90_000);

test('bytes that are no batch are passed over, and what a gateway could not keep is told once', async () => {
  const losses: object[] = [];
  const sink = await start(history, { onLoss: (loss) => losses.push(loss) });
  const { sequence } = await publisher.publish('raw.gw-d', new TextEncoder().encode('{"v":1}'));
  await send('gw-d', 1, 1, 0);
  await send('gw-d', 2, 1, 7);
  await send('gw-d', 3, 1, 7);
  const { sequence: last } = await send('gw-d', 4, 1, 9);
  await until('stored', () => sink.position() === last);
  expect(await ids('gw-d')).toEqual(['1-0', '2-0', '3-0', '4-0']);
  expect(losses).toEqual([
    expect.objectContaining({ sequence }),
    { gateway: 'gw-d', dropped: 7 },
    { gateway: 'gw-d', dropped: 2 },
  ]);
  await sink.close();
});

test('a stream that was made anew is read from its beginning', async () => {
  await jsApi(nc, 'STREAM.DELETE.OCPP');
  await provision(nc, { partitions: 1, scale: 1 / 64 });
  const { sequence } = await send('gw-e', 1, 2);
  expect(sequence).toBe(1);
  const sink = await start();
  await until('stored', () => sink.position() === 1);
  expect(await ids('gw-e')).toEqual(['1-0', '1-1']);
  await sink.close();
  expect(await history.readReaderPositions('ocpp')).toEqual(new Map([[0, 1]]));
});
