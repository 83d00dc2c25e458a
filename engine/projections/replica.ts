/**
 * The live state of some kinds of entities in memory: loaded from Redis, then kept by the journal itself, so it is ahead
 * of Redis and never behind what a page was told before.
 *
 * Each partition's projected position is read before its entities; entities may then be newer than the position, and the
 * records in between are applied only where they are newer than what is held. So nothing is missing and nothing goes back.
 */
import type { Redis } from 'ioredis';
import type { PublicEvent } from '#actors/schema/events';
import type { JournalEntry } from '../wire.ts';
import { decodeEntity, projectedId, type Definitions, type ReplicaEntity } from './entities.ts';
import { JournalTails, nextSequence, partitionList, type JournalReader } from './journal.ts';
import { projectedPositions } from './lookup.ts';
import { storedEntities } from './redis_projection.ts';

export interface JournalPosition {
  partition: number;
  sequence: number;
}

/** `before` or `after` undefined = created or removed. `now` = the log's clock of the record, unix ms. */
export interface ReplicaChange {
  kind: string;
  id: string;
  before: ReplicaEntity | undefined;
  after: ReplicaEntity | undefined;
  at: JournalPosition;
  now: number;
}

export interface Replica {
  /** Whether it holds everything that was committed when it was opened, and still follows. */
  readonly ready: boolean;
  get<Context = Record<string, unknown>>(kind: string, id: string): ReplicaEntity<Context> | undefined;
  all<Context = Record<string, unknown>>(kind: string): Iterable<ReplicaEntity<Context>>;
  /** Called in journal order per partition, for every change after the states that are held at the call. */
  onChange(listener: (change: ReplicaChange) => void): () => void;
  /** Called with all public events of a record, after its changes. */
  onEvents(listener: (events: PublicEvent[], at: JournalPosition) => void): () => void;
  /** Last journal sequence that is applied; 0 = none. */
  position(partition: number): number;
  close(): Promise<void>;
}

export interface ReplicaOptions {
  kinds: readonly string[];
  definitions: Definitions;
  /** Resolve at once with `ready` false and load behind. @default false: resolve when ready */
  background?: boolean;
  /** The replica cannot follow any more (journal purged below it, gone back in time); it is not ready from then on. */
  onFatal?(error: Error): void;
}

const projectionPollMs = 200;

/** Opens a replica; waits until the Redis projection is complete and the journal's end of this moment is applied. */
export async function followReplica(redis: Redis, journal: JournalReader, options: ReplicaOptions): Promise<Replica> {
  const replica = new MemoryReplica(redis, journal, options);
  const opened = replica.open();
  if (options.background) opened.catch((error: unknown) => replica.fail(error as Error));
  else {
    try {
      await opened;
    } catch (error) {
      await replica.close();
      throw error;
    }
  }
  return replica;
}

class MemoryReplica implements Replica {
  readonly #redis: Redis;
  readonly #journal: JournalReader;
  readonly #options: ReplicaOptions;
  readonly #entities: Map<string, Map<string, ReplicaEntity>>;
  readonly #positions = new Map<number, number>();
  readonly #changeListeners = new Set<(change: ReplicaChange) => void>();
  readonly #eventListeners = new Set<(events: PublicEvent[], at: JournalPosition) => void>();
  readonly #tails = new JournalTails();
  /** Partitions whose position is still below the journal's end at opening. */
  readonly #behind = new Map<number, number>();
  #caughtUp: () => void = () => undefined;
  #ready = false;
  #closed = false;

  constructor(redis: Redis, journal: JournalReader, options: ReplicaOptions) {
    this.#redis = redis;
    this.#journal = journal;
    this.#options = options;
    this.#entities = new Map(options.kinds.map((kind) => [kind, new Map<string, ReplicaEntity>()]));
  }

  get ready(): boolean {
    return this.#ready;
  }

  get<Context>(kind: string, id: string): ReplicaEntity<Context> | undefined {
    return this.#ofKind(kind).get(id) as ReplicaEntity<Context> | undefined;
  }

  all<Context>(kind: string): Iterable<ReplicaEntity<Context>> {
    return this.#ofKind(kind).values() as Iterable<ReplicaEntity<Context>>;
  }

  onChange(listener: (change: ReplicaChange) => void): () => void {
    this.#changeListeners.add(listener);
    return () => this.#changeListeners.delete(listener);
  }

  onEvents(listener: (events: PublicEvent[], at: JournalPosition) => void): () => void {
    this.#eventListeners.add(listener);
    return () => this.#eventListeners.delete(listener);
  }

  position(partition: number): number {
    return this.#positions.get(partition) ?? 0;
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#ready = false;
    this.#caughtUp();
    await this.#tails.stop();
  }

  fail(error: Error): void {
    if (this.#closed) return;
    this.#ready = false;
    this.#options.onFatal?.(error);
  }

  async open(): Promise<void> {
    const from = await this.#load();
    if (this.#closed) return;
    const caughtUp = new Promise<void>((resolve) => (this.#caughtUp = resolve));
    for (const [p, next] of from) {
      this.#positions.set(p, next - 1);
      const { last } = await this.#journal.bounds(p);
      if (last >= next) this.#behind.set(p, last);
    }
    if (this.#behind.size === 0) this.#caughtUp();
    await this.#tails.start(
      this.#journal,
      from,
      (entry) => this.#apply(entry),
      (error) => {
        this.fail(error);
        this.#caughtUp();
      },
    );
    await caughtUp;
    this.#ready = !this.#closed && this.#behind.size === 0;
  }

  #ofKind(kind: string): Map<string, ReplicaEntity> {
    const entities = this.#entities.get(kind);
    if (!entities) throw new Error(`this replica does not hold '${kind}', only ${this.#options.kinds.join(', ')}`);
    return entities;
  }

  /** Loads all entities; answers where to follow each partition. */
  async #load(): Promise<Map<number, number>> {
    for (;;) {
      const positions = await this.#projected();
      for (const entities of this.#entities.values()) entities.clear();
      for (const [kind, entities] of this.#entities) {
        for await (const e of storedEntities(this.#redis, this.#options.definitions, kind)) entities.set(e.id, e);
      }
      const from = new Map<number, number>();
      for (const [p, position] of positions.entries()) {
        const start = nextSequence('the replica', p, position, await this.#journal.bounds(p));
        if (!start.missing) from.set(p, start.next);
      }
      // Purged while loading: Redis is further by now.
      if (from.size === positions.length || this.#closed) return from;
      await new Promise((resolve) => setTimeout(resolve, projectionPollMs));
    }
  }

  async #projected(): Promise<number[]> {
    while (!this.#closed) {
      const positions = await projectedPositions(this.#redis, this.#journal.partitions);
      if (positions.every((position) => position !== null)) return positions;
      await new Promise((resolve) => setTimeout(resolve, projectionPollMs));
    }
    return partitionList(this.#journal.partitions).map(() => 0);
  }

  #apply({ partition, sequence, record }: JournalEntry): void {
    const at = { partition, sequence };
    for (const e of record.entities) {
      const entities = this.#entities.get(e.kind);
      if (!entities) continue;
      const id = projectedId(e);
      const before = entities.get(id);
      if (before && before.partition === partition && before.sequence >= sequence) continue;
      const after = e.image === null ? undefined : decodeEntity(this.#options.definitions, e, partition, sequence);
      if (after) entities.set(id, after);
      else entities.delete(id);
      if (!before && !after) continue;
      for (const listener of this.#changeListeners) listener({ kind: e.kind, id, before, after, at, now: record.now });
    }
    this.#positions.set(partition, sequence);
    if (record.events.length > 0) for (const listener of this.#eventListeners) listener(record.events, at);
    const last = this.#behind.get(partition);
    if (last !== undefined && sequence >= last) {
      this.#behind.delete(partition);
      if (this.#behind.size === 0) this.#caughtUp();
    }
  }
}
