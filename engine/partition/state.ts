/**
 * All that a partition knows, held in memory and rebuilt from the journal: entities, timers, writers' watermarks,
 * unacknowledged relays, the log offset and the hash chain. `applyRecord` is the whole of recovery.
 */
import type { Index, PartitionView, Stored } from '#actors/actor';
import type { CommandEnvelope, CommitRecord, EntityImage } from '../wire.ts';
import type { Catalogue } from './catalogue.ts';
import { Outcomes } from './outcomes.ts';
import { genesisHash } from './record.ts';
import { Timers } from './timers.ts';

export interface Entity {
  kind: string;
  id: string;
  key: string;
  /** Counts its post-images. */
  version: number;
  /** A machine's state and context; records have no state. */
  stored: Stored;
  outcomes: Outcomes | null;
  /** Number in the record being made, −1 when it does not change in it. */
  place: number;
  /** False once dropped. */
  live: boolean;
}

/** Watermarks of doors idle for longer are dropped (relays' are kept for ever). */
export const writerKeptMs = 24 * 3_600_000;
export const relayWriter = (partition: number) => `relay/${partition}`;
export const isRelay = (writer: string) => writer.startsWith('relay/');

export class PartitionState implements PartitionView {
  readonly partition: number;
  readonly partitions: number;
  readonly entities = new Map<string, Map<string, Entity>>();
  readonly timers = new Timers();
  readonly writers = new Map<string, { seq: number; at: number }>();
  /** Per target partition: relays committed or being committed, not yet acknowledged by its log. */
  readonly outbox = new Map<number, { seq: number; command: CommandEnvelope }[]>();
  /** Per target: number of the last relay made. */
  readonly relaySeq = new Map<number, number>();
  readonly index: Index;
  offset = 0;
  now = 0;
  hash = genesisHash;
  epoch = 0;
  batch = 0;

  #catalogue: Catalogue;

  constructor(catalogue: Catalogue, partition: number, partitions: number) {
    this.partition = partition;
    this.partitions = partitions;
    this.#catalogue = catalogue;
    this.index = catalogue.createIndex();
  }

  get<Context>(kind: string, id: string): Stored<Context> | undefined {
    return this.entities.get(kind)?.get(id)?.stored as Stored<Context> | undefined;
  }

  entity(kind: string, id: string): Entity | undefined {
    return this.entities.get(kind)?.get(id);
  }

  get entityCount() {
    let count = 0;
    for (const ofKind of this.entities.values()) count += ofKind.size;
    return count;
  }

  /** Watermark of a writer, to be moved by whoever applies its frames; a relay needs no hello, an unknown door has none. */
  mark(writer: string): { seq: number; at: number } | undefined {
    return this.writers.get(writer) ?? (isRelay(writer) ? { seq: 0, at: this.now } : undefined);
  }

  put(kind: string, id: string, key: string, stored: Stored): Entity {
    let ofKind = this.entities.get(kind);
    if (!ofKind) this.entities.set(kind, (ofKind = new Map<string, Entity>()));
    const entity = ofKind.get(id);
    if (entity) return this.change(entity, stored);
    const created: Entity = { kind, id, key, version: 0, stored, outcomes: null, place: -1, live: true };
    ofKind.set(id, created);
    this.index.changed(kind, id, undefined, stored);
    return created;
  }

  change(entity: Entity, stored: Stored): Entity {
    const before = entity.stored;
    entity.stored = stored;
    this.index.changed(entity.kind, entity.id, before, stored);
    return entity;
  }

  drop(kind: string, id: string): Entity | undefined {
    const entity = this.entities.get(kind)?.get(id);
    if (!entity) return undefined;
    this.entities.get(kind)!.delete(id);
    entity.live = false;
    this.index.changed(kind, id, entity.stored, undefined);
    return entity;
  }

  forgetIdleWriters(): string[] {
    const gone: string[] = [];
    for (const [writer, { at }] of this.writers) {
      if (!isRelay(writer) && this.now - at > writerKeptMs) gone.push(writer);
    }
    for (const writer of gone) this.writers.delete(writer);
    return gone;
  }

  trimOutbox(target: number, acked: number) {
    const waiting = this.outbox.get(target);
    if (waiting)
      this.outbox.set(
        target,
        waiting.filter((relay) => relay.seq > acked),
      );
  }

  /** The entity, unless it was removed. */
  restoreEntity(image: EntityImage): Entity | undefined {
    const kind = this.#catalogue.kinds.get(image.kind);
    if (!kind)
      throw new Error(
        `partition ${this.partition}: state of an unknown kind '${image.kind}': start a build that knows it`,
      );
    if (image.image === null) {
      this.drop(image.kind, image.id);
      return undefined;
    }
    const { id, key = id } = image;
    // One text for the kind of all, and for an id that is its own key.
    const entity = this.put(kind.kind, id, key === id ? id : key, kind.decode(image.image, image.schema));
    entity.version = image.version;
    return entity;
  }

  /** Records hold whole post-images, so applying one over newer state of the same journal is harmless. */
  applyRecord(record: CommitRecord) {
    for (const image of record.entities) this.restoreEntity(image);
    for (const id of record.timers.fired) this.timers.delete(id);
    for (const id of record.timers.del) this.timers.delete(id);
    for (const [id, dueAt] of record.timers.set) this.timers.set(id, dueAt);
    for (const [writer, seq] of Object.entries(record.writers)) {
      if (seq < 0) this.writers.delete(writer);
      else this.writers.set(writer, { seq, at: record.now });
    }
    for (const { to, seq, command } of record.relays) {
      if (seq <= (this.relaySeq.get(to) ?? 0)) continue;
      this.relaySeq.set(to, seq);
      const waiting = this.outbox.get(to);
      if (waiting) waiting.push({ seq, command });
      else this.outbox.set(to, [{ seq, command }]);
    }
    for (const [target, seq] of Object.entries(record.relayAcked)) this.trimOutbox(Number(target), seq);
    for (const reply of record.replies) {
      if (reply.commandId === null || !reply.entity) continue;
      const entity = this.entity(...reply.entity);
      if (entity) (entity.outcomes ??= new Outcomes()).remember(reply.commandId, reply.result, record.now);
    }
    this.offset = Math.max(this.offset, record.offset);
    this.now = Math.max(this.now, record.now);
    this.epoch = record.epoch;
    this.batch = record.batch;
    this.hash = record.hash;
  }
}
