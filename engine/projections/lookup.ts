/** Reads of the live state in Redis, for doors that need one entity and no replica. */
import type { Redis } from 'ioredis';
import { domain } from '#actors/mod';
import { definitionsOf, fromStored, redisKey, type Definitions, type ReplicaEntity } from './entities.ts';
import { partitionList } from './journal.ts';

const known = definitionsOf(domain);

/**
 * The last projected state of one entity; undefined when it does not exist. Ask {@link projectionReady} before saying 404.
 * Throws ProjectionStopped on what a newer build has written.
 */
export async function lookup<Context = Record<string, unknown>>(
  redis: Redis,
  kind: string,
  id: string,
  definitions: Definitions = known,
): Promise<ReplicaEntity<Context> | undefined> {
  const text = await redis.get(redisKey.entity(kind, id));
  return text === null ? undefined : fromStored<Context>(definitions, kind, id, text);
}

/** Journal sequences that are projected, null where the first copy of a partition is not complete. */
export async function projectedPositions(redis: Redis, partitions: number): Promise<(number | null)[]> {
  const found = await redis.mget(partitionList(partitions).map(redisKey.projected));
  return found.map((text) => (text === null ? null : Number(text)));
}

/** Whether every partition has been copied once; until then an absent entity may only be late. */
export async function projectionReady(redis: Redis, partitions: number): Promise<boolean> {
  return (await projectedPositions(redis, partitions)).every((position) => position !== null);
}
