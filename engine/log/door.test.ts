import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { NatsConnection } from '@nats-io/transport-node';
import { partitionOf } from '#actors/partition_key';
import { decodeFrame, encodeReplies, packr, type CommandEnvelope, type CommandResult, type Frame } from '../wire.ts';
import { jsApi } from './api.ts';
import { connectLog } from './connection.ts';
import { openDoor, type Door, type DoorCommand } from './door.ts';
import { commandBounds, tailCommands } from './journal.ts';
import { internal } from './subjects.ts';
import { startTestNats, startTestProxy, type TestNats } from './testing.ts';

let nats: TestNats;
let nc: NatsConnection;
const partitions = 4;
const opened: Door[] = [];

const createLog = async (more: object = {}) => {
  for (let p = 0; p < partitions; p++) {
    await jsApi(nc, `STREAM.CREATE.C_${p}`, {
      name: `C_${p}`,
      subjects: [`c.${p}`],
      storage: 'file',
      retention: 'limits',
      discard: 'new',
      num_replicas: 1,
      ...more,
    });
  }
};
const open = async (options: Partial<Parameters<typeof openDoor>[1]> = {}) => {
  const door = await openDoor(nc, { name: 'gateway', partitions, ...options });
  opened.push(door);
  return door;
};
beforeEach(async () => {
  nats = await startTestNats();
  nc = await connectLog(nats.url, 'door test');
});
afterEach(async () => {
  await Promise.all(opened.splice(0).map((d) => d.close()));
  await nc.close();
  await nats.stop();
});

const command = (key: string, n: number, body: Record<string, unknown> = {}): DoorCommand => ({
  id: `test:${n}`,
  to: { kind: 'thing', key, id: key },
  type: 'count',
  body: { n, ...body },
});

/** All frames of a partition as stored, up to its present end. */
async function framesOf(partition: number): Promise<Frame[]> {
  const { last } = await commandBounds(nc, partition);
  const frames: Frame[] = [];
  if (last === 0) return frames;
  let done = () => undefined as void;
  const all = new Promise<void>((resolve) => (done = resolve));
  const reader = await tailCommands(nc, partition, 1, ({ sequence, bytes }) => {
    frames.push(decodeFrame(bytes));
    if (sequence === last) done();
  });
  await all;
  await reader.stop();
  return frames;
}

/** What a partition applies by the watermark rule: last + 1 only, drops ≤ last, ignores gaps, a hello opens a writer. */
class Applier {
  readonly applied: CommandEnvelope[] = [];
  readonly #last = new Map<string, number>();
  apply(frame: Frame): CommandEnvelope[] {
    if (frame.kind === 'hello') {
      if (!this.#last.has(frame.writer)) this.#last.set(frame.writer, 0);
      return [];
    }
    let last = this.#last.get(frame.writer);
    if (last === undefined || frame.first > last + 1) return [];
    const fresh = frame.commands.slice(last + 1 - frame.first);
    last = Math.max(last, frame.first + frame.commands.length - 1);
    this.#last.set(frame.writer, last);
    this.applied.push(...fresh);
    return fresh;
  }
}

/** Answers every applied command of all partitions, as an engine does after its commit. */
async function echoEngine(result: (c: CommandEnvelope) => CommandResult | undefined) {
  const readers = await Promise.all(
    Array.from({ length: partitions }, (_, p) => {
      const applier = new Applier();
      return tailCommands(nc, p, 1, ({ bytes }) => {
        for (const c of applier.apply(decodeFrame(bytes))) {
          const outcome = result(c);
          if (outcome && c.reply)
            nc.publish(c.reply.inbox, encodeReplies(outcome.at, [{ token: c.reply.token, result: outcome }]));
        }
      });
    }),
  );
  return { stop: () => Promise.all(readers.map((r) => r.stop())) };
}

test('a writer opens with a hello and numbers commands densely; commands of one turn share a frame', async () => {
  await createLog();
  const door = await open();
  await Promise.all(Array.from({ length: 100 }, (_, i) => door.append(command('@1', i))));
  await door.append(command('@1', 100));
  const frames = await framesOf(1);
  expect(frames[0]).toMatchObject({ kind: 'hello', first: 1, commands: [] });
  expect(frames[0]?.writer).toMatch(/^gateway#[0-9a-f-]{36}$/);
  expect(frames.slice(1).map((f) => [f.kind, f.first, f.commands.length])).toEqual([
    ['commands', 1, 64],
    ['commands', 65, 36],
    ['commands', 101, 1],
  ]);
  expect(new Set(frames.map((f) => f.writer)).size).toBe(1);
  expect(frames.flatMap((f) => f.commands.map((c) => c.body['n']))).toEqual(Array.from({ length: 101 }, (_, i) => i));
  expect(door.inFlight).toBe(0);
});

test('a command goes to the partition of its key', async () => {
  await createLog();
  const door = await open();
  await door.append(command('site-7', 1));
  const home = partitionOf('site-7', partitions);
  expect((await framesOf(home)).at(-1)?.commands[0]?.to.key).toBe('site-7');
  expect(() => partitionOf('@9', partitions)).toThrow(RangeError);
  await expect(door.append(command('@9', 1))).rejects.toBeInstanceOf(RangeError);
});

test('a command above 256 KB is refused and its neighbours are stored in frames below 512 KB', async () => {
  await createLog();
  const door = await open();
  const sizes = [10, 200_000, 300_000, 200_000, 200_000, 10];
  const outcomes = await Promise.allSettled(
    sizes.map((size, i) => door.append(command('@0', i, { text: 'x'.repeat(size) }))),
  );
  expect(outcomes.map((o) => o.status)).toEqual([
    'fulfilled',
    'fulfilled',
    'rejected',
    'fulfilled',
    'fulfilled',
    'fulfilled',
  ]);
  expect((outcomes[2] as PromiseRejectedResult).reason).toMatchObject({ name: 'DoorRefused', code: 'too_large' });
  const frames = await framesOf(0);
  expect(frames.flatMap((f) => f.commands.map((c) => c.body['n']))).toEqual([0, 1, 3, 4, 5]);
  let next = 1;
  for (const f of frames.slice(1)) {
    expect(f.first).toBe(next);
    next += f.commands.length;
  }
  expect(await door.request({ ...command('@0', 9, { text: 'x'.repeat(300_000) }) })).toMatchObject({
    ok: false,
    code: 'too_large',
  });
});

test('after an idle hour a writer opens a new incarnation that starts at 1', async () => {
  await createLog();
  const door = await open();
  await door.append(command('@0', 1));
  await door.append(command('@0', 2));
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 3_600_001 });
  await door.append(command('@0', 3));
  vi.useRealTimers();
  const frames = await framesOf(0);
  expect(frames.map((f) => [f.kind, f.first])).toEqual([
    ['hello', 1],
    ['commands', 1],
    ['commands', 2],
    ['hello', 1],
    ['commands', 1],
  ]);
  expect(frames[3]?.writer).not.toBe(frames[0]?.writer);
});

test('kills of the server lose no acknowledged command, double none and keep the order', async () => {
  await createLog();
  const door = await open();
  const acked: number[][] = Array.from({ length: partitions }, () => []);
  let n = 0;
  let writing = true;
  const pending: Promise<void>[] = [];
  const load = (async () => {
    while (writing) {
      for (let i = 0; i < 20; i++) {
        const mine = n++;
        pending.push(
          door.append(command(`@${mine % partitions}`, mine)).then(() => void acked[mine % partitions]?.push(mine)),
        );
      }
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  })();
  for (let kill = 0; kill < 4; kill++) {
    const reached = acked.flat().length + 500;
    while (acked.flat().length < reached) await new Promise((resolve) => setTimeout(resolve, 5));
    await nats.kill9();
    await nats.restart();
  }
  writing = false;
  await load;
  await Promise.all(pending);
  for (let p = 0; p < partitions; p++) {
    const applier = new Applier();
    for (const frame of await framesOf(p)) applier.apply(frame);
    const all = Array.from({ length: Math.ceil((n - p) / partitions) }, (_, i) => i * partitions + p);
    expect(applier.applied.map((c) => c.body['n'])).toEqual(all);
    expect(acked[p]).toEqual(all);
  }
});

test('lost acks and cut connections double nothing and lose nothing', async () => {
  await createLog();
  const proxy = await startTestProxy(nats.port);
  const connection = await connectLog(proxy.url, 'behind a bad network');
  const door = await openDoor(connection, { name: 'gateway', partitions });
  let n = 0;
  let acked = 0;
  let writing = true;
  const pending: Promise<void>[] = [];
  const load = (async () => {
    while (writing) {
      for (let i = 0; i < 10; i++) pending.push(door.append(command('@0', n++)).then(() => void acked++));
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  })();
  for (let failure = 0; failure < 8; failure++) {
    const reached = acked + 100;
    while (acked < reached) await new Promise((resolve) => setTimeout(resolve, 2));
    if (failure % 2 === 0) {
      const { last } = await commandBounds(nc, 0);
      proxy.mute();
      while ((await commandBounds(nc, 0)).last < last + 5) await new Promise((resolve) => setTimeout(resolve, 2));
    }
    proxy.cut();
  }
  writing = false;
  await load;
  await Promise.all(pending);
  const frames = await framesOf(0);
  const applier = new Applier();
  for (const frame of frames) applier.apply(frame);
  expect(applier.applied.map((c) => c.body['n'])).toEqual(Array.from({ length: n }, (_, i) => i));
  // Acks were lost, so copies there must be; the watermark is what removes them.
  expect(frames.flatMap((f) => f.commands).length).toBeGreaterThan(n);
  await door.close();
  await connection.close();
  await proxy.stop();
});

test('after the log lost its end a writer opens a new incarnation instead of writing into a gap', async () => {
  await createLog();
  const door = await open();
  for (let n = 0; n < 5; n++) await door.append(command('@0', n));
  const old = (await framesOf(0))[0]?.writer;
  await jsApi(nc, 'STREAM.DELETE.C_0');
  await jsApi(nc, 'STREAM.CREATE.C_0', {
    name: 'C_0',
    subjects: ['c.0'],
    storage: 'file',
    retention: 'limits',
    discard: 'new',
    num_replicas: 1,
  });
  await door.append(command('@0', 5));
  await door.append(command('@0', 6));
  await door.append(command('@0', 7));
  const frames = await framesOf(0);
  expect(frames.map((f) => [f.kind, f.first, f.writer === old])).toEqual([
    ['commands', 6, true],
    ['hello', 1, false],
    ['commands', 1, false],
    ['commands', 2, false],
  ]);
});

test('a frame that was lost while later ones were stored is sent again with all that followed it', async () => {
  await createLog();
  // The second frame is larger than the stream allows until the limit is lifted; the third would fit.
  await jsApi(nc, 'STREAM.UPDATE.C_0', {
    name: 'C_0',
    subjects: ['c.0'],
    storage: 'file',
    retention: 'limits',
    discard: 'new',
    num_replicas: 1,
    max_msg_size: 10_000,
  });
  const door = await open();
  await door.append(command('@0', 0));
  const large = door.append(command('@0', 1, { text: 'x'.repeat(20_000) }));
  // Frames of one partition leave 2 ms apart: the large one has left, alone.
  await new Promise((resolve) => setTimeout(resolve, 10));
  const small = door.append(command('@0', 2));
  let told = false;
  void small.then(() => (told = true));
  const deadline = Date.now() + 5_000;
  while ((await commandBounds(nc, 0)).last < 3 && Date.now() < deadline)
    await new Promise((resolve) => setTimeout(resolve, 5));
  expect((await commandBounds(nc, 0)).last).toBeGreaterThanOrEqual(3); // the small one is stored, in front of its predecessor
  expect(told).toBe(false);
  await jsApi(nc, 'STREAM.UPDATE.C_0', {
    name: 'C_0',
    subjects: ['c.0'],
    storage: 'file',
    retention: 'limits',
    discard: 'new',
    num_replicas: 1,
    max_msg_size: -1,
  });
  await Promise.all([large, small]);
  const applier = new Applier();
  for (const frame of await framesOf(0)) applier.apply(frame);
  expect(applier.applied.map((c) => c.body['n'])).toEqual([0, 1, 2]);
});

test('a request gets its reply; a lost reply is asked for again under the same id and token', async () => {
  await createLog();
  const door = await open();
  const copies: CommandEnvelope[] = [];
  const engine = await echoEngine((c) => {
    copies.push(c);
    return copies.length === 1 ? undefined : { ok: true, value: c.body['n'], at: '0:5' };
  });
  expect(await door.request(command('@0', 41))).toEqual({ ok: true, value: 41, at: '0:5' });
  expect(copies.map((c) => [c.id, c.reply?.token])).toEqual([
    ['test:41', 1],
    ['test:41', 1],
  ]);
  await engine.stop();
});

test('a fact without an id is not asked for again; nobody answering means unavailable', async () => {
  await createLog();
  const door = await open();
  const outcome = await door.request({ ...command('@2', 1), id: null, timeoutMs: 1_500 });
  expect(outcome).toMatchObject({ ok: false, code: 'unavailable', at: '' });
  expect((await framesOf(2)).length).toBe(2);
});

test('a partition that is behind refuses commands and takes facts', async () => {
  await createLog();
  const door = await open();
  const say = async (offset: number, last: number, lagMs: number) => {
    nc.publish(internal.commits('e1'), packr.pack({ engine: 'e1', partitions: [[0, offset, last, lagMs]] }));
    await nc.flush();
  };
  await say(10, 60_010, 100);
  await expect(door.append(command('@0', 1))).rejects.toMatchObject({ code: 'overloaded' });
  expect(await door.request(command('@0', 2))).toMatchObject({ ok: false, code: 'overloaded' });
  await door.append({ ...command('@0', 3), fact: true });
  await door.append(command('@1', 4));
  await say(60_000, 60_020, 2_500);
  await expect(door.append(command('@0', 5))).rejects.toMatchObject({ code: 'overloaded' });
  await say(60_020, 60_020, 0);
  await door.append(command('@0', 6));
  expect((await framesOf(0)).flatMap((f) => f.commands.map((c) => c.body['n']))).toEqual([3, 6]);
  expect(door.stats()).toMatchObject({ inFlight: 0, stored: 3, refused: { overloaded: 3 }, replies: {} });
});

test('a door without room lets commands wait, then refuses; what was sent is stored once there is room', async () => {
  await createLog({ max_bytes: 1 });
  const door = await open({ inFlightMax: 2, roomMs: 200, appendMs: 400 });
  const outcomes = await Promise.allSettled([1, 2, 3, 4].map((n) => door.append(command('@0', n))));
  expect(outcomes.map((o) => (o as PromiseRejectedResult).reason.code)).toEqual([
    'unavailable',
    'unavailable',
    'overloaded',
    'overloaded',
  ]);
  expect(String((outcomes[0] as PromiseRejectedResult).reason)).toContain('maximum bytes exceeded');
  expect(door.inFlight).toBe(2);
  await expect(door.append(command('@0', 5))).rejects.toMatchObject({ code: 'overloaded' });
  await jsApi(nc, 'STREAM.UPDATE.C_0', {
    name: 'C_0',
    subjects: ['c.0'],
    storage: 'file',
    retention: 'limits',
    discard: 'new',
    num_replicas: 1,
    max_bytes: -1,
  });
  const late = Date.now() + 5_000;
  while (door.inFlight > 0 && Date.now() < late) await new Promise((resolve) => setTimeout(resolve, 20));
  await door.append(command('@0', 6));
  expect((await framesOf(0)).flatMap((f) => f.commands.map((c) => c.body['n']))).toEqual([1, 2, 6]);
});

test('closing the door waits for acknowledgements and answers open requests', async () => {
  await createLog();
  const door = await open();
  const waiting = door.request(command('@3', 1));
  await door.close();
  expect(await waiting).toMatchObject({ ok: false, code: 'unavailable' });
  expect((await framesOf(3)).at(-1)?.commands[0]?.body['n']).toBe(1);
  await expect(door.append(command('@3', 2))).rejects.toMatchObject({ code: 'unavailable' });
});
