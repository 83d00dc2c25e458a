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
  readonly kind: string;
  readonly id: string;
  /** The machine's state value; null for records. */
  readonly value: string | null;
  readonly context: Context;
  readonly partition: number;
  readonly sequence: number;
  /** The partition key; equals the id unless the entity lives beside its owner. */
  readonly key: string;
}

/**
 * The id under which a projection keeps an entity. What every partition holds one of (key `@<p>`) has the same id in
 * each, so it is kept as `<id>@<p>`.
 */
export const projectedId = (image: { id: string; key?: string }): string =>
  image.key?.startsWith('@') && image.key !== image.id ? `${image.id}${image.key}` : image.id;

/** The definition of an entity's kind. Throws {@link ProjectionStopped} on a kind or schema that this build does not know. */
export function definitionOf(
  definitions: Definitions,
  e: { kind: string; id: string; schema: number },
  partition: number,
  sequence: number,
): EntityDefinition {
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
  return definition;
}

/** Decodes a post-image; `image` must not be null. Throws as {@link definitionOf} does, and ImageError on a wrong shape. */
export function decodeEntity(
  definitions: Definitions,
  e: EntityImage,
  partition: number,
  sequence: number,
): ReplicaEntity {
  const definition = definitionOf(definitions, e, partition, sequence);
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

/** What Redis holds: the post-image as it stands in the journal, decoded by who reads it. Key null = the id. */
type StoredEntity = [partition: number, sequence: number, key: string | null, schema: number, image: unknown[]];

/** What builds before schema numbers wrote; every schema was 1. */
interface DecodedEntity {
  p: number;
  s: number;
  k?: string;
  value: string | null;
  context: Record<string, unknown>;
}

/** `image` must not be null. Throws as {@link definitionOf} does. */
export function toStored(definitions: Definitions, e: EntityImage, partition: number, sequence: number): string {
  definitionOf(definitions, e, partition, sequence);
  const key = e.key ?? e.id;
  const stored: StoredEntity = [
    partition,
    sequence,
    key === projectedId(e) ? null : key,
    e.schema,
    e.image as unknown[],
  ];
  return JSON.stringify(stored);
}

/** Throws as {@link decodeEntity} does. */
export function fromStored<Context = Record<string, unknown>>(
  definitions: Definitions,
  kind: string,
  id: string,
  text: string,
): ReplicaEntity<Context> {
  const stored = JSON.parse(text) as StoredEntity | DecodedEntity;
  if (!Array.isArray(stored)) return fromDecoded(definitions, kind, id, stored) as ReplicaEntity<Context>;
  const [partition, sequence, key, schema, image] = stored;
  const definition = definitionOf(definitions, { kind, id, schema }, partition, sequence);
  const { value, context } = decodeImage(definition, image, schema);
  return { kind, id, value, context: context as Context, partition, sequence, key: key ?? id };
}

function fromDecoded(definitions: Definitions, kind: string, id: string, stored: DecodedEntity): ReplicaEntity {
  const { p, s, k, value } = stored;
  const { version, migrate } = definitionOf(definitions, { kind, id, schema: 1 }, p, s);
  let { context } = stored;
  for (let v = 1; v < version; v++) context = migrate?.[v]?.(context) ?? context;
  return { kind, id, value, context, partition: p, sequence: s, key: k ?? id };
}
