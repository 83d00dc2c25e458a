import type { NatsConnection } from '@nats-io/transport-node';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { packr } from '../wire.ts';
import { connectLog } from './connection.ts';
import { LagFeed, type PartitionRoom } from './lag.ts';
import { internal } from './subjects.ts';
import { startTestNats, type TestNats } from './testing.ts';

let nats: TestNats;
let nc: NatsConnection;
let now = 0;
let feed: LagFeed;

beforeAll(async () => {
  nats = await startTestNats();
  nc = await connectLog(nats.url, 'lag test');
});
afterAll(async () => {
  await nc.close();
  await nats.stop();
});
beforeEach(() => {
  now = 1_000_000;
  feed?.close();
  feed = new LagFeed(nc, 2, { startMs: 10_000, now: () => now });
});
const say = (offset: number, last: number, lagMs: number) =>
  feed.heard({ engine: 'e', partitions: [[0, offset, last, lagMs]] });

test('a feed that was never heard refuses nothing by itself, also much later', () => {
  now += 3_600_000;
  expect(feed.lag(0)).toEqual({ commands: 0, ms: 0 });
});

test('without any engine a frame of ours makes the partition late once the grace for starting is over', () => {
  feed.stored(0, 1);
  now += 9_000;
  expect(feed.lag(0).ms).toBe(0);
  now += 2_000;
  expect(feed.lag(0)).toEqual({ commands: 1, ms: 11_000 });
  expect(feed.lag(1).ms).toBe(0);
  say(1, 1, 0);
  expect(feed.lag(0)).toEqual({ commands: 0, ms: 0 });
});

test('while positions come they are the lag; frames stored since then count too', () => {
  say(100, 160, 70);
  expect(feed.lag(0)).toEqual({ commands: 60, ms: 70 });
  feed.stored(0, 170);
  expect(feed.lag(0)).toEqual({ commands: 70, ms: 70 });
});

test('when the feed falls silent the lag grows only if something waits', () => {
  say(100, 100, 0);
  now += 60_000;
  expect(feed.lag(0)).toEqual({ commands: 0, ms: 0 });
  feed.stored(0, 101);
  now += 1_500;
  expect(feed.lag(0)).toEqual({ commands: 1, ms: 1_500 });
  say(101, 120, 40);
  now += 3_000;
  expect(feed.lag(0)).toEqual({ commands: 19, ms: 3_040 });
});

test('an engine that speaks says how late it is, a silent one holds nobody up', () => {
  expect(feed.engineMs(0)).toBe(0);
  say(100, 160, 700);
  expect(feed.engineMs(0)).toBe(700);
  now += 3_000;
  expect(feed.engineMs(0)).toBe(700);
  now += 1;
  expect(feed.engineMs(0)).toBe(0);
  say(160, 160, 0);
  expect(feed.engineMs(0)).toBe(0);
});

test('a superseded engine that still talks moves nothing backwards', () => {
  say(500, 500, 0);
  say(300, 500, 9_000);
  expect(feed.lag(0)).toEqual({ commands: 0, ms: 0 });
});

test('of two engines that claim a partition the one of the newer epoch is heard, however far the other says it is', () => {
  feed.heard({ engine: 'zombie', partitions: [[0, 500, 520, 30, 4]] });
  feed.heard({ engine: 'owner', partitions: [[0, 500, 560, 900, 5]] });
  feed.heard({ engine: 'zombie', partitions: [[0, 500, 500, 0, 4]] });
  expect(feed.lag(0)).toEqual({ commands: 60, ms: 900 });
  feed.heard({ engine: 'owner', partitions: [[0, 560, 560, 0, 5]] });
  expect(feed.lag(0)).toEqual({ commands: 0, ms: 0 });
});

test('positions arrive from any engine on its commit subject, and noise on it is ignored', async () => {
  nc.publish(internal.commits('engine-1'), 'noise');
  nc.publish(
    internal.commits('engine-1'),
    packr.pack({
      engine: 'engine-1',
      partitions: [
        [1, 5, 25, 30],
        [9, 1, 1, 1],
      ],
    }),
  );
  await nc.flush();
  expect(feed.lag(1)).toEqual({ commands: 20, ms: 30 });
  expect(() => feed.lag(9)).toThrow(RangeError);
});

test('streams that are nearly full are told with who holds them, and stay full while nobody speaks; sockets wait for no dead engine', () => {
  const said = (room: PartitionRoom) => feed.heard({ engine: 'e', partitions: [[0, 100, 100, 0, 1, room]] });
  said([9_499, 9_400, 'snapshot', false]);
  expect(feed.full(0)).toBeNull();
  expect(feed.full(1)).toBeNull();
  said([3_000, 9_500, 'clickhouse', false]);
  expect(feed.full(0)).toBe('the command log of partition 0 is 30 % full, its journal 95 %; clickhouse holds it');
  expect(feed.engineMs(0)).toBe(Infinity);
  now += 5_000;
  expect(feed.full(0)).not.toBeNull();
  expect(feed.engineMs(0)).toBe(0);
  said([100, 100, 'relays', true]);
  expect(feed.full(0)).toContain('relays holds it');
  said([100, 100, '', false]);
  expect(feed.full(0)).toBeNull();
});
