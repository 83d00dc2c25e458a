/**
 * What the domain hands to the engine: a table of actors, the records they own, the slots they live by.
 *
 * An actor is an XState machine that is only ever used as a reducer: (snapshot, event) → (snapshot, outputs). It reads no
 * clock and does no I/O; everything it wants done is an *output*, a declared action that the engine collects, commits
 * in one journal record with the new state, and only then lets out.
 */
import { enqueueActions, type AnyStateMachine, type MachineContext } from 'xstate';
import type { TObject, TSchema } from 'typebox';
import type { RefusalCode } from './refusals.ts';
import type { PublicEvent } from './schema/events.ts';

/** Where an entity lives: `key` decides the partition, `kind` + `id` name it there. */
export interface EntityAddress {
  kind: string;
  key: string;
  id: string;
}

/** A request to change one entity. `body` is plain JSON, validated against the actor's schema for `type`. */
export interface Command {
  to: EntityAddress;
  type: string;
  body: Record<string, unknown>;
}

/** What a machine sees: the command, the log's time, and the facts its actor gathered inside the partition. */
export interface ActorEvent<Body = Record<string, unknown>, Facts = unknown> {
  type: string;
  /** The log's clock, unix ms. */
  now: number;
  /** The entity's own id and key, so that machines need not store them twice. */
  self: EntityAddress;
  body: Body;
  facts: Facts;
}

export type Output =
  | { type: 'reply'; params: { value: unknown } }
  /** The command changes nothing; the caller gets the code. Besides, only facts may be told of it (`emit`). */
  | { type: 'refuse'; params: { code: RefusalCode; detail?: Record<string, unknown> } }
  | { type: 'emit'; params: PublicEvent }
  /** To the same partition: applied later in the same batch. To another: a relay, exactly once. */
  | { type: 'send'; params: Command }
  /** Delivers `timer.<name>` to this entity once the log's clock has reached `dueAt`; arming again moves it. */
  | { type: 'arm'; params: { name: string; dueAt: number } }
  | { type: 'disarm'; params: { name: string } }
  /** Writes a record that this actor owns. */
  | { type: 'put'; params: { kind: string; id: string; state: Record<string, unknown> } }
  /** Removes a record, or an actor (itself included). */
  | { type: 'drop'; params: { kind: string; id: string } }
  /** For the outside world (a gateway, later a webhook): at least once under a stable id, once in effect. */
  | { type: 'effect'; params: Effect };

/** `target` is a gateway id; `kind` tells it what to do. */
export interface Effect {
  id: string;
  target: string;
  kind: string;
  body: Record<string, unknown>;
}

/** A stored entity as the partition sees it: the machine's state value and its context. Records have no `value`. */
export interface Stored<Context = Record<string, unknown>> {
  value: string | null;
  context: Context;
}

/** The partition, read-only: what `facts` and slots may look at. */
export interface PartitionView {
  readonly partition: number;
  readonly partitions: number;
  readonly now: number;
  get<Context>(kind: string, id: string): Stored<Context> | undefined;
  /** The derived index built by {@link Domain.createIndex}. */
  readonly index: unknown;
}

/** Derived in memory from states, told of every change, rebuilt on recovery; never written anywhere. */
export interface Index {
  /** How much was asked of the world outside and is neither answered nor given up; absent: nothing ever is. */
  readonly awaited?: number;
  changed(kind: string, id: string, before: Stored | undefined, after: Stored | undefined): void;
}

export interface ActorDefinition {
  kind: string;
  /** Version of the context schema, written with every post-image. */
  version: number;
  machine: AnyStateMachine;
  /** Context in its canonical field order: integers, strings, booleans, null, arrays and objects of these. */
  context: TObject;
  /** Accepted commands and their bodies; timers arrive as `timer.<name>` and are listed in `timers`. */
  commands: Record<string, TSchema>;
  timers: readonly string[];
  /** Commands that may meet an absent entity; all others are refused `unknown_entity`. */
  creates: readonly string[];
  /** Gathers what the decision needs from the same partition. Pure. */
  facts?(view: PartitionView, self: EntityAddress, type: string, body: Record<string, unknown>): unknown;
  /** `migrate[v]` turns a context of version v into v + 1. */
  migrate?: Record<number, (context: Record<string, unknown>) => Record<string, unknown>>;
}

/** Data an actor owns without a life of its own (a counter, a block of sample keys). */
export interface RecordDefinition {
  kind: string;
  version: number;
  context: TObject;
}

/**
 * A timed input of the partition: `run` is called once per slot and yields commands for entities. Slot n of a partition begins
 * at n × everyMs + phaseMs.
 */
export interface SlotDefinition {
  name: string;
  everyMs: number;
  /** 0 ≤ phase < everyMs; with one that differs by partition a process has no peak of work. Absent: 0. */
  phaseMs?(partition: number, partitions: number): number;
  /** Whether this partition holds anything that lives by this slot; asked when it changes. */
  active(view: PartitionView): boolean;
  run(view: PartitionView, slot: number): Command[];
}

type Place = Pick<PartitionView, 'partition' | 'partitions'>;

const phaseOf = ({ phaseMs }: SlotDefinition, { partition, partitions }: Place): number =>
  phaseMs?.(partition, partitions) ?? 0;

/** The slot that a moment lies in. */
export const slotAt = (definition: SlotDefinition, place: Place, ms: number): number =>
  Math.floor((ms - phaseOf(definition, place)) / definition.everyMs);

/** When a slot begins, unix ms. */
export const slotBegins = (definition: SlotDefinition, place: Place, slot: number): number =>
  slot * definition.everyMs + phaseOf(definition, place);

/** Amounts by ledger, in the ledger's smallest unit: SEK in 10⁻⁵ SEK, Wh in Wh. */
export type Amounts = Iterable<readonly [ledger: string, amount: number]>;

/** All that the engine knows of the domain. */
export interface Domain {
  actors: readonly ActorDefinition[];
  records: readonly RecordDefinition[];
  slots: readonly SlotDefinition[];
  createIndex(): Index;
  /**
   * All that an entity owns, signed; null: no entity of this kind ever owns anything. Pure. The engine commits no record
   * that changes what all entities of a partition own together.
   */
  balances?(kind: string, stored: Stored): Amounts | null;
  /** The part of {@link balances} that is on its way to other partitions (−) or has come from them (+); null: none. Pure. */
  transit?(kind: string, stored: Stored): Amounts | null;
  /** What a relay carries: while it is under way, Σ transit of all partitions = −Σ carried. null: nothing. Pure. */
  carried?(command: Command): Amounts | null;
}

/** What a rule decides: the next context (absent: unchanged) and the outputs, or a refusal. */
export type Decision<Context> =
  | { context?: Context; outputs?: Exclude<Output, { type: 'refuse' }>[]; refuse?: never }
  | {
      refuse: RefusalCode;
      detail?: Record<string, unknown>;
      context?: never;
      outputs?: Extract<Output, { type: 'emit' }>[];
    };

/** An XState action without its type parameters: they name what a machine may call, a rule's outputs are checked by {@link Output}. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any
export type RuleAction = ((args: any, params: any) => void) & { rule: Rule };

/** A pure rule: what a command does to a context. */
export type Rule = (context: MachineContext, event: ActorEvent) => Decision<MachineContext>;

/** The outputs of a decision, in order. */
export const outputsOf = (decision: Decision<MachineContext>): readonly Output[] => {
  if (decision.refuse === undefined) return decision.outputs ?? [];
  const { refuse: code, detail, outputs = [] } = decision;
  return [{ type: 'refuse', params: detail ? { code, detail } : { code } }, ...outputs];
};

/**
 * Turns a pure rule into an XState action: assigns the context it returns and queues its outputs. The rule stays in reach,
 * so that an engine may run a transition that is nothing but rules without XState's bookkeeping.
 * @example on: { 'connector.status': { actions: decide(statusReported) } }
 */
export function decide<Context extends MachineContext, Event extends ActorEvent>(
  rule: (context: Context, event: Event) => Decision<Context>,
): RuleAction {
  const action = enqueueActions(({ context, event, enqueue }) => {
    const decision = rule(context as Context, event as unknown as Event);
    // As a function: XState would call each field of an object that holds one.
    if (decision.context !== undefined) enqueue.assign(() => decision.context);
    for (const output of outputsOf(decision)) enqueue(output);
  });
  return Object.assign(action, { rule: rule as unknown as Rule });
}
