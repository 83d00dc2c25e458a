/** The domain compiled once per process: runners, codecs and validators by kind. */
import { Compile } from 'typebox/compile';
import type { Validator } from 'typebox/compile';
import type { ActorDefinition, Domain, RecordDefinition, SlotDefinition, Stored } from '#actors/actor';
import { decodeImage, encodeImage } from '#actors/codec';
import { machineRunner, type MachineRunner } from './machine.ts';

export interface Kind {
  kind: string;
  schema: number;
  /** null for records. */
  actor: {
    definition: ActorDefinition;
    runner: MachineRunner;
    validators: Map<string, Validator>;
    creates: Set<string>;
  } | null;
  encode(stored: Stored): unknown[];
  /** Decodes an image of any version up to this one; a newer one throws (an old binary must not own newer state). */
  decode(image: unknown[], schema: number): Stored;
}

export interface Catalogue {
  kinds: ReadonlyMap<string, Kind>;
  slots: readonly SlotDefinition[];
  createIndex: Domain['createIndex'];
}

export function compileDomain(domain: Domain): Catalogue {
  const kinds = new Map<string, Kind>();
  for (const definition of domain.records) kinds.set(definition.kind, recordKind(definition));
  for (const definition of domain.actors) kinds.set(definition.kind, actorKind(definition));
  return { kinds, slots: domain.slots, createIndex: () => domain.createIndex() };
}

function recordKind(definition: RecordDefinition): Kind {
  return {
    kind: definition.kind,
    schema: definition.version,
    actor: null,
    encode: (stored) => encodeImage(definition, null, stored.context),
    decode: (image, schema) => {
      refuseNewer(definition, schema);
      return { value: null, context: decodeImage(definition, image).context as Record<string, unknown> };
    },
  };
}

function actorKind(definition: ActorDefinition): Kind {
  const runner = machineRunner(definition);
  const validators = new Map<string, Validator>();
  for (const [type, schema] of Object.entries(definition.commands)) validators.set(type, Compile(schema));
  return {
    kind: definition.kind,
    schema: definition.version,
    actor: { definition, runner, validators, creates: new Set(definition.creates) },
    encode: (stored) => encodeImage(definition, stored.value, stored.context),
    decode: (image, schema) => {
      refuseNewer(definition, schema);
      const { value, context } = decodeImage(definition, image);
      if (value === null) throw new Error(`${definition.kind}: an actor's image without a state`);
      return runner.restore(value, migrated(definition, schema, context as Record<string, unknown>));
    },
  };
}

function refuseNewer(definition: { kind: string; version: number }, schema: number) {
  if (schema > definition.version) {
    throw new Error(
      `${definition.kind}: state of version ${schema} is newer than this build (${definition.version}): start a newer build`,
    );
  }
}

function migrated(definition: ActorDefinition, from: number, context: Record<string, unknown>) {
  for (let v = from; v < definition.version; v++) {
    const step = definition.migrate?.[v];
    if (!step) throw new Error(`${definition.kind}: no migration from version ${v}`);
    context = step(context);
  }
  return context;
}
