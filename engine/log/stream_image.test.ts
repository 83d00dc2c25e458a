import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, expect, test } from 'vitest';
import { connectLog } from './connection.ts';
import { bounds, purgeCommands, readMessage } from './journal.ts';
import { provision } from './provision.ts';
import { ringPublisher } from './ring_publisher.ts';
import { loadStream, saveStream } from './stream_image.ts';
import { startTestNats } from './testing.ts';

const [from, to] = await Promise.all([startTestNats(), startTestNats()]);
const source = await connectLog(from.url, 'source');
const target = await connectLog(to.url, 'target');

afterAll(async () => {
  await Promise.all([source.close(), target.close()]);
  await Promise.all([from.stop(), to.stop()]);
});

async function* whole(chunks: readonly Uint8Array[]) {
  yield* chunks;
}

test('a stream that is written and purged meanwhile comes out with the same sequences and store times', async () => {
  await provision(source, { partitions: 1, scale: 0.1 });
  const publisher = ringPublisher(source);
  const payload = randomBytes(2_000);
  for (let i = 0; i < 2_000; i++) void publisher.publish('c.0', payload).catch(() => undefined);
  await publisher.publish('c.0', payload);
  await purgeCommands(source, 0, 500);
  let writing = true;
  let written = 0;
  const writer = (async () => {
    for (; writing; written++) {
      await publisher.publish('c.0', payload);
      if (written % 50 === 0) await purgeCommands(source, 0, 501 + written / 50);
    }
  })();
  const chunks: Uint8Array[] = [];
  const head = await saveStream(source, 'C_0', false, async (bytes) => {
    chunks.push(Uint8Array.from(bytes));
    await delay(1);
  });
  writing = false;
  await writer;
  await loadStream(target, head, whole(chunks));
  const loaded = await bounds(target, 'C_0');
  expect(loaded.first).toBeGreaterThanOrEqual(500);
  expect(loaded.last).toBeGreaterThanOrEqual(head.state.last_seq);
  expect(loaded.messages).toBe(loaded.last - loaded.first + 1);
  for (const seq of [loaded.first + 100, 1_000, loaded.last])
    expect(await readMessage(target, 'C_0', { seq })).toEqual(await readMessage(source, 'C_0', { seq }));
  // It goes on where the old one was.
  const on = ringPublisher(target);
  expect(await on.publish('c.0', payload, { expectedLastSequence: loaded.last })).toEqual({
    sequence: loaded.last + 1,
  });
  await expect(loadStream(target, head, whole(chunks))).rejects.toThrow(/STREAM.RESTORE.C_0/);
  on.close();
  publisher.close();
});

test('half an image makes no stream', async () => {
  const chunks: Uint8Array[] = [];
  const head = await saveStream(source, 'C_0', false, async (bytes) => void chunks.push(Uint8Array.from(bytes)));
  await target.request('$JS.API.STREAM.DELETE.C_0');
  const all = Buffer.concat(chunks);
  const half = all.subarray(0, all.length / 2);
  await expect(loadStream(target, head, whole([half]))).rejects.toThrow(/STREAM.RESTORE.C_0/);
  await expect(bounds(target, 'C_0')).rejects.toThrow(/not found/);
});
