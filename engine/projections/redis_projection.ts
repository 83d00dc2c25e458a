/**
 * Last state per entity in Redis: `e:<kind>:<id>` and the set `ids:<kind>`. Each batch of a partition is one script that
 * checks the position it follows and moves it, so two projections on one Redis can never take it back, and states and
 * position never disagree. A partition's `projected:<p>` appears once its copy has reached the journal's end at the start.
 */
import type { Redis } from 'ioredis';
import type { EntityImage, JournalEntry } from '../wire.ts';
import { fromStored, projectedId, redisKey, toStored, type Definitions } from './entities.ts';
import { JournalTails, nextSequence, partitionList, ProjectionStopped, type JournalReader } from './journal.ts';

/**
 * KEYS: projected:<p>, projecting:<p>. ARGV: expected position ('' = none), new position ('' = stays), complete 1|0,
 * then per entity: its key, its set, its id, its text ('' = removed).
 * Answers the position found: equal to the expected one = written.
 */
const moveScript = `
local found = redis.call('GET', KEYS[1]) or redis.call('GET', KEYS[2]) or ''
if found ~= ARGV[1] then return found end
for i = 4, #ARGV, 4 do
  if ARGV[i + 3] == '' then
    redis.call('DEL', ARGV[i])
    redis.call('SREM', ARGV[i + 1], ARGV[i + 2])
  else
    redis.call('SET', ARGV[i], ARGV[i + 3])
    redis.call('SADD', ARGV[i + 1], ARGV[i + 2])
  end
end
if ARGV[2] == '' then return found end
if ARGV[3] == '1' then
  redis.call('SET', KEYS[1], ARGV[2])
  redis.call('DEL', KEYS[2])
else
  redis.call('SET', KEYS[2], ARGV[2])
  redis.call('DEL', KEYS[1])
end
return found`;

/** Changed entities of one partition per script; its reader waits while so many wait for the next. */
const batchMax = 4_000;
/** A change waits so long for others, ms: an entity that changes often is then written once, and scripts are few. */
const lingerMsDefault = 500;
/** What is new is looked for at once, and what is removed must not be found. */
const promptMs = 20;
const scanCount = 1_000;
const retryMsMin = 50;
const retryMsMax = 2_000;

/** All entities of a partition as they were after the record `sequence` (or later: whole images are replayed over them). */
export type LoadSnapshot = (partition: number) => Promise<{ sequence: number; entities: EntityImage[] } | null>;

export interface RedisProjectionOptions {
  definitions: Definitions;
  /** Kinds that nobody reads there: what an actor keeps for its own decisions stays in the journal. @default none */
  leaveOut?: ReadonlySet<string>;
  /** How long a change of what is there already waits for others. @default 500 */
  lingerMs?: number;
  onFatal(error: Error): void;
  onTrouble?(detail: { partition: number; error: string; waitMs: number }): void;
  /** Asked when records that are needed have been purged. */
  loadSnapshot?: LoadSnapshot;
}

export interface RedisProjection {
  /** Per partition: up to where Redis holds the state; absent where it holds nothing. */
  positions(): [partition: number, sequence: number][];
  close(): Promise<void>;
}

/** `text` null = removed. */
interface Change {
  kind: string;
  id: string;
  text: string | null;
}

/** Brings Redis up to date with the journal and keeps it so. Throws {@link ProjectionStopped} when the two do not fit. */
export async function startRedisProjection(
  redis: Redis,
  journal: JournalReader,
  options: RedisProjectionOptions,
): Promise<RedisProjection> {
  const tails = new JournalTails();
  let failed = false;
  const onFatal = (error: Error) => {
    if (failed) return;
    failed = true;
    options.onFatal(error);
  };
  const copies = await Promise.all(partitionList(journal.partitions).map((p) => openCopy(redis, journal, p, options)));
  const from = new Map(copies.map((copy) => [copy.partition, (copy.position() ?? 0) + 1]));
  await tails.start(journal, from, (entry) => (copies[entry.partition] as PartitionCopy).take(entry), onFatal);
  return {
    positions: () =>
      copies.flatMap((copy): [number, number][] => {
        const position = copy.position();
        return position === null ? [] : [[copy.partition, position]];
      }),
    async close() {
      for (const copy of copies) copy.stop();
      await tails.stop();
      await Promise.all(copies.map((copy) => copy.idle()));
    },
  };
}

interface PartitionCopy {
  readonly partition: number;
  position(): number | null;
  take(entry: JournalEntry): Promise<void> | void;
  /** Writes nothing more after the batch under way. */
  stop(): void;
  idle(): Promise<void>;
}

async function openCopy(
  redis: Redis,
  journal: JournalReader,
  partition: number,
  options: RedisProjectionOptions,
): Promise<PartitionCopy> {
  const keys = [redisKey.projected(partition), redisKey.projecting(partition)] as const;
  const [projected, projecting] = await redis.mget(...keys);
  const found = projected ?? projecting ?? null;
  let position = found === null ? null : Number(found);
  const bounds = await journal.bounds(partition);
  const start = nextSequence('the Redis projection', partition, position, bounds);

  /** Moves Redis from `position` to `to` (null = stays) with `changes`. */
  const move = async (to: number | null, complete: boolean, changes: Iterable<Change>) => {
    const args: (string | number)[] = [position ?? '', to ?? '', complete ? 1 : 0];
    for (const { kind, id, text } of changes) args.push(redisKey.entity(kind, id), redisKey.ids(kind), id, text ?? '');
    const answer = String(await redis.eval(moveScript, keys.length, ...keys, ...args));
    // An answer that was lost leaves the script done: then the position is already where it should go.
    if (answer !== String(position ?? '') && answer !== String(to ?? position ?? '')) {
      throw new ProjectionStopped(
        'other_writer',
        `Redis stands at '${answer}' for partition ${partition}, this projection left it at '${position ?? ''}': ` +
          'another projection writes to it, or it was emptied',
      );
    }
    if (to !== null) position = to;
  };

  if (start.missing) {
    const snapshot = await options.loadSnapshot?.(partition);
    if (!snapshot || snapshot.sequence + 1 < start.first) throw start.purged();
    await copySnapshot(
      redis,
      partition,
      snapshot,
      options,
      (to, changes) => move(to, to !== null && to >= bounds.last, changes),
      () => (position === null ? Promise.resolve() : move(position, false, [])),
    );
  }
  if ((position ?? 0) >= bounds.last && projected === null) await move(position ?? bounds.last, true, []);

  const { leaveOut, lingerMs = lingerMsDefault } = options;
  let pending = new Map<string, { image: EntityImage; sequence: number }>();
  /** Ends the pause under way at once (0) or soon. */
  let hurry: (withinMs: number) => void = () => undefined;
  let prompt = false;
  let reached = position ?? 0;
  let complete = position !== null && position >= bounds.last;
  let writing: Promise<void> | null = null;
  let stopped = false;

  const write = async () => {
    while (!stopped && reached !== (position ?? 0)) {
      // What an earlier run left is caught up with at full speed; somebody waits for `projected` to appear.
      if (complete && pending.size < batchMax) await linger(prompt ? promptMs : lingerMs);
      prompt = false;
      const taken = pending;
      const to = reached;
      pending = new Map();
      complete ||= to >= bounds.last;
      let changes: Change[] | undefined;
      await retry(() => move(to, complete, (changes ??= changesOf(taken))));
    }
    writing = null;
  };
  const linger = (ms: number) =>
    new Promise<void>((resolve) => {
      let timer = setTimeout(resolve, ms);
      let shortened = ms <= promptMs;
      hurry = (within) => {
        if (shortened && within > 0) return;
        shortened = true;
        clearTimeout(timer);
        if (within === 0) resolve();
        else timer = setTimeout(resolve, within);
      };
    });
  const changesOf = (taken: typeof pending): Change[] =>
    Array.from(taken.values(), ({ image: e, sequence }) => ({
      kind: e.kind,
      id: projectedId(e),
      text: e.image === null ? null : toStored(options.definitions, e, partition, sequence),
    }));
  const retry = async (work: () => Promise<void>) => {
    for (let waitMs = retryMsMin; !stopped; waitMs = Math.min(waitMs * 2, retryMsMax)) {
      try {
        return await work();
      } catch (error) {
        if (error instanceof ProjectionStopped) {
          stopped = true;
          return options.onFatal(error);
        }
        options.onTrouble?.({ partition, error: String(error), waitMs });
        await new Promise((resolve) => setTimeout(resolve, waitMs));
      }
    }
  };

  return {
    partition,
    position: () => position,
    take({ sequence, record }) {
      if (stopped) return;
      for (const image of record.entities) {
        if (leaveOut?.has(image.kind)) continue;
        pending.set(`${image.kind}:${projectedId(image)}`, { image, sequence });
        prompt ||= image.version === 1 || image.image === null;
      }
      reached = sequence;
      writing ??= write();
      if (pending.size < batchMax) {
        if (prompt) hurry(promptMs);
        return;
      }
      hurry(0);
      return writing;
    },
    stop() {
      stopped = true;
      hurry(0);
    },
    idle: async () => void (await writing),
  };
}

/** Replaces what Redis holds of a partition by a snapshot, in chunks; the position moves with the last. */
async function copySnapshot(
  redis: Redis,
  partition: number,
  { sequence, entities }: { sequence: number; entities: EntityImage[] },
  { definitions, leaveOut }: RedisProjectionOptions,
  move: (to: number | null, changes: Change[]) => Promise<void>,
  markIncomplete: () => Promise<void>,
): Promise<void> {
  await markIncomplete();
  const changes = new Map<string, Change>();
  // Entities that were removed in the purged part of the journal.
  for (const kind of definitions.keys()) {
    for await (const e of storedEntities(redis, definitions, kind)) {
      if (e.partition === partition) changes.set(`${kind}:${e.id}`, { kind, id: e.id, text: null });
    }
  }
  for (const e of entities) {
    if (e.image === null || leaveOut?.has(e.kind)) continue;
    const id = projectedId(e);
    changes.set(`${e.kind}:${id}`, { kind: e.kind, id, text: toStored(definitions, e, partition, sequence) });
  }
  const all = [...changes.values()];
  for (let i = 0; i < all.length; i += batchMax) await move(null, all.slice(i, i + batchMax));
  await move(sequence, []);
}

/** All entities of a kind in Redis, read in chunks. */
export async function* storedEntities(redis: Redis, definitions: Definitions, kind: string) {
  const seen = new Set<string>();
  let cursor = '0';
  do {
    const [next, ids] = await redis.sscan(redisKey.ids(kind), cursor, 'COUNT', scanCount);
    cursor = next;
    // SSCAN may return a member twice.
    const fresh = ids.filter((id) => !seen.has(id) && seen.add(id));
    if (fresh.length === 0) continue;
    const texts = await redis.mget(fresh.map((id) => redisKey.entity(kind, id)));
    for (const [i, text] of texts.entries())
      if (text !== null) yield fromStored(definitions, kind, fresh[i] as string, text);
  } while (cursor !== '0');
}
