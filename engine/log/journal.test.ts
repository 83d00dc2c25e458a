import type { NatsConnection } from '@nats-io/transport-node';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { encodeRecord, genesisHash } from '../partition/record.ts';
import type { CommitRecord, JournalEntry } from '../wire.ts';
import { connectLog } from './connection.ts';
import {
  commandBounds,
  journalBounds,
  purgeCommands,
  purgeJournal,
  purgeSnapshot,
  putSnapshotChunk,
  readJournal,
  readJournalLast,
  readSnapshot,
  snapshotBounds,
  tailJournal,
  tailJournalBatches,
  type StoredRecord,
} from './journal.ts';
import { provision } from './provision.ts';
import { ringPublisher, type RingPublisher } from './ring_publisher.ts';
import { internal } from './subjects.ts';
import { startTestNats, type TestNats } from './testing.ts';

let nats: TestNats;
let nc: NatsConnection;
let publisher: RingPublisher;

beforeAll(async () => {
  nats = await startTestNats();
  nc = await connectLog(nats.url, 'journal test');
  await provision(nc, { partitions: 2, scale: 1 / 64 });
  publisher = ringPublisher(nc);
});
afterAll(async () => {
  publisher.close();
  await nc.close();
  await nats.stop();
});

const record = (batch: number): Omit<CommitRecord, 'hash'> => ({
  kind: 'batch',
  owner: 'o',
  build: 'b',
  epoch: 1,
  batch,
  offset: batch * 10,
  now: 1_700_000_000_000 + batch,
  writers: { w: batch },
  relayAcked: {},
  entities: [{ kind: 'thing', id: 'a', version: batch, schema: 1, image: [null, batch] }],
  timers: { set: [], del: [], fired: [] },
  relays: [],
  effects: [],
  events: [],
  replies: [],
  snapshot: null,
  cut: null,
  origins: [],
});

test('an empty journal has no last record and bounds that say so', async () => {
  expect(await readJournalLast(nc, 0)).toBeUndefined();
  expect(await readJournal(nc, 0, 1)).toBeUndefined();
  expect(await journalBounds(nc, 0)).toMatchObject({ first: 1, last: 0, messages: 0, bytesMax: 64 * 1024 * 1024 });
});

test('records are read back as written, singly, in a tail and in batches; what is purged is gone', async () => {
  const started = Date.now();
  let hash = genesisHash;
  const written: CommitRecord[] = [];
  for (let batch = 1; batch <= 20; batch++) {
    const encoded = encodeRecord(record(batch), hash);
    hash = encoded.hash;
    written.push({ ...record(batch), hash });
    const { sequence } = await publisher.publish(internal.journal(0), encoded.bytes, {
      expectedLastSequence: batch - 1,
    });
    expect(sequence).toBe(batch);
  }
  const last = await readJournalLast(nc, 0);
  expect(last?.sequence).toBe(20);
  expect(last?.record).toEqual(written[19]);
  expect(last?.at).toBeGreaterThanOrEqual(started);
  expect((await readJournal(nc, 0, 7))?.record).toEqual(written[6]);

  const entries: JournalEntry[] = [];
  let complete = () => undefined as void;
  const twenty = new Promise<void>((resolve) => (complete = resolve));
  const tail = await tailJournal(nc, 0, 1, async (entry) => {
    await Promise.resolve();
    entries.push(entry);
    if (entries.length === 20) complete();
  });
  await twenty;
  await tail.stop();
  expect(entries.map((e) => [e.partition, e.sequence])).toEqual(Array.from({ length: 20 }, (_, i) => [0, i + 1]));
  expect(entries.map((e) => e.record)).toEqual(written);

  const late: StoredRecord[] = [];
  const five = await new Promise<{ stop(): Promise<void> }>((resolve) => {
    const reader = tailJournalBatches(nc, 0, 16, (records) => {
      late.push(...records);
      if (late.length === 5) void reader.then(resolve);
    });
  });
  await five.stop();
  expect(late.map((r) => r.sequence)).toEqual([16, 17, 18, 19, 20]);
  expect(Buffer.from(late[4]?.bytes ?? []).equals(Buffer.from(last?.bytes ?? []))).toBe(true);

  expect(await purgeJournal(nc, 0, 15)).toBe(14);
  expect(await purgeJournal(nc, 0, 15)).toBe(0);
  expect(await purgeJournal(nc, 0, 0)).toBe(0);
  expect(await journalBounds(nc, 0)).toMatchObject({ first: 15, last: 20, messages: 6 });
  expect(await readJournal(nc, 0, 14)).toBeUndefined();
  expect((await (await tailJournal(nc, 0, 3, () => undefined)).ended)?.message).toBe(
    'J_0 was purged below 15; 3 is gone',
  );
});

test('a command log that is purged to its end keeps counting from there', async () => {
  for (let i = 0; i < 3; i++) await publisher.publish(internal.commands(1), new Uint8Array([i]));
  await purgeCommands(nc, 1, 4);
  expect(await commandBounds(nc, 1)).toMatchObject({ first: 4, last: 3, messages: 0 });
  expect(await publisher.publish(internal.commands(1), new Uint8Array([3]))).toEqual({ sequence: 4 });
});

test('a record of the largest allowed size is stored and read back', async () => {
  const bytes = encodeRecord(
    { ...record(1), effects: [{ id: 'e', target: 'g', kind: 'k', body: { text: 'x'.repeat(899 * 1024) } }] },
    genesisHash,
  ).bytes;
  await publisher.publish(internal.journal(1), bytes);
  expect((await readJournalLast(nc, 1))?.bytes.length).toBe(bytes.length);
});

test('snapshots are read chunk by chunk in order; a missing chunk is an error; generations are purged apart', async () => {
  const chunk = (gen: number, i: number) => new Uint8Array(1_000).fill(gen * 16 + i);
  for (const gen of [1, 2])
    await Promise.all(Array.from({ length: 10 }, (_, i) => putSnapshotChunk(publisher, 0, gen, i, chunk(gen, i))));
  const read: number[] = [];
  for await (const bytes of readSnapshot(nc, 0, 2, 10)) read.push(bytes[0] as number);
  expect(read).toEqual(Array.from({ length: 10 }, (_, i) => 32 + i));
  expect(await purgeSnapshot(nc, 0, 1)).toBe(10);
  expect((await snapshotBounds(nc, 0)).messages).toBe(10);
  const broken = readSnapshot(nc, 0, 2, 11);
  await expect(collect(broken)).rejects.toThrow('snapshot 2 of partition 0 lacks chunk 10 of 11');
  await expect(putSnapshotChunk(publisher, 0, 3, 0, new Uint8Array(600 * 1024))).rejects.toThrow(RangeError);
});

async function collect(source: AsyncIterable<Uint8Array>): Promise<Uint8Array[]> {
  const all: Uint8Array[] = [];
  for await (const bytes of source) all.push(bytes);
  return all;
}
