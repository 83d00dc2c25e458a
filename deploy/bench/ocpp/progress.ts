/** How far the engine, the history, the live state and the public stream have come behind the answers. */
import type { ClickHouseClient } from '@clickhouse/client';
import { jetstreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import type { Redis } from 'ioredis';
import { anyCommits, commandBounds, journalBounds, type CommitPositions } from '#engine/log/mod';
import { packr } from '#engine/wire';

const lookEveryMs = 50;

export interface CaughtUp {
  /** From the last answer until the engine said that nothing waits; it says so every 250 ms. */
  engineMs: number;
  /** … until every row was readable in ClickHouse, the live state and the public stream complete. */
  historyMs: number;
  redisMs: number;
  publisherMs: number;
}

/** Follows the engines' own words about their lag: age of the oldest uncommitted frame, every 250 ms. */
export function followLag(nc: NatsConnection) {
  let heard: { at: number; lagMs: number; done: boolean }[] = [];
  const subscription = nc.subscribe(anyCommits, {
    callback: (error, message) => {
      if (error) return;
      const { partitions } = packr.unpack(message.data) as CommitPositions;
      const now = performance.now();
      const lagMs = Math.max(...partitions.map((p) => p[3]));
      const done = partitions.every(([, offset, last]) => offset >= last);
      heard = [...heard.filter(({ at }) => now - at < 1_000), { at: now, lagMs, done }];
    },
  });
  return {
    /** Of the last second that was told of. */
    worstMs: () => Math.max(0, ...heard.map(({ lagMs }) => lagMs)),
    saidDoneSince: (at: number) => heard.some((message) => message.at >= at && message.done),
    stop: () => subscription.unsubscribe(),
  };
}
export type LagFollower = ReturnType<typeof followLag>;

export interface Sinks {
  nc: NatsConnection;
  redis: Redis;
  clickhouse: ClickHouseClient;
  partitions: number;
}

/** Frames and records in all partitions so far: how many messages share one tells what a message costs. */
export async function logLength({ nc, partitions }: Sinks): Promise<{ frames: number; records: number }> {
  const all = Array.from({ length: partitions }, (_, p) => p);
  const sum = async (bounds: typeof commandBounds) =>
    (await Promise.all(all.map((p) => bounds(nc, p)))).reduce((n, { last }) => n + last, 0);
  return { frames: await sum(commandBounds), records: await sum(journalBounds) };
}

/** Sampled values that an analyst can read. */
export async function storedValues({ clickhouse }: Sinks): Promise<number> {
  const result = await clickhouse.query({
    query: 'SELECT count() AS n FROM gridtick.meter_values',
    format: 'JSONEachRow',
  });
  return Number((await result.json<{ n: string }>())[0]?.n ?? 0);
}

/** Rows as inserted, for looking often: without FINAL it costs nothing, and can only be too high. */
async function insertedValues({ clickhouse }: Sinks): Promise<number> {
  const query = 'SELECT count() AS n FROM gridtick.meter_values_log';
  const result = await clickhouse.query({ query, format: 'JSONEachRow' });
  return Number((await result.json<{ n: string }>())[0]?.n ?? 0);
}

/** Waits until all of `expected` has arrived everywhere; throws when it does not within `limitMs`. */
export async function catchUp(
  sinks: Sinks,
  lag: LagFollower,
  expected: { values: number; messages: number },
  limitMs = 60_000,
): Promise<CaughtUp> {
  const { nc, redis, partitions } = sinks;
  const manager = await jetstreamManager(nc);
  const started = performance.now();
  const until = async (what: string, wanted: number, look: () => Promise<number>): Promise<number> => {
    for (;;) {
      const found = await look();
      if (found >= wanted) return Math.round(performance.now() - started);
      const waited = performance.now() - started;
      if (waited > limitMs) throw new Error(`${what} stands at ${found} of ${wanted} after ${Math.round(waited)} ms`);
      await new Promise((resolve) => setTimeout(resolve, lookEveryMs));
    }
  };
  const published = async () => {
    const { state } = await manager.streams.info('METER', { subjects_filter: 'pub.meter.>' });
    return Object.values(state.subjects ?? {}).reduce((sum, n) => sum + n, 0);
  };
  const engine = until('the engine', 1, async () => Number(lag.saidDoneSince(started)));
  const [engineMs, historyMs, publisherMs, redisMs] = await Promise.all([
    engine,
    until('the history', expected.values, () => insertedValues(sinks)),
    until('the public stream', expected.messages, published),
    engine.then(async () => {
      const ends = await Promise.all(Array.from({ length: partitions }, (_, p) => journalBounds(nc, p)));
      return until('the live state', partitions, async () => {
        const found = await redis.mget(ends.map((_, p) => `projected:${p}`));
        return ends.filter(({ last }, p) => Number(found[p] ?? 0) >= last).length;
      });
    }),
  ]);
  return { engineMs, historyMs, publisherMs, redisMs };
}
