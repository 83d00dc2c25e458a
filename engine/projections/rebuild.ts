/**
 * Dropping a projection and making it anew from the journal. The role that writes it does so itself, so that nobody else writes
 * meanwhile; a note in Redis says how far it is, and a role that is killed in the middle goes on there.
 */
import type { NatsConnection } from '@nats-io/transport-node';
import type { Redis } from 'ioredis';
import type { Logger } from 'pino';
import { HistoryUnavailable, type HistoryStore } from '../history/mod.ts';
import { internal } from '../log/subjects.ts';
import { packr } from '../wire.ts';
import { partitionList, type JournalReader } from './journal.ts';

export const rebuildable = ['redis', 'clickhouse'] as const;
export type Rebuildable = (typeof rebuildable)[number];

/** `dropping`, then per partition the journal sequence at which it is whole again. */
type Stage = 'dropping' | [partition: number, sequence: number][];

const noteKey = (projection: Rebuildable) => `rebuilding:${projection}`;

export const stageOf = async (redis: Redis, projection: Rebuildable): Promise<Stage | null> => {
  const text = await redis.get(noteKey(projection));
  return text === null ? null : (JSON.parse(text) as Stage);
};
const note = (redis: Redis, projection: Rebuildable, stage: Stage) =>
  redis.set(noteKey(projection), JSON.stringify(stage));
const done = (redis: Redis, projection: Rebuildable) => redis.del(noteKey(projection));

const batch = 1_000;

/** Removes the copy; sign-ins and limits stay. Doors see first that it is no longer complete. */
export async function dropRedis(redis: Redis, partitions: number): Promise<void> {
  await note(redis, 'redis', 'dropping');
  await redis.unlink(partitionList(partitions).map((p) => `projected:${p}`));
  for (const pattern of ['e:*', 'ids:*']) {
    let cursor = '0';
    do {
      const [next, keys] = await redis.scan(cursor, 'MATCH', pattern, 'COUNT', batch);
      cursor = next;
      if (keys.length > 0) await redis.unlink(keys);
    } while (cursor !== '0');
  }
  await redis.unlink(partitionList(partitions).map((p) => `projecting:${p}`));
  await done(redis, 'redis');
}

/** Removes every row that comes from the journal; the message log comes from elsewhere, and stays. */
export async function dropClickhouse(redis: Redis, history: HistoryStore, journal: JournalReader): Promise<void> {
  await note(redis, 'clickhouse', 'dropping');
  const found = await history.client.query({
    query: `SELECT name FROM system.tables WHERE database = 'gridtick' AND endsWith(name, '_log') AND name != 'ocpp_messages_log'`,
    format: 'JSONEachRow',
  });
  for (const { name } of await found.json<{ name: string }>())
    await history.client.command({ query: `TRUNCATE TABLE gridtick.${name}` });
  await history.writeReaderPositions(
    'consumption',
    partitionList(journal.partitions).map((p) => [p, 0] as const),
  );
  await history.client.command({ query: 'TRUNCATE TABLE gridtick.sink_positions' });
  const ends = partitionList(journal.partitions).map(
    async (p) => [p, (await journal.bounds(p)).last] as [number, number],
  );
  await note(redis, 'clickhouse', await Promise.all(ends));
}

/** Ends the rebuild of the history once its sink has come to where the journal was. */
export function watchRebuild(
  redis: Redis,
  log: Logger,
  positions: () => [partition: number, sequence: number][],
  everyMs = 500,
) {
  let looking = false;
  const look = async () => {
    const stage = await stageOf(redis, 'clickhouse');
    if (stage === null || stage === 'dropping') return;
    const at = new Map(positions());
    if (stage.every(([p, sequence]) => (at.get(p) ?? 0) >= sequence)) await done(redis, 'clickhouse');
  };
  const timer = setInterval(() => {
    if (looking) return;
    looking = true;
    void look()
      // Redis is away; the next look is half a second off.
      .catch((error: unknown) => log.debug({ err: error }, 'whether a rebuild is over could not be looked up'))
      .finally(() => (looking = false));
  }, everyMs);
  return { stop: () => clearInterval(timer) };
}

export type RebuildAnswer = { ok: true } | { ok: false; reason: string };

/**
 * Does what is asked, one at a time; answers when it has been dropped and is being made again. What fails in the middle is told to
 * `onFatal`: the role must begin anew, and goes on where the note says.
 */
export function answerRebuilds(
  nc: NatsConnection,
  work: Record<Rebuildable, () => Promise<void>>,
  log: Logger,
  onFatal: (error: Error) => void,
) {
  let busy = false;
  const subscription = nc.subscribe(internal.rebuild, {
    callback: (error, message) => {
      if (error) return;
      const answer = (said: RebuildAnswer) => void message.respond(packr.pack(said));
      const wanted = rebuildable.find((projection) => projection === message.string());
      if (!wanted) return answer({ ok: false, reason: `there is no projection '${message.string()}'` });
      if (busy) return answer({ ok: false, reason: 'a rebuild is under way' });
      busy = true;
      log.warn({ projection: wanted }, 'dropped, to be made again from the journal');
      work[wanted]()
        .then(
          () => answer({ ok: true }),
          (reason: unknown) => {
            answer({ ok: false, reason: String(reason) });
            onFatal(reason as Error);
          },
        )
        .finally(() => (busy = false));
    },
  });
  return { stop: () => subscription.unsubscribe() };
}

const always: ReadonlySet<string | symbol> = new Set(['close', 'ping', 'client']);

/** The same store, whose answers are refused while rows are still missing. */
export function unlessRebuilding<Store extends object>(store: Store, redis: Redis): Store {
  return new Proxy(store, {
    get(target, name) {
      const found: unknown = Reflect.get(target, name, target);
      if (typeof found !== 'function') return found;
      const method = found.bind(target) as (...args: unknown[]) => unknown;
      if (always.has(name)) return method;
      return async (...args: unknown[]) => {
        if ((await redis.exists(noteKey('clickhouse'))) > 0)
          throw new HistoryUnavailable('the history is being rebuilt');
        return method(...args);
      };
    },
  });
}
