/** The domain compiled once per process: runners, codecs and validators by kind. */
import { Compile } from 'typebox/compile';
import type { Validator } from 'typebox/compile';
import type { ActorDefinition, Amounts, Domain, RecordDefinition, SlotDefinition, Stored } from '#actors/actor';
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
  /** What a state of this kind owns; null when the kind owns nothing. */
  balances: ((stored: Stored) => Amounts) | null;
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
  for (const kind of kinds.values()) kind.balances = balancesOf(domain, kind);
  return { kinds, slots: domain.slots, createIndex: () => domain.createIndex() };
}

const nothing: Amounts = [];

/** The domain is asked once about a kind that owns nothing, and never again. */
function balancesOf(domain: Domain, kind: Kind): Kind['balances'] {
  if (!domain.balances) return null;
  return (stored) => {
    const owned = domain.balances!(kind.kind, stored);
    if (owned === null) kind.balances = null;
    return owned ?? nothing;
  };
}

function recordKind(definition: RecordDefinition): Kind {
  return {
    kind: definition.kind,
    schema: definition.version,
    actor: null,
    balances: null,
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
    balances: null,
    encode: (stored) => encodeImage(definition, stored.value, stored.context),
    decode: (image, schema) => {
      refuseNewer(definition, schema);
      const { value, context } = decodeImage(definition, image, schema);
      if (value === null) throw new Error(`${definition.kind}: an actor's image without a state`);
      return runner.restore(value, context as Record<string, unknown>);
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
