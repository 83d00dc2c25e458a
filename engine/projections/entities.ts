/** Entities as projections keep them: decoded, and named so that two never share a key. */
import type { TObject } from 'typebox';
import { decodeImage } from '#actors/codec';
import type { EntityImage } from '../wire.ts';
import { ProjectionStopped } from './journal.ts';

/** What is needed of an actor or record to read its post-images. */
export interface EntityDefinition {
  kind: string;
  version: number;
  context: TObject;
  migrate?: Record<number, (context: Record<string, unknown>) => Record<string, unknown>>;
}
export type Definitions = ReadonlyMap<string, EntityDefinition>;

export const definitionsOf = (domain: {
  actors: readonly EntityDefinition[];
  records: readonly EntityDefinition[];
}): Definitions => new Map([...domain.actors, ...domain.records].map((d) => [d.kind, d]));

/** The last committed state of an entity and the journal position that made it. */
export interface ReplicaEntity<Context = Record<string, unknown>> {
  kind: string;
  id: string;
  /** The machine's state value; null for records. */
  value: string | null;
  context: Context;
  partition: number;
  sequence: number;
  /** The partition key; equals the id unless the entity lives beside its owner. */
  key: string;
}

/**
 * The id under which a projection keeps an entity. What every partition holds one of (key `@<p>`) has the same id in
 * each, so it is kept as `<id>@<p>`.
 */
export const projectedId = (image: { id: string; key?: string }): string =>
  image.key?.startsWith('@') && image.key !== image.id ? `${image.id}${image.key}` : image.id;

/** Decodes a post-image; `image` must not be null. Throws {@link ProjectionStopped} on a kind or schema it does not know. */
export function decodeEntity(
  definitions: Definitions,
  e: EntityImage,
  partition: number,
  sequence: number,
): ReplicaEntity {
  const definition = definitions.get(e.kind);
  if (!definition) {
    throw new ProjectionStopped(
      'unknown_entity_kind',
      `${e.kind}/${e.id} at ${partition}:${sequence}: this build knows no kind '${e.kind}'`,
    );
  }
  if (e.schema > definition.version) {
    throw new ProjectionStopped(
      'newer_schema',
      `${e.kind}/${e.id} at ${partition}:${sequence} has schema ${e.schema}, this build knows ${definition.version}: start the newer build`,
    );
  }
  const { value, context } = decodeImage(definition, e.image as unknown[], e.schema);
  return {
    kind: e.kind,
    id: projectedId(e),
    value,
    context: context as Record<string, unknown>,
    partition,
    sequence,
    key: e.key ?? e.id,
  };
}

export const redisKey = {
  entity: (kind: string, id: string) => `e:${kind}:${id}`,
  ids: (kind: string) => `ids:${kind}`,
  /** Journal sequence up to which partition p is projected; exists only once its copy is complete. */
  projected: (partition: number) => `projected:${partition}`,
  /** The same while the first copy is being made. */
  projecting: (partition: number) => `projecting:${partition}`,
};

/** `k` is absent when the key equals the id. */
interface StoredEntity {
  p: number;
  s: number;
  k?: string;
  value: string | null;
  context: Record<string, unknown>;
}

export function toStored(e: ReplicaEntity): string {
  const stored: StoredEntity = { p: e.partition, s: e.sequence, value: e.value, context: e.context };
  return JSON.stringify(e.key === e.id ? stored : { ...stored, k: e.key });
}

export function fromStored<Context = Record<string, unknown>>(
  kind: string,
  id: string,
  text: string,
): ReplicaEntity<Context> {
  const { p, s, k, value, context } = JSON.parse(text) as StoredEntity;
  return { kind, id, value, context: context as Context, partition: p, sequence: s, key: k ?? id };
}
