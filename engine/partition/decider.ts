/**
 * Decides commands on the partition's state, in memory and speculatively, and collects what the next commit record holds.
 *
 * A *unit* is one command (or timer, or entity of a slot) with all it sends inside the partition; it is never split over
 * records. `offset` moves with whole frames; a cut inside a frame is safe, because the writer's watermark tells where.
 * Given the same state, frames and cuts, the same record comes out, byte for byte (G6).
 */
import {
  slotAt,
  slotBegins,
  type ActorEvent,
  type Command,
  type EntityAddress,
  type Effect,
  type Output,
  type Stored,
} from '#actors/actor';
import { partitionOf } from '#actors/partition_key';
import type { RefusalCode } from '#actors/refusals';
import { subject } from '#actors/schema/subjects';
import type { PublicEvent } from '#actors/schema/events';
import type {
  ClockKind,
  CommandEnvelope,
  CommitRecord,
  EntityImage,
  Frame,
  Origin,
  RelayOut,
  ReplyOut,
  ReplyResult,
} from '../wire.ts';
import type { Catalogue, Kind } from './catalogue.ts';
import { Conservation } from './conservation.ts';
import { estimateBytes } from './estimate.ts';
import { Outcomes } from './outcomes.ts';
import { isRelay, type Entity, type PartitionState } from './state.ts';
import { parseTimerId, slotTimerId, timerId } from './timers.ts';

/** What a record says beyond who wrote it. */
export type Decided = Omit<CommitRecord, 'kind' | 'owner' | 'build' | 'epoch' | 'batch' | 'cut' | 'hash'>;

export const unitsPerRecordMax = 1_024;
export const recordBytesTarget = 256 * 1024;
/** One command may cause this many others in its own partition; more is a loop. */
const sendsPerUnitMax = 10_000;
/** A timer that failed is a dead letter, and due again so much later: what waits for it, a hold or a bill, is not lost. */
const timerRetryMs = 600_000;
/** Of a message that is no frame; the rest is in the command log at its sequence. */
const unreadableBytesKept = 1_024;
/** A traceparent has 55. */
const traceCharsMax = 64;
/** What an entity, an event or a relay takes in a record beside its names and contents, about. */
const entryBytes = 16;

const refusalIn = (refusal: Record<string, unknown> | undefined) => (refusal ? { refusal } : {});
const misunderstood: ReadonlySet<RefusalCode> = new Set<RefusalCode>(['bad_request', 'unknown_command']);

export interface DeciderOptions {
  /** Called when the record is full; takes it by {@link Decider.take}. */
  onFull(): void;
  /** Units that must be refused because they could not be committed, by unit name. */
  poison: ReadonlyMap<string, RefusalCode>;
  unitsMax?: number;
  /** Told in dead letters. */
  build: string;
  /** A driven clock jumps, and every slot is wanted; the machine's goes on by itself, and after a pause only the newest is. */
  clock?: ClockKind;
}

/** An entity's before its first command with an id: a series begins at 1. */
/** Outputs that leave nothing behind for which there would have to be an entity. */
const isTold: ReadonlySet<Output['type']> = new Set<Output['type']>(['reply', 'emit']);
const noOutcomes = new Outcomes();

/** What went into a record, for whoever measures; nothing is decided from it. */
export interface Tally {
  commands: number;
  /** Commands whose id had its result already. */
  known: number;
  /** Commands of frames that their writer had sent again. */
  resent: number;
  /** By how much the most overdue timer came late, ms of log time; -1: none was due. */
  timerLateMs: number;
}
const emptyTally = (): Tally => ({ commands: 0, known: 0, resent: 0, timerLateMs: -1 });

interface Dropped {
  kind: string;
  id: string;
  key: string;
  version: number;
  stored: null;
  place: number;
}

export class Decider {
  units = 0;
  #tally = emptyTally();
  #state: PartitionState;
  #catalogue: Catalogue;
  #options: DeciderOptions;
  /** The last unit: a timer or an entity of a slot by name, '' = a command by its places in the log and in its writer. */
  #named = '';
  #sequence = 0;
  #seq = 0;
  #writer = '';
  /** About what the record will take: frames stand for their replies, the rest is estimated. */
  #bytes = 0;
  readonly #conservation = new Conservation();
  #touched = false;
  /** What the record's entities are; `place` of each is its index here. */
  #dirty: (Entity | Dropped)[] = [];
  /** Of those, what was dropped and may be made again. */
  #dropped: Map<string, Dropped> | null = null;
  #timersTouched = new Set<string>();
  #fired: string[] = [];
  #writers = new Map<string, number>();
  #relayAcked = new Map<number, number>();
  #relays: RelayOut[] = [];
  #effects: Effect[] = [];
  #events: PublicEvent[] = [];
  #origins: Origin[] = [];
  #traces: string[] = [];
  #replies: ReplyOut[] = [];
  /** What the unit in work sends inside the partition. */
  readonly #sends: Command[] = [];

  constructor(state: PartitionState, catalogue: Catalogue, options: DeciderOptions) {
    this.#state = state;
    this.#catalogue = catalogue;
    this.#options = options;
  }

  /** Applies one frame of the log: time first, then its commands in order. `at` = log time it brings, ms. */
  frame(sequence: number, at: number, frame: Frame, bytes: number) {
    const state = this.#state;
    this.advance(Math.max(state.now, at));
    if (frame.kind === 'hello' && !state.writers.has(frame.writer)) {
      state.writers.set(frame.writer, { seq: 0, at: state.now });
      this.#writers.set(frame.writer, 0);
      this.#bytes += frame.writer.length;
      this.#cutWhenFull();
    } else if (frame.kind === 'commands') {
      const per = bytes / Math.max(1, frame.commands.length);
      const relayed = isRelay(frame.writer);
      this.#writer = frame.writer;
      const mark = state.mark(frame.writer);
      let seq = frame.first;
      for (const command of frame.commands) {
        // Invariant of writers: dense; a gap means that something before it is still to come again.
        if (mark === undefined || seq > mark.seq + 1) break;
        if (seq === mark.seq + 1) {
          this.#command(sequence, seq, command, relayed);
          mark.seq = seq;
          mark.at = state.now;
          if (seq === 1) state.writers.set(frame.writer, mark);
          this.#writers.set(frame.writer, seq);
          this.#bytes += per;
          this.#cut();
        } else this.#tally.resent += 1;
        seq += 1;
      }
    }
    if (frame.trace !== undefined) this.#traces.push(frame.trace.slice(0, traceCharsMax));
    state.offset = sequence;
    this.#touched = true;
  }

  /** A message in the log that is no frame: passed over, and told. */
  unreadable(sequence: number, at: number, error: Error, bytes: Uint8Array) {
    this.advance(Math.max(this.#state.now, at));
    this.#named = `f:${sequence}`;
    const head = Buffer.from(bytes.subarray(0, unreadableBytesKept)).toString('base64');
    this.#deadLetter({ kind: 'log', id: String(sequence) }, 'frame', error.message, null, null, {
      bytes: bytes.length,
      head,
    });
    this.#state.offset = sequence;
    this.#touched = true;
  }

  /** Fires what is due up to `to`, in order. Deadlines fire each at their own time; of missed slots mostly only the newest. */
  advance(to: number) {
    const state = this.#state;
    for (let due = state.timers.peek(); due !== undefined && due.dueAt <= to; due = state.timers.peek()) {
      const timer = parseTimerId(due.id);
      // A driven clock goes in steps: what is due within one is not late.
      if (!this.#driven) this.#tally.timerLateMs = Math.max(this.#tally.timerLateMs, to - due.dueAt);
      if ('slot' in timer) this.#slot(due.id, timer.slot, due.dueAt, to);
      else this.#timer(due.id, timer, due.dueAt);
    }
    state.now = Math.max(state.now, to);
  }

  get #driven() {
    return this.#options.clock === 'driven';
  }

  relayAcknowledged(target: number, seq: number) {
    this.#relayAcked.set(target, seq);
  }

  /** Name of the last unit decided; with one unit per record it names what cannot be committed. */
  get lastUnit(): string {
    return this.#named || `${this.#sequence}:${this.#seq}`;
  }

  /** What was decided since the last call. */
  takeTally(): Tally {
    const tally = this.#tally;
    this.#tally = emptyTally();
    return tally;
  }

  get empty() {
    return !this.#touched && this.units === 0;
  }

  /**
   * Takes the record's content and begins the next one; it will stand at `sequence`.
   * @throws NotConserved when it makes or loses something owned; whatever else when a state cannot be encoded
   */
  take(sequence: number): Decided {
    const state = this.#state;
    this.#armSlots();
    this.#conservation.check(state.partition, sequence, this.#dirty, this.#events);
    for (const [target, seq] of this.#relayAcked) state.trimOutbox(target, seq);
    const writers = Object.fromEntries(this.#writers);
    // By a driven clock a day may pass between two words of a living door.
    const forget = this.#writers.size > 0 && !this.#driven;
    for (const writer of forget ? state.forgetIdleWriters() : []) writers[writer] = -1;
    for (const writer of this.#writers.keys()) {
      const mark = state.writers.get(writer);
      if (mark) mark.at = state.now;
    }
    const set: [string, number][] = [];
    const del: string[] = [];
    for (const id of this.#timersTouched) {
      const dueAt = state.timers.dueAt(id);
      if (dueAt === undefined) del.push(id);
      else set.push([id, dueAt]);
    }
    const decided: Decided = {
      offset: state.offset,
      now: state.now,
      writers,
      relayAcked: Object.fromEntries(this.#relayAcked),
      entities: this.#dirty.map((entity) => this.#image(entity)),
      timers: { set, del, fired: this.#fired },
      relays: this.#relays,
      effects: this.#effects,
      events: this.#events,
      replies: this.#replies,
      snapshot: null,
      origins: this.#origins,
      ...(this.#traces.length > 0 && { traces: this.#traces }),
    };
    for (const entity of this.#dirty) entity.place = -1;
    this.#conservation.clear();
    this.#dirty = [];
    this.#dropped = null;
    this.#timersTouched = new Set();
    this.#fired = [];
    this.#writers = new Map();
    this.#relayAcked = new Map();
    this.#relays = [];
    this.#effects = [];
    this.#events = [];
    this.#origins = [];
    this.#traces = [];
    this.#replies = [];
    this.units = 0;
    this.#bytes = 0;
    this.#touched = false;
    return decided;
  }

  #image(entity: Entity | Dropped): EntityImage {
    const kind = this.#catalogue.kinds.get(entity.kind)!;
    entity.version += 1;
    const image: EntityImage = {
      kind: entity.kind,
      id: entity.id,
      version: entity.version,
      schema: kind.schema,
      image: entity.stored === null ? null : kind.encode(entity.stored),
    };
    if (entity.key !== entity.id) image.key = entity.key;
    return image;
  }

  #cut() {
    this.units += 1;
    this.#cutWhenFull();
  }

  #cutWhenFull() {
    if (this.units >= (this.#options.unitsMax ?? unitsPerRecordMax) || this.#bytes >= recordBytesTarget)
      this.#options.onFull();
  }

  /** Why the last unit may not be applied, if so. */
  #poison(): RefusalCode | undefined {
    const { poison } = this.#options;
    return poison.size === 0 ? undefined : poison.get(this.lastUnit);
  }

  /** One command from the log: deadline, dedupe, validation, transition. */
  #command(sequence: number, seq: number, command: CommandEnvelope, relayed: boolean) {
    this.#named = '';
    this.#sequence = sequence;
    this.#seq = seq;
    this.#tally.commands += 1;
    const { to, id } = command;
    const entity = this.#state.entity(to.kind, to.id);
    if (id !== null) {
      const verdict = (entity?.outcomes ?? noOutcomes).judge(id, this.#state.now);
      if (verdict.kind === 'known') {
        this.#tally.known += 1;
        return this.#reply(command, verdict.result, undefined);
      }
      if (verdict.kind === 'refused') return this.#reply(command, { ok: false, code: verdict.code }, undefined);
    }
    const poison = this.#poison();
    const events = this.#events.length;
    let result: ReplyResult;
    if (poison !== undefined) {
      result = { ok: false, code: poison };
      this.#deadLetter(to, command.type, poison, command.correlation, command.body, { uncommitted: true });
    } else if (command.deadline > 0 && this.#state.now > command.deadline) {
      result = { ok: false, code: 'expired' };
    } else {
      result = this.#unit(to, command.type, command.body, command.correlation, entity);
      // Nobody waits for a relay: one that cannot be understood must not vanish.
      if (relayed && !result.ok && misunderstood.has(result.code)) {
        this.#deadLetter(to, command.type, result.code, command.correlation, command.body, refusalIn(result.detail));
      }
    }
    if (command.correlation !== null && this.#events.length > events) this.#origin(command.correlation, id, events);
    const after = id === null || entity?.live ? entity : this.#state.entity(to.kind, to.id);
    this.#reply(command, result, id === null ? undefined : after);
  }

  /** The events from `first` on came of a command with this correlation. */
  #origin(correlation: string, commandId: string | null, first: number) {
    this.#origins.push({ correlation, commandId, first, count: this.#events.length - first });
    this.#bytes += entryBytes + correlation.length + (commandId?.length ?? 0);
  }

  /** `remembered`: the entity that keeps the result of this command id. */
  #reply(command: CommandEnvelope, result: ReplyResult, remembered: Entity | undefined) {
    if (remembered) (remembered.outcomes ??= new Outcomes()).remember(command.id!, result, this.#state.now);
    if (command.reply === null && !remembered) return;
    const { reply, id: commandId, to } = command;
    const inbox = reply === null ? '' : reply.inbox;
    const token = reply === null ? 0 : reply.token;
    if (!remembered) this.#replies.push({ inbox, token, commandId, result });
    else if (remembered.place >= 0) this.#replies.push({ inbox, token, commandId, result, place: remembered.place });
    else this.#replies.push({ inbox, token, commandId, result, entity: [to.kind, to.id] });
  }

  #timer(id: string, timer: { kind: string; id: string; name: string }, dueAt: number) {
    const state = this.#state;
    state.timers.delete(id);
    this.#timersTouched.add(id);
    this.#fired.push(id);
    state.now = Math.max(state.now, dueAt);
    this.#named = `t:${id}:${dueAt}`;
    const entity = state.entity(timer.kind, timer.id);
    const poison = this.#poison();
    if (entity && poison === undefined) {
      // `after:` delays carry XState's own event type; named timers arrive as timer.<name>.
      const type = timer.name.startsWith('xstate.') ? timer.name : `timer.${timer.name}`;
      const result = this.#unit({ kind: timer.kind, id: timer.id, key: entity.key }, type, {}, null, entity);
      if (!result.ok && result.code === 'internal_error') state.timers.set(id, state.now + timerRetryMs);
    } else if (entity) {
      this.#deadLetter(entity, `timer.${timer.name}`, poison!, null, null, { uncommitted: true });
      state.timers.set(id, state.now + timerRetryMs);
    }
    this.#cut();
  }

  #slot(id: string, name: string, dueAt: number, to: number) {
    const state = this.#state;
    const definition = this.#catalogue.slots.find((slot) => slot.name === name);
    const newestAt = definition ? slotBegins(definition, state, slotAt(definition, state, to)) : 0;
    if (newestAt > dueAt && !this.#driven) {
      // Missed slots are skipped; re-armed at the newest, so that deadlines between keep their order.
      state.timers.set(id, newestAt);
      this.#timersTouched.add(id);
      return;
    }
    state.now = Math.max(state.now, dueAt);
    if (definition) {
      const slot = slotAt(definition, state, dueAt);
      // A record may be cut between entities; until the slot's timer has moved on, a restart runs the slot again,
      // and an entity that has it already changes nothing.
      for (const command of definition.run(state, slot)) {
        this.#named = `s:${name}:${slot}:${command.to.id}`;
        const poison = this.#poison();
        if (poison === undefined)
          this.#unit(command.to, command.type, command.body, null, state.entity(command.to.kind, command.to.id));
        else this.#deadLetter(command.to, command.type, poison, null, null, { uncommitted: true });
        this.#cut();
      }
      state.timers.set(id, slotBegins(definition, state, slot + 1));
    } else {
      state.timers.delete(id);
    }
    this.#fired.push(id);
    this.#timersTouched.add(id);
    this.#touched = true;
  }

  #armSlots() {
    const { timers, now } = this.#state;
    for (const slot of this.#catalogue.slots) {
      const id = slotTimerId(slot.name);
      const armed = timers.dueAt(id) !== undefined;
      if (slot.active(this.#state) === armed) continue;
      if (armed) timers.delete(id);
      else timers.set(id, slotBegins(slot, this.#state, slotAt(slot, this.#state, now) + 1));
      this.#timersTouched.add(id);
    }
  }

  /** Applies one command and, after it, what it sends inside the partition. The result is that of the first. */
  #unit(
    to: EntityAddress,
    type: string,
    body: Record<string, unknown>,
    correlation: string | null,
    entity: Entity | undefined,
  ): ReplyResult {
    const queue = this.#sends;
    queue.length = 0;
    const result = this.#apply(to, type, body, correlation, queue, entity);
    for (let i = 0; i < queue.length; i++) {
      const next = queue[i]!;
      if (i >= sendsPerUnitMax) {
        this.#deadLetter(next.to, next.type, 'too many sends from one command', correlation, next.body);
        break;
      }
      const addressee = this.#state.entity(next.to.kind, next.to.id);
      const sent = this.#apply(next.to, next.type, next.body, correlation, queue, addressee);
      if (!sent.ok && misunderstood.has(sent.code))
        this.#deadLetter(next.to, next.type, sent.code, correlation, next.body, refusalIn(sent.detail));
    }
    return result;
  }

  #apply(
    to: EntityAddress,
    type: string,
    body: Record<string, unknown>,
    correlation: string | null,
    queue: Command[],
    entity: Entity | undefined,
  ): ReplyResult {
    const state = this.#state;
    const kind = this.#catalogue.kinds.get(to.kind);
    const actor = kind?.actor;
    if (!actor) return { ok: false, code: 'unknown_command', detail: { kind: to.kind } };
    const validator = actor.validators.get(type);
    const timer = type.startsWith('timer.') || type.startsWith('xstate.');
    if (!validator && !timer) return { ok: false, code: 'unknown_command', detail: { kind: to.kind, type } };
    if (validator && !validator.Check(body)) {
      const [first] = validator.Errors(body);
      return {
        ok: false,
        code: 'bad_request',
        detail: { path: first?.instancePath ?? '', rule: first?.message ?? '' },
      };
    }
    if (!entity && !actor.creates.has(type))
      return { ok: false, code: 'unknown_entity', detail: { kind: to.kind, id: to.id } };
    try {
      const initial = entity ? null : actor.runner.initial(to, state.now);
      const before = entity ? entity.stored : initial!.stored;
      const facts = actor.definition.facts?.(state, to, type, body);
      const event: ActorEvent = { type, now: state.now, self: to, body, facts };
      const { stored, outputs } = actor.runner.step(before, event);
      const refusal = outputs.find((output) => output.type === 'refuse');
      if (refusal) {
        // It changes nothing; what it tells is a fact all the same.
        for (const output of outputs) if (output.type === 'emit') this.#output(to, output, queue, correlation);
        const { code, detail } = refusal.params;
        return detail ? { ok: false, code, detail } : { ok: false, code };
      }
      // Before anything is changed: an effect is whole or not there.
      if (initial) for (const output of initial.outputs) this.#addressable(output);
      for (const output of outputs) this.#addressable(output);
      // Whoever is only asked, and tells, is not born by it.
      const isNew =
        initial !== null &&
        (stored !== initial.stored || initial.outputs.length > 0 || outputs.some(({ type }) => !isTold.has(type)));
      if (isNew) this.#changed(state.put(to.kind, to.id, to.key, stored), kind, null);
      else if (entity && stored !== before) this.#changed(state.change(entity, stored), kind, before);
      let value: unknown = null;
      for (const output of initial ? [...initial.outputs, ...outputs] : outputs) {
        if (output.type === 'reply') value = output.params.value;
        else if (output.type !== 'refuse') this.#output(to, output, queue, correlation);
      }
      return { ok: true, value };
    } catch (error) {
      this.#deadLetter(to, type, (error as Error).message, correlation, timer ? null : body, {
        stack: String((error as Error).stack).slice(0, 2_000),
      });
      return { ok: false, code: 'internal_error' };
    }
  }

  /** Throws when an output is for a partition that there is not: of all keys only those that name one can be wrong. */
  #addressable(output: Output) {
    if (output.type === 'send' && output.params.to.key.startsWith('@'))
      partitionOf(output.params.to.key, this.#state.partitions);
  }

  #output(
    self: EntityAddress,
    output: Exclude<Output, { type: 'reply' | 'refuse' }>,
    queue: Command[],
    correlation: string | null,
  ) {
    const state = this.#state;
    switch (output.type) {
      case 'emit':
        this.#events.push(output.params);
        this.#bytes += entryBytes + output.params.subject.length + estimateBytes(output.params.payload, true);
        return;
      case 'effect':
        this.#effects.push(output.params);
        return;
      case 'send': {
        const target = partitionOf(output.params.to.key, state.partitions);
        if (target === state.partition) queue.push(output.params);
        else this.#relay(target, output.params, correlation);
        return;
      }
      case 'arm': {
        const id = timerId(self.kind, self.id, output.params.name);
        state.timers.set(id, output.params.dueAt);
        this.#timersTouched.add(id);
        return;
      }
      case 'disarm': {
        const id = timerId(self.kind, self.id, output.params.name);
        if (state.timers.delete(id)) this.#timersTouched.add(id);
        return;
      }
      case 'put': {
        const { kind, id } = output.params;
        const before = state.entity(kind, id)?.stored ?? null;
        const entity = state.put(kind, id, self.key, { value: null, context: output.params.state });
        this.#changed(entity, this.#catalogue.kinds.get(kind), before);
        return;
      }
      case 'drop': {
        const gone = state.drop(output.params.kind, output.params.id);
        if (gone) this.#gone(gone);
        return;
      }
      default:
        output satisfies never;
    }
  }

  /** `before`: its state before the change, null when there was none. */
  #changed(entity: Entity, kind: Kind | undefined, before: Stored | null) {
    if (entity.place >= 0) return;
    this.#bytes += entryBytes + entity.id.length + estimateBytes(entity.stored.context, false);
    const earlier = this.#dropped?.get(`${entity.kind}|${entity.id}`);
    if (earlier) {
      // Dropped and made again inside one record: it takes its old place, and its versions go on.
      entity.version = earlier.version;
      entity.place = earlier.place;
      this.#dirty[earlier.place] = entity;
      this.#dropped!.delete(`${entity.kind}|${entity.id}`);
      return;
    }
    entity.place = this.#dirty.push(entity) - 1;
    if (kind?.balances) this.#conservation.note(kind, entity.place, before);
  }

  #gone({ kind, id, key, version, place, stored }: Entity) {
    const owning = place < 0 ? this.#catalogue.kinds.get(kind) : undefined;
    if (owning?.balances) this.#conservation.note(owning, this.#dirty.length, stored);
    const dropped: Dropped = { kind, id, key, version, stored: null, place: place >= 0 ? place : this.#dirty.length };
    this.#dirty[dropped.place] = dropped;
    (this.#dropped ??= new Map()).set(`${kind}|${id}`, dropped);
  }

  #relay(target: number, command: Command, correlation: string | null) {
    const state = this.#state;
    const seq = (state.relaySeq.get(target) ?? 0) + 1;
    const envelope: CommandEnvelope = { id: null, ...command, reply: null, deadline: 0, correlation };
    state.relaySeq.set(target, seq);
    const waiting = state.outbox.get(target);
    if (waiting) waiting.push({ seq, command: envelope });
    else state.outbox.set(target, [{ seq, command: envelope }]);
    this.#relays.push({ to: target, seq, command: envelope });
    this.#bytes += entryBytes + command.to.id.length + command.type.length + estimateBytes(command.body, true);
  }

  /**
   * A command that can never succeed is put where an operator finds it, with all that is needed to send it again.
   * `body` null: it was no command, and comes again by itself, as timers do, or never.
   */
  #deadLetter(
    to: { kind: string; id: string; key?: string },
    command: string,
    reason: string,
    correlation: string | null,
    body: Record<string, unknown> | null,
    more: Record<string, unknown> = {},
  ) {
    const detail: Record<string, unknown> = { unit: this.lastUnit, build: this.#options.build, ...more };
    if (this.#named === '') detail['writer'] = this.#writer;
    if (body !== null) Object.assign(detail, { key: to.key, body });
    this.#bytes += entryBytes + estimateBytes(detail, true);
    this.#events.push({
      kind: 'audit',
      subject: subject.audit('dead_letter'),
      payload: {
        kind: 'dead_letter',
        at: this.#state.now,
        entity: `${to.kind}/${to.id}`,
        command,
        reason,
        correlation,
        detail,
      },
    });
  }
}
