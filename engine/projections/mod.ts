/** Projections of the journal: the history role, and reads of the live state for doors. */
import type { NatsConnection } from '@nats-io/transport-node';
import type { Redis } from 'ioredis';
import { domain } from '#actors/mod';
import { definitionsOf } from './entities.ts';
import type { HistoryConfig, HistoryOptions } from './history_role.ts';
import { natsJournal } from './journal.ts';
import { followReplica, type Replica, type ReplicaOptions } from './replica.ts';

export { definitionsOf, projectedId, type Definitions, type ReplicaEntity } from './entities.ts';
export { ProjectionStopped } from './journal.ts';
export { lookup, projectedPositions, projectionReady } from './lookup.ts';
export type { JournalPosition, Replica, ReplicaChange } from './replica.ts';
export type { SinkPositions } from './positions_feed.ts';

/**
 * The state of all entities of `kinds` in memory. Resolves when it holds everything that was committed at the call; with
 * `background` at once, `ready` turning true later. Look and listen in the same tick, and nothing is missed.
 */
export const openReplica = (
  nc: NatsConnection,
  redis: Redis,
  {
    partitions,
    definitions = definitionsOf(domain),
    ...options
  }: Omit<ReplicaOptions, 'definitions'> & { partitions: number; definitions?: ReplicaOptions['definitions'] },
): Promise<Replica> => followReplica(redis, natsJournal(nc, partitions), { ...options, definitions });

/** Role "history": ClickHouse sink, Redis projection and the one publisher. Loaded on call, so that doors carry none of it. */
export const runHistory = async (config: HistoryConfig, options: HistoryOptions) =>
  (await import('./history_role.ts')).runHistory(config, options);
