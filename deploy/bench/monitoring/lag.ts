/**
 * How far engine, live state and history are behind, as the age of the oldest that is missing: for the engine a frame of the
 * command log that is not committed, for the others a journal record that Redis or ClickHouse does not have. Sampled, so each
 * look counts up to its answer.
 */
import type { ClickHouseClient } from '@clickhouse/client';
import { journalBounds, LagFeed, tailJournalBatches } from '#engine/log/mod';
import { projectedPositions } from '#engine/projections/mod';
import { Latencies } from '../lib/latencies.ts';
import type { Sinks } from '../ocpp/progress.ts';

const lookEveryMs = { engine: 250, 'live state': 250, history: 500 };
export type Follower = keyof typeof lookEveryMs;

/** Journal records that a follower has yet to take in, oldest first. */
class Missing {
  readonly #records: { sequence: number; at: number }[][];
  readonly #reached: number[];

  constructor(partitions: number) {
    this.#records = Array.from({ length: partitions }, () => []);
    this.#reached = Array.from({ length: partitions }, () => 0);
  }

  add(partition: number, sequence: number, at: number): void {
    if (sequence > this.#reached[partition]!) this.#records[partition]!.push({ sequence, at });
  }

  reached(partition: number, position: number): void {
    this.#reached[partition] = Math.max(this.#reached[partition]!, position);
    const records = this.#records[partition]!;
    while (records[0] !== undefined && records[0].sequence <= position) records.shift();
  }

  oldestMs(now: number): number {
    return Math.max(0, ...this.#records.map(([oldest]) => (oldest === undefined ? 0 : now - oldest.at)));
  }
}

export interface LagReport {
  p50Ms: number;
  p99Ms: number;
  maxMs: number;
}

/** Follows from now on; `report` is about the time since `reset`. */
export async function followLags({ nc, redis, clickhouse, partitions }: Sinks) {
  let ended = false;
  const all = Array.from({ length: partitions }, (_, p) => p);
  const missing = { 'live state': new Missing(partitions), history: new Missing(partitions) };
  const readers = await Promise.all(
    all.map(async (p) =>
      tailJournalBatches(nc, p, (await journalBounds(nc, p)).last + 1, (records) => {
        for (const { sequence, at, record } of records) {
          missing['live state'].add(p, sequence, at);
          // What becomes a row of measured values: the newest of them tells how far ClickHouse has come.
          if (record.events.some(({ kind, payload }) => kind === 'meter' && payload.samples.length > 0))
            missing.history.add(p, sequence, at);
        }
      }),
    ),
  );
  const feed = new LagFeed(nc, partitions);

  const looks: Record<Follower, () => Promise<number>> = {
    engine: async () => Math.max(...all.map((p) => feed.lag(p).ms)),
    'live state': async () => {
      for (const [p, position] of (await projectedPositions(redis, partitions)).entries())
        missing['live state'].reached(p, position ?? 0);
      return missing['live state'].oldestMs(Date.now());
    },
    history: async () => {
      for (const [p, sequence] of await newestRows(clickhouse)) missing.history.reached(p, sequence);
      return missing.history.oldestMs(Date.now());
    },
  };
  const names = Object.keys(looks) as Follower[];
  let seen = fresh();
  const following = names.map(async (name) => {
    while (!ended) {
      const lagMs = await looks[name]();
      seen[name].add(lagMs);
      await new Promise((resolve) => setTimeout(resolve, lookEveryMs[name]));
    }
  });
  const followed = Promise.all(following);
  return {
    /** Waits so long; throws when one of them cannot be asked. */
    during: async (ms: number) =>
      void (await Promise.race([new Promise((resolve) => setTimeout(resolve, ms)), followed])),
    reset: () => void (seen = fresh()),
    report: (): Record<Follower, LagReport> => ({
      engine: seen.engine.report(),
      'live state': seen['live state'].report(),
      history: seen.history.report(),
    }),
    async stop() {
      ended = true;
      await followed;
      feed.close();
      for (const reader of readers) await reader.stop();
    },
  };
}

const fresh = (): Record<Follower, Latencies> => ({
  engine: new Latencies(),
  'live state': new Latencies(),
  history: new Latencies(),
});

/** Per partition the journal sequence of its newest row, of those that came lately. */
async function newestRows(clickhouse: ClickHouseClient): Promise<[number, number][]> {
  const result = await clickhouse.query({
    query: `SELECT partition, max(sequence) AS sequence FROM gridtick.meter_values_log
WHERE ingested_at > now64(3, 'UTC') - INTERVAL 30 SECOND GROUP BY partition`,
    format: 'JSONEachRow',
  });
  const rows = await result.json<{ partition: number; sequence: string }>();
  return rows.map(({ partition, sequence }) => [partition, Number(sequence)]);
}

export interface Stored {
  /** Sampled values that an analyst can read. */
  values: number;
  p99Ms: number;
  maxMs: number;
}

/** All periodic values, and how long after its time in the log each row received since `from` (unix ms) was inserted. */
export async function storedValues(clickhouse: ClickHouseClient, from: number): Promise<Stored> {
  const late = "dateDiff('millisecond', received_at, ingested_at)";
  const measured = `received_at >= fromUnixTimestamp64Milli(${from}, 'UTC')`;
  const result = await clickhouse.query({
    query: `SELECT count() AS values, quantileExactIf(0.99)(${late}, ${measured}) AS p99, maxIf(${late}, ${measured}) AS max
FROM gridtick.meter_values WHERE context = 'Sample.Periodic'`,
    format: 'JSONEachRow',
  });
  const [row] = await result.json<{ values: string; p99: string; max: string }>();
  return { values: Number(row?.values), p99Ms: Number(row?.p99), maxMs: Number(row?.max) };
}
