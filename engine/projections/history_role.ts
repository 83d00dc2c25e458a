/**
 * The role "history": three readers of the journal in one process. Each has its own position and its own pace; one that
 * must not go on ends the process, which is started again and goes on from what is stored. Beside them one makes the
 * consumption of sessions from what ClickHouse has, and one brings the trace of messages there.
 */
import { Redis } from 'ioredis';
import pino, { type Logger } from 'pino';
import { domain } from '#actors/mod';
import type { Config } from '../config/config.ts';
import { correlationRow } from '../history/origin_rows.ts';
import { openHistory, toRows, type HistoryStore, type HistoryTable } from '../history/mod.ts';
import { bounds, connectLog, stream } from '../log/mod.ts';
import { startClickhouseSink, type SinkStore } from './clickhouse_sink.ts';
import { startConsumptionRollup } from './consumption_rollup.ts';
import { definitionsOf } from './entities.ts';
import { startMessageSink } from './message_sink.ts';
import { natsJournal, partitionList, type JournalReader } from './journal.ts';
import { readOldestSnapshot } from '../partition/snapshot.ts';
import { snapshotStore } from '../partition/snapshot_store.ts';
import type { ClockKind } from '../wire.ts';
import { readGauge, type Registry } from '../telemetry/registry.ts';
import type { Tracer } from '../telemetry/tracer.ts';
import type { Probes } from '../telemetry/health.ts';
import { ReaderLags } from './reader_lags.ts';
import { announcePositions } from './positions_feed.ts';
import { startPublisher } from './publisher.ts';
import { answerRebuilds, dropClickhouse, dropRedis, stageOf, watchRebuild } from './rebuild.ts';
import { startRedisProjection, type RedisProjection } from './redis_projection.ts';
import { sharedJournal } from './shared_journal.ts';
import { historySinks, type HistorySink } from './sinks.ts';

export type HistoryConfig = Pick<
  Config,
  'natsUrl' | 'redisUrl' | 'clickhouseUrl' | 'clickhouseUser' | 'clickhousePassword' | 'partitions'
> & { clock?: ClockKind };

export interface HistoryOptions {
  log?: Logger;
  metrics?: Registry;
  tracer?: Tracer;
  /** Told once when a projection must not go on; the process should end with an error. */
  onFatal: (error: Error) => void;
}

const lagEveryMs = 10_000;

/** Starts all three; resolves when they follow. Throws when one cannot start, everything opened is closed again. */
export async function runHistory(
  config: HistoryConfig,
  { log = pino({ level: 'silent' }), metrics, tracer, onFatal }: HistoryOptions,
): Promise<{ probes: Probes; close(): Promise<void> }> {
  const closers: (() => Promise<unknown> | void)[] = [];
  const close = async () => {
    for (const closer of closers.splice(0).reverse()) await closer();
  };
  try {
    const nc = await connectLog(config.natsUrl, 'history');
    closers.push(() => nc.close());
    // Commands wait for ever: a projection has nothing better to do than to wait for Redis.
    const redis = new Redis(config.redisUrl, { maxRetriesPerRequest: null, connectionName: 'history' });
    redis.on('error', (error: Error) => log.warn({ error: error.message }, 'redis connection'));
    closers.push(() => redis.disconnect());
    const history = await openHistory({
      url: config.clickhouseUrl,
      user: config.clickhouseUser,
      password: config.clickhousePassword,
    });
    closers.push(() => history.close());
    const journal = sharedJournal(natsJournal(nc, config.partitions));

    const publisher = await startPublisher(nc, journal, {
      onFatal,
      onTrouble: (detail) => log.warn(detail, 'public stream, appending again'),
      onMissing: (detail) => log.error(detail, 'public stream starts behind purged records'),
    });
    closers.push(() => publisher.close());
    const openProjection = () =>
      startRedisProjection(redis, journal, {
        definitions: definitionsOf(domain),
        leaveOut: new Set(domain.records.map(({ kind }) => kind)),
        onFatal,
        onTrouble: (detail) => log.warn(detail, 'redis projection, trying again'),
        loadSnapshot: (partition) => readOldestSnapshot(snapshotStore(nc, null, partition)),
      });
    if ((await stageOf(redis, 'redis')) !== null) await dropRedis(redis, config.partitions);
    let projection: RedisProjection | null = await openProjection();
    closers.push(() => projection?.close());
    if ((await stageOf(redis, 'clickhouse')) === 'dropping') await dropClickhouse(redis, history, journal);
    const follow = () => openSink(history, journal, log, onFatal, tracer);
    let sink: HistorySinkRole | null = await follow();
    closers.push(() => sink?.close());
    const rebuild = watchRebuild(redis, log, () => sink?.positions() ?? []);
    closers.push(() => rebuild.stop());
    const rebuilds = answerRebuilds(
      nc,
      {
        async redis() {
          await projection?.close();
          projection = null;
          await dropRedis(redis, config.partitions);
          projection = await openProjection();
        },
        async clickhouse() {
          await sink?.close();
          sink = null;
          await dropClickhouse(redis, history, journal);
          sink = await follow();
        },
      },
      log,
      onFatal,
    );
    closers.push(() => rebuilds.stop());
    const messages = await startMessageSink(nc, history, {
      onTrouble: (detail) => log.warn(detail, 'message log, trying again'),
      onLoss: (detail) => log.warn(detail, 'messages are missing from the message log'),
    });
    closers.push(() => messages.close());

    const positions: Record<HistorySink, () => [number, number][]> = {
      // What is being dropped stands nowhere, and nothing of the journal may be purged.
      clickhouse: () => sink?.positions() ?? [],
      redis: () => projection?.positions() ?? [],
      publisher: () => publisher.positions(),
    };
    for (const id of historySinks) {
      const feed = announcePositions(nc, id, positions[id]);
      closers.push(() => feed.stop());
    }
    const watch = setInterval(() => void logLag(journal, positions, log, config.clock ?? 'wall'), lagEveryMs);
    closers.push(() => clearInterval(watch));
    const lags = new ReaderLags(nc, config.partitions, positions);
    if (metrics) {
      lags.show(metrics);
      readGauge(metrics, { name: 'gridtick_history_rows_waiting', help: 'Rows gathered for ClickHouse' }, () => [
        [{}, sink?.stats().waiting ?? 0],
      ]);
      readGauge(
        metrics,
        { name: 'gridtick_message_log_lag_batches', help: 'Batches of the message log that are not in ClickHouse' },
        async () => [[{}, Math.max(0, (await bounds(nc, stream.messages)).last - messages.position())]],
      );
    }
    return {
      probes: {
        async log() {
          await nc.rtt();
        },
        async redis() {
          await redis.ping();
        },
        clickhouse: () => history.ping(),
        readers: () => lags.check(),
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

interface HistorySinkRole {
  positions(): [partition: number, sequence: number][];
  stats(): { rows: number; waiting: number };
  close(): Promise<void>;
}

/** The sink, and what is made of its rows. */
async function openSink(
  history: HistoryStore,
  journal: JournalReader,
  log: Logger,
  onFatal: (error: Error) => void,
  tracer: Tracer | undefined,
): Promise<HistorySinkRole> {
  const rollup = await startConsumptionRollup(history, {
    onTrouble: (detail) => log.warn(detail, 'consumption, trying again'),
  });
  const store: SinkStore = {
    async insert(table, rows) {
      await history.insert(table as HistoryTable, rows as never[]);
      rollup.stored(table, rows);
    },
    putAside: (rows) => history.putAside(rows),
    readPositions: () => history.readPositions(),
    async writePositions(positions) {
      const all = [...positions];
      await history.writePositions(all);
      rollup.reached(all);
    },
  };
  try {
    const sink = await startClickhouseSink(store, journal, {
      rowsOf: toRows,
      linkOf: correlationRow,
      ...(tracer && { tracer }),
      onFatal,
      onTrouble: (detail) => log.warn(detail, 'history insert, trying again'),
      onUnusable: (detail) => log.error(detail, 'event has no row in the history'),
      onAside: (detail) => log.error(detail, 'row refused by the history, put aside'),
      onMissing: (detail) => log.error(detail, 'history starts behind purged records'),
    });
    return {
      positions: () => sink.positions(),
      stats: () => sink.stats(),
      async close() {
        await sink.close();
        await rollup.close();
      },
    };
  } catch (error) {
    await rollup.close();
    throw error;
  }
}

/** Journal records that each sink has yet to write durably; above 1,000 it is a warning, unless hours pass in a second. */
async function logLag(
  journal: JournalReader,
  positions: Record<HistorySink, () => [number, number][]>,
  log: Logger,
  clock: ClockKind,
): Promise<void> {
  try {
    const lasts = await Promise.all(partitionList(journal.partitions).map(async (p) => (await journal.bounds(p)).last));
    const behind = historySinks.map((id) => {
      const at = new Map(positions[id]());
      return [id, lasts.reduce((sum, last, p) => sum + Math.max(0, last - (at.get(p) ?? 0)), 0)] as const;
    });
    const level = clock === 'wall' && behind.some(([, records]) => records > 1_000) ? 'warn' : 'info';
    log[level](Object.fromEntries(behind), 'records behind');
  } catch (error) {
    log.warn({ error: String(error) }, 'journal bounds unknown');
  }
}
