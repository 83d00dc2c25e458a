import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { jetstreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { bounds, connectLog, provision, pull, ringPublisher, type RingPublisher } from '../log/mod.ts';
import { startTestNats, type TestNats } from '../log/testing.ts';
import type { JournalEntry } from '../wire.ts';
import { natsJournal } from './journal.ts';
import { PublicLane, type Append, type LaneOptions, type Tell } from './public_lane.ts';
import { PublicStream } from './public_stream.ts';
import { sharedJournal } from './shared_journal.ts';
import { startPublisher, type PublisherOptions } from './publisher.ts';
import { journalWriter, meterEvent, priceEvent, seededRandom, until } from './testing.ts';

const partitions = 3;
let nats: TestNats;
let nc: NatsConnection;

beforeAll(async () => {
  nats = await startTestNats();
  nc = await connectLog(nats.url, 'test');
});
afterAll(async () => {
  await nc.close();
  await nats.stop();
});

/** Empty journals and public streams, and writers that remember what they wrote. */
async function fresh() {
  const jsm = await jetstreamManager(nc);
  for (const name of ['J_0', 'J_1', 'J_2', 'PRICE', 'METER']) await jsm.streams.delete(name).catch(() => undefined);
  await provision(nc, { partitions, scale: 0.1 });
  const writers = Array.from({ length: partitions }, (_, p) => journalWriter(nc, p));
  const written: Record<'price' | 'meter', string[]> = { price: [], meter: [] };
  let slot = 0;
  /** One record with some prices and some meter values, mixed. */
  const write = async (partition: number, prices: number, meters: number) => {
    slot += 1;
    const events = Array.from({ length: prices + meters }, (_, i) =>
      i % 2 === 0
        ? i / 2 < prices
          ? priceEvent(`s${partition}-${i}`, slot)
          : meterEvent(`c${partition}-${i}`, slot)
        : (i - 1) / 2 < meters
          ? meterEvent(`c${partition}-${i}`, slot)
          : priceEvent(`s${partition}-${i}`, slot),
    );
    const { sequence } = await (writers[partition] as (typeof writers)[0]).append({ events });
    events.forEach((event, i) => written[event.kind as 'price' | 'meter'].push(`${partition}:${sequence}:${i}`));
  };
  const start = (connection: NatsConnection, options: Partial<PublisherOptions> = {}) =>
    startPublisher(connection, sharedJournal(natsJournal(connection, partitions)), {
      kinds: ['price', 'meter'],
      onFatal: (e) => {
        throw e;
      },
      ...options,
    });
  return { write, written, start };
}

/** Journal positions of the stored events, in stream order. */
async function storedIn(name: string): Promise<string[]> {
  const last = (await bounds(nc, name)).last;
  const stored: string[] = [];
  if (last === 0) return stored;
  let done: () => void;
  const read = new Promise<void>((resolve) => (done = resolve));
  const reader = await pull(nc, name, { from: 1 }, (messages) => {
    for (const m of messages) {
      if (m.subject.startsWith('pub.')) stored.push(m.header('Gridtick-At'));
      if (m.sequence === last) done();
    }
  });
  await read;
  await reader.stop();
  return stored;
}

const compare = (a: string, b: string) => {
  const [pa, sa, ia] = a.split(':').map(Number) as [number, number, number];
  const [pb, sb, ib] = b.split(':').map(Number) as [number, number, number];
  return pa - pb || sa - sb || ia - ib;
};
const sorted = (list: string[]) => [...list].sort(compare);
const ofPartition = (list: string[], p: number) => list.filter((at) => at.startsWith(`${p}:`));
const expectInOrder = (stored: string[]) => {
  for (let p = 0; p < partitions; p++) expect(ofPartition(stored, p)).toEqual(sorted(ofPartition(stored, p)));
};

test('each event is stored once under its subject, with its position, its schema and its payload', async () => {
  const { write, start } = await fresh();
  await write(0, 1, 1);
  const seen: { subject: string; at: string; schema: string; keys: string[] }[] = [];
  const live = nc.subscribe('price.>', {
    callback: (_, m) => {
      const header = (name: string) => m.headers?.get(name) ?? '';
      seen.push({
        subject: m.subject,
        at: header('Gridtick-At'),
        schema: header('Gridtick-Schema'),
        keys: m.headers?.keys().filter((k) => !k.startsWith('Nats-')) ?? [],
      });
      expect(m.json()).toMatchObject({ station: 's0-0', slot: 1, priceE5SekPerKwh: 100_000 });
    },
  });
  const publisher = await start(nc);
  await until('seen live', () => seen.length > 0);
  expect(seen).toEqual([
    { subject: 'price.s0-0', at: '0:1:0', schema: 'price/1', keys: ['Gridtick-At', 'Gridtick-Schema'] },
  ]);
  await until('published', () => publisher.published() === 2);
  await publisher.close();
  expect(await storedIn('METER')).toEqual(['0:1:1']);
  expect(publisher.positions()).toEqual([[0, 1]]);
  live.unsubscribe();
});

test('a restarted publisher goes on where the stream ends, within a record too', async () => {
  const { write, written, start } = await fresh();
  for (let i = 0; i < 20; i++) await write(i % partitions, 3, 4);
  const first = await start(nc, { markEvery: 10, markEveryMs: 60_000 });
  await until('published', () => first.published() === 140);
  await first.close();
  for (let i = 0; i < 20; i++) await write(i % partitions, 2, 1);
  const second = await start(nc);
  await until('published', () => second.published() === 60);
  await second.close();
  expect(sorted(await storedIn('PRICE'))).toEqual(sorted(written.price));
  expect(sorted(await storedIn('METER'))).toEqual(sorted(written.meter));
  expectInOrder(await storedIn('METER'));
});

test('a publisher killed at random again and again leaves each event once and in order, and so do live subscribers see it', async () => {
  const seed = Date.now() % 100_000;
  const random = seededRandom(seed);
  const { write, written, start } = await fresh();
  const live: string[] = [];
  const subscription = nc.subscribe('meter.>', {
    callback: (_, m) => void live.push(m.headers?.get('Gridtick-At') ?? ''),
  });
  let writing = true;
  const writer = (async () => {
    while (writing) {
      await Promise.all(Array.from({ length: 2 }, () => write(Math.floor(random() * partitions), 1, 12)));
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  })();
  const progress: { stored: number; written: number }[] = [];
  for (let round = 0; round < 4; round++) {
    const child = spawnPublisher();
    await once(child.stdout as NodeJS.ReadableStream, 'data');
    await new Promise((resolve) => setTimeout(resolve, 100 + random() * 300));
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
    progress.push({ stored: (await storedIn('METER')).length, written: written.meter.length });
  }
  writing = false;
  await writer;
  const last = await start(nc);
  await until('all meters published', async () => (await storedIn('METER')).length >= written.meter.length, 30_000);
  await until('all prices published', async () => (await storedIn('PRICE')).length >= written.price.length);
  await last.close();
  const meters = await storedIn('METER');
  expect(sorted(meters), `seed ${seed}`).toEqual(sorted(written.meter));
  expect(sorted(await storedIn('PRICE')), `seed ${seed}`).toEqual(sorted(written.price));
  expectInOrder(meters);
  await nc.flush();
  expect(live, `seed ${seed}`).toEqual(meters);
  // The kills fell into the work, not after it.
  expect(
    progress.filter(({ stored, written }) => stored > 0 && stored < written).length,
    JSON.stringify(progress),
  ).toBeGreaterThan(1);
  subscription.unsubscribe();
}, 90_000);

test('of two publishers at once one stops, and nothing is doubled or missing', async () => {
  const { write, written, start } = await fresh();
  for (let i = 0; i < 300; i++) await write(i % partitions, 2, 4);
  const connections = await Promise.all([connectLog(nats.url, 'a'), connectLog(nats.url, 'b')]);
  const fatal: Error[] = [];
  const onFatal = (error: Error) => fatal.push(error);
  const settled = await Promise.allSettled(connections.map((c) => start(c, { onFatal, markEveryMs: 100 })));
  for (const s of settled) if (s.status === 'rejected') fatal.push(s.reason as Error);
  for (let i = 0; i < 300; i++) await write(i % partitions, 2, 4);
  await until('one has stopped', () => fatal.length > 0);
  for (const error of fatal) expect(error).toMatchObject({ name: 'ProjectionStopped', code: 'other_writer' });
  for (const s of settled) if (s.status === 'fulfilled') await s.value.close();
  const heir = await start(nc);
  await until(
    'all published',
    async () =>
      (await storedIn('METER')).length >= written.meter.length &&
      (await storedIn('PRICE')).length >= written.price.length,
  );
  await heir.close();
  expect(sorted(await storedIn('PRICE'))).toEqual(sorted(written.price));
  expect(sorted(await storedIn('METER'))).toEqual(sorted(written.meter));
  await Promise.all(connections.map((c) => c.close()));
});

test('lost answers, lost appends and appends that arrive late double nothing and lose nothing', async () => {
  const seed = Date.now() % 100_000;
  for (let round = 0; round < 6; round++) {
    const random = seededRandom(seed + round);
    await fresh();
    const ring = ringPublisher(nc);
    const late: Promise<unknown>[] = [];
    const faultyOf =
      (life: { dead: boolean }): Append =>
      async (subject, payload, options) => {
        const died = new Promise<never>(() => undefined);
        if (life.dead) return died;
        const fate = random();
        if (fate < 0.01) throw new Error('lost on the way there');
        if (fate < 0.02) {
          late.push(
            new Promise((resolve) => setTimeout(resolve, random() * 30))
              .then(() => ring.publish(subject, payload, options))
              .catch(() => undefined),
          );
          throw new Error('given up, but still under way');
        }
        const ack = await ring.publish(subject, payload, options).catch((error: Error) => error);
        if (life.dead) return died;
        if (ack instanceof Error) throw ack;
        if (fate < 0.03) throw new Error('answer lost');
        return ack;
      };
    const faultyTellOf =
      (life: { dead: boolean }): Tell =>
      (subject, payload, options) => {
        const fate = random();
        if (life.dead || fate < 0.01) return;
        if (fate < 0.02) {
          const arrived = new Promise((resolve) => setTimeout(resolve, random() * 30));
          late.push(arrived.then(() => ring.publish(subject, payload, options)).catch(() => undefined));
        } else ring.tell(subject, payload, options);
      };
    const fatal: Error[] = [];
    const life = { dead: false };
    const open = (publisher: string, mine: { dead: boolean }) =>
      openLane({ publisher, append: faultyOf(mine), tell: faultyTellOf(mine), onFatal: (e) => fatal.push(e) });
    const expected: string[] = [];
    let lane = await open('one', life);
    for (let sequence = 1; sequence <= 120; sequence++) {
      const entry = entryOf(0, sequence, 5);
      expected.push(...[0, 1, 2, 3, 4].map((i) => `0:${sequence}:${i}`));
      await lane.offer(entry);
      if (sequence === 60) {
        // Left as a crash leaves it: what is in flight may still land while the next one takes over.
        life.dead = true;
        const heir = await open('two', { dead: false });
        const from = (heir.marked(0) ?? 0) + 1;
        for (let again = from; again <= sequence; again++) await heir.offer(entryOf(0, again, 5));
        lane = heir;
      }
    }
    await until(
      `seed ${seed + round}: all stored`,
      async () => fatal.length > 0 || new Set(await storedIn('METER')).size >= expected.length,
    );
    await lane.close();
    await Promise.all(late);
    const stored = await storedIn('METER');
    expect(sorted(stored), `seed ${seed + round}`).toEqual(sorted(expected));
    expect(fatal).toEqual([]);
    ring.close();
  }
});

test('an append of an older publisher finds no number that fits after a takeover', async () => {
  await fresh();
  const ring = ringPublisher(nc);
  const held: (() => void)[] = [];
  let hold = false;
  const append: Append = (subject, payload, options) =>
    hold
      ? new Promise((resolve, reject) =>
          held.push(() => void ring.publish(subject, payload, options).then(resolve, reject)),
        )
      : ring.publish(subject, payload, options);
  const fatal: Error[] = [];
  const tell: Tell = (...message) => void (hold ? held.push(() => ring.tell(...message)) : ring.tell(...message));
  const paused = await openLane({ publisher: 'paused', append, tell, onFatal: (e) => fatal.push(e) });
  hold = true;
  await paused.offer(entryOf(0, 1, 30));
  const heir = await openLane({
    publisher: 'heir',
    ...through(ring),
    onFatal: (e) => fatal.push(e),
  });
  // All that the paused one had under way arrives now, before the heir's first event.
  hold = false;
  for (const release of held.splice(0)) release();
  await until('the paused one has stopped', () => fatal.length > 0);
  expect(fatal[0]?.message).toMatch(/publisher heir has taken over from paused/);
  expect(await storedIn('METER')).toEqual([]);
  await heir.offer(entryOf(0, 1, 30));
  await until('the heir has published', () => heir.published === 30 || fatal.length > 1);
  await heir.close();
  expect(fatal.slice(1)).toEqual([]);
  expect(await storedIn('METER')).toEqual(Array.from({ length: 30 }, (_, i) => `0:1:${i}`));
  ring.close();
});

test('only the last message of a group asks for an answer, and one group follows the other', async () => {
  await fresh();
  const ring = ringPublisher(nc);
  const sent: string[] = [];
  const { append, tell } = through(ring);
  const lane = await openLane({
    publisher: 'one',
    append: (subject, payload, options) => {
      if (options.headers['Gridtick-At']) sent.push('?');
      return append(subject, payload, options);
    },
    tell: (...message) => {
      sent.push('.');
      tell(...message);
    },
    markEvery: 1_000,
    markEveryMs: 60_000,
    onFatal: (e) => {
      throw e;
    },
  });
  await lane.offer(entryOf(0, 1, 3));
  await until('the first group is stored', () => lane.published === 3);
  expect(sent.join('')).toBe('..?');
  await lane.offer(entryOf(0, 2, 20));
  await until('all are stored', () => lane.published === 23);
  // No more than a window of 16 in flight.
  expect(sent.join('')).toBe(`..?${'.'.repeat(15)}?...?`);
  await lane.close();
  expect(await storedIn('METER')).toHaveLength(23);
  ring.close();
});

test('a lane that cannot keep up makes its reader wait, and lets go of it when it stops', async () => {
  await fresh();
  const ring = ringPublisher(nc);
  const { append, tell } = through(ring);
  let mute = false;
  const lane = await openLane({
    publisher: 'one',
    append: (...message) => (mute ? new Promise(() => undefined) : append(...message)),
    tell: (...message) => (mute ? undefined : tell(...message)),
    onFatal: (e) => {
      throw e;
    },
  });
  mute = true;
  let sequence = 0;
  let waiting: void | Promise<void>;
  while (!(waiting = lane.offer(entryOf(0, ++sequence, 64)))) expect(sequence).toBeLessThan(40);
  expect(sequence).toBeGreaterThan(30);
  await Promise.all([waiting, lane.close()]);
  expect(lane.offer(entryOf(0, ++sequence, 64))).toBeUndefined();
  ring.close();
});

test('a message whose place another publisher took is not said to be stored, although the group was acknowledged', async () => {
  await fresh();
  const ring = ringPublisher(nc);
  const { append, tell } = through(ring);
  const held: (() => void)[] = [];
  let hold = false;
  const fatal: Error[] = [];
  const lane = await openLane({
    publisher: 'one',
    append: (...message) =>
      hold
        ? new Promise((resolve, reject) => held.push(() => void append(...message).then(resolve, reject)))
        : append(...message),
    tell: (...message) => void (hold ? held.push(() => tell(...message)) : tell(...message)),
    markEveryMs: 60_000,
    onFatal: (e) => fatal.push(e),
  });
  hold = true;
  await lane.offer(entryOf(0, 1, 5));
  await until('the group is on its way', () => held.length === 5);
  // Another publisher begins to take over: its mark lands where the first message of the group belongs.
  const mark = { publisher: 'two', positions: [], ahead: [] };
  const { last } = await bounds(nc, 'METER');
  await ring.publish('pos.METER', new TextEncoder().encode(JSON.stringify(mark)), { expectedLastSequence: last });
  hold = false;
  for (const release of held.splice(0)) release();
  await until('the group is acknowledged', () => lane.published === 5);
  expect(await storedIn('METER')).toEqual([1, 2, 3, 4].map((i) => `0:1:${i}`));
  // The mark that would close the gap over for good.
  await lane.close();
  await until('it has stopped', () => fatal.length > 0);
  expect(fatal[0]?.message).toMatch(/publisher two has taken over from one/);
  expect(lane.marked(0)).toBeNull();
  const heir = await openLane({ publisher: 'heir', ...through(ring), onFatal: (e) => fatal.push(e) });
  await heir.offer(entryOf(0, 1, 5));
  await until('the gap is filled', () => heir.published === 1);
  await heir.close();
  expect(sorted(await storedIn('METER'))).toEqual([0, 1, 2, 3, 4].map((i) => `0:1:${i}`));
  expect(fatal).toHaveLength(1);
  ring.close();
});

test('a kind that a newer build adds is published from the oldest record there is', async () => {
  const { write, start } = await fresh();
  const jsm = await jetstreamManager(nc);
  for (let i = 0; i < 4; i++) await write(0, 1, 1);
  const older = await start(nc, { kinds: ['price'] });
  await until('published', () => older.published() === 4);
  await older.close();
  await jsm.streams.purge('J_0', { seq: 3 });
  await jsm.streams.delete('METER');
  await provision(nc, { partitions, scale: 0.1 });
  const missing: object[] = [];
  const newer = await start(nc, { onMissing: (detail) => missing.push(detail) });
  await until('published', () => newer.published() === 2);
  await newer.close();
  expect(missing).toEqual([{ stream: 'METER', partition: 0, first: 3 }]);
  expect(await storedIn('METER')).toEqual(['0:3:1', '0:4:1']);
  expect(await storedIn('PRICE')).toEqual(['0:1:0', '0:2:0', '0:3:0', '0:4:0']);
});

test('a public stream that holds what no publisher wrote is refused', async () => {
  const { start } = await fresh();
  nc.publish('pub.price.foreign', '{}');
  await nc.flush();
  await expect(start(nc)).rejects.toThrow('PRICE holds 1 messages but no positions of a publisher');
});

test('a journal that is older than a public stream is refused', async () => {
  const { write, start } = await fresh();
  for (let i = 0; i < 5; i++) await write(0, 1, 1);
  const publisher = await start(nc);
  await until('published', () => publisher.published() === 10);
  await publisher.close();
  const jsm = await jetstreamManager(nc);
  await jsm.streams.delete('J_0');
  await provision(nc, { partitions, scale: 0.1 });
  await expect(start(nc)).rejects.toThrow(/J_0 ends at 0, but stream (PRICE|METER) has already seen 5/);
});

const through = (ring: RingPublisher): Pick<LaneOptions, 'append' | 'tell'> => ({
  append: (...message) => ring.publish(...message),
  tell: (...message) => ring.tell(...message),
});

async function openLane(
  options: Pick<LaneOptions, 'publisher' | 'append' | 'tell' | 'onFatal'> & Partial<LaneOptions>,
) {
  return PublicLane.open({
    kind: 'meter',
    stream: await PublicStream.open(nc, 'METER'),
    window: 16,
    markEvery: 40,
    markEveryMs: 50,
    ...options,
  });
}

function entryOf(partition: number, sequence: number, meters: number): JournalEntry {
  const events = Array.from({ length: meters }, (_, i) => meterEvent(`c${i}`, sequence));
  return { partition, sequence, record: { events } as unknown as JournalEntry['record'] };
}

function spawnPublisher(): ChildProcess {
  const script = fileURLToPath(new URL('./testing_child.ts', import.meta.url));
  return spawn(
    process.execPath,
    ['--conditions=source', '--import', 'tsx', script, 'publisher', nats.url, String(partitions)],
    {
      stdio: ['pipe', 'pipe', 'inherit'],
    },
  );
}
