/**
 * The owner of one partition: fences the journal, recovers, and runs the loop
 *
 *   frames durable in C → decided in memory → one atomic append to J → only then replies, relays, effects → C trimmed
 *
 * Invariants
 * O1 The journal's expected last sequence is the fence: an append of a superseded owner fails, and it falls silent.
 * O2 Nothing is released before its record's acknowledgement, and in journal order.
 * O3 An uncertain append is settled by reading the journal's tail: mine in order → committed, a newer epoch → over, what is
 *    left → the same bytes again at the end. Nothing is appended behind an uncertain record.
 * O4 Up to four records are in flight on speculative state; when that cannot be committed, it is dropped and rebuilt.
 * O5 A journal at its bound stops decisions, not the partition: it waits, and what makes room still finds some.
 */
import { randomUUID } from 'node:crypto';
import { crc32 } from 'node:zlib';
import type { RefusalCode } from '#actors/refusals';
import { failpoint } from '../failpoint.ts';
import { isFull, LogDamaged, LogWentBack, StreamRefused, WrongLastSequence } from '../log/errors.ts';
import { stream } from '../log/subjects.ts';
import {
  decodeFrame,
  noContent,
  timeOfFrame,
  type ClockKind,
  type CommitRecord,
  type Frame,
  type JournalEntry,
  type RecordCut,
} from '../wire.ts';
import type { Catalogue } from './catalogue.ts';
import { NotConserved } from './conservation.ts';
import { Decider, unitsPerRecordMax, type Decided, type Tally } from './decider.ts';
import { inFlightMax, RecordFilter, tailWindow } from './record_filter.ts';
import type { CommandReader, LogMessage, PartitionPorts } from './ports.ts';
import { encodeRecord, genesisHash, recordBytesMax } from './record.ts';
import { JournalRoom } from './journal_room.ts';
import { recoverState } from './recovery.ts';
import { RelaySender } from './relay_sender.ts';
import { writeSnapshot } from './snapshot.ts';
import type { Tracer } from '../telemetry/tracer.ts';
import type { PartitionState } from './state.ts';

/** Frames read ahead of the loop; beyond it the reader waits. */
const queueBytesMax = 8 * 1024 * 1024;
/** Under load the records of a process are made so far apart; see {@link PartitionPorts.turn}. */
export const recordEveryMs = 5;
/** Bytes of queued frames that are worth a record of their own while another is under way. */
const pipelineBytes = 16 * 1024;
const settleRetryMs = 100;
/** What is wrong with a log is believed when it has been seen again and again for so long: a server that is just starting may err. */
const beliefMs = 2_000;
/** How often a journal without room is looked at. */
const roomLookMs = 250;
/** The third start at the same first offset is one too many. */
const fruitlessStarts = 3;
/** Units put aside in one start; with more of them it is not the commands. */
const isolatedMax = 64;
const clockSkewMaxMs = 3_600_000;
const snapshotEveryBytes = 64 * 1024 * 1024;
const snapshotEveryMs = 15 * 60_000;
/** After a snapshot that failed; every turn of the loop would be too often. */
const snapshotRetryMs = 60_000;
/** Who had to read more records than this to begin writes a snapshot soon: whoever comes next should not have to. */
const replayedMost = 500;
/** Not while callers wait for the first replies. */
const snapshotAfterStartMs = 5_000;
/** Generations of an epoch: a superseded owner that still writes one overwrites none of its successor's. */
const generationsPerEpoch = 1_000_000;

export interface OwnerOptions {
  partition: number;
  partitions: number;
  build: string;
  catalogue: Catalogue;
  ports: PartitionPorts;
  /** @default wall */
  clock?: ClockKind;
  /** Told once when the partition cannot go on: superseded, a broken log, a time jump. */
  onFailed(error: Error): void;
  /** Asked before each attempt to fence the journal: whether the claim is still wanted. @default always */
  mayClaim?(): boolean;
  onEvent?(event: OwnerEvent): void;
  /**
   * Decides in another process what comes after `offset`, without the units that are known to be deadly; resolves to the one
   * that ended that process, null: none did.
   */
  probe?(deadly: readonly string[], offset: number): Promise<DeadlyUnit | null>;
  snapshotEveryBytes?: number;
  meter?: OwnerMeter;
  /** Gets a span of the decision and of the commit of each frame that is followed. */
  tracer?: Pick<Tracer, 'span'>;
}

/** Told once per record, never per command. */
export interface OwnerMeter {
  /**
   * A record is acknowledged: its size in bytes and how long the oldest of its frames had been stored then, ms by the clocks
   * of the store and of this process.
   */
  committed(tally: Tally, bytes: number, waitedMs: number): void;
  /** The fence refused an append: the journal's end was not the expected one. */
  refused(): void;
}

/** A unit that ends whatever process decides it, and the sequence of the frame that brought it about. */
export interface DeadlyUnit {
  unit: string;
  sequence: number;
}

export type OwnerEvent =
  | { event: 'recovered'; epoch: number; offset: number; entities: number; replayed: number; ms: number }
  | { event: 'uncertain'; reason: string }
  | { event: 'rebuilt'; reason: string }
  | { event: 'snapshot'; gen: number; j0: number; chunks: number; ms: number }
  | { event: 'snapshot_failed'; reason: string }
  | { event: 'isolated'; unit: string }
  /** The journal has no room for decisions: the partition waits until it is purged; then how long that took. */
  | { event: 'journal_full'; reason: string }
  | { event: 'journal_has_room'; ms: number };

type Made = Decided & { cut: RecordCut };

/** What is measured of a record; `storedAt`: of its oldest frame, unix ms, 0 = it has none. */
interface Measured {
  tally: Tally;
  storedAt: number;
  /** Frames that are followed, with the time of their storing; null: none, as mostly. */
  traced: { context: string; storedAt: number }[] | null;
  decidedAt: number | null;
}

/** What is needed of a record that is encoded: the rest is not kept alive while it is under way. */
type Releasable = Pick<CommitRecord, 'offset' | 'batch' | 'replies' | 'effects' | 'relays'>;

interface InFlight {
  record: Releasable;
  bytes: Uint8Array;
  sequence: number;
  settled: Promise<void>;
  outcome: 'pending' | 'committed' | Error;
  measured: Measured;
  onReleased?: () => void;
}

/** Another owner has the journal; not an error of ours, but the end of this ownership. */
export class Superseded extends Error {
  override readonly name = 'Superseded';
}

/** A store time so far from the log's clock that timers would fire wrongly. */
export class TimeJump extends Error {
  override readonly name = 'TimeJump';
  readonly code = 'time_jump';

  constructor(partition: number, at: number, now: number) {
    super(
      `partition ${partition}: store time ${at} is more than 1 h from the log's clock ${now}; set the server's clock right`,
    );
  }
}

/** The record cannot be encoded or is too large; the units in it are decided again, fewer at a time. */
class CannotCommit extends Error {
  readonly code: RefusalCode;
  readonly units: number;
  constructor(code: RefusalCode, units: number, reason: string) {
    super(reason);
    this.code = code;
    this.units = units;
  }
}

const isLoss = (error: unknown) => error instanceof LogDamaged || error instanceof LogWentBack;

export class PartitionOwner {
  readonly owner = randomUUID();
  #options: OwnerOptions;
  #ports: PartitionPorts;
  #state!: PartitionState;
  #decider!: Decider;
  #relays: RelaySender;
  #queue: LogMessage[] = [];
  #queueBytes = 0;
  #roomWaiters: (() => void)[] = [];
  #wake: (() => void) | null = null;
  #inFlight: InFlight[] = [];
  /** Sequence of the newest record made, committed or not. */
  #lastSequence = 0;
  #batch = 0;
  #epoch = 0;
  /** Store times of the oldest frame in the record under way, and of the frame in work; unix ms, 0 = none. */
  #storedAt = { oldest: 0, current: 0 };
  #traced: Measured['traced'] = null;
  /** CRC-32 over the messages that are decided and not yet in a record. */
  #input = 0;
  #stopped = false;
  #failed = false;
  #running: Promise<void> | null = null;
  #reader: CommandReader | null = null;
  #cancelClock: (() => void) | null = null;
  #clockAsked = { at: -Infinity, dueAt: 0 };
  /** ms by which the server's clock was ahead of ours when it last stored something. */
  #storeAheadMs = 0;
  #epochAt = { wall: 0, monotonic: 0 };
  #poison = new Map<string, RefusalCode>();
  /** While `until` is positive: so few units a record, up to this log sequence, to find the one that cannot be committed. */
  #narrowed = { until: 0, unitsMax: unitsPerRecordMax };
  #kept: { gen: number; j0: number; offset: number }[] = [];
  #snapshotting = false;
  #narrowing = false;
  #bytesSinceSnapshot = 0;
  readonly #journal = new JournalRoom();
  #fullSince: number | null = null;
  #snapshotAt = 0;
  #snapshotNotBefore = 0;
  /** Offset of the newest committed record, its sequence, and what is known of the log's end. */
  committed = { offset: 0, sequence: 0, batch: 0 };
  logEnd = 0;
  /** Bytes that were read from C and appended to J since the beginning, for whoever watches how they fill up. */
  moved = { commands: 0, journal: 0 };

  constructor(options: OwnerOptions) {
    this.#options = options;
    this.#ports = options.ports;
    this.#relays = this.#newRelaySender();
  }

  #newRelaySender() {
    return new RelaySender(
      this.#options.partition,
      (target, bytes) => this.#ports.appendRelay(target, bytes),
      (target, seq) => {
        if (!this.#failed) this.#decider.relayAcknowledged(target, seq);
      },
      (ms) => this.#ports.clock.delay(ms),
      () => (this.#driven ? this.#state.now : undefined),
    );
  }

  /** What is committed and not known to be stored is sent again; the receiver drops what it has. */
  #sendOutbox() {
    for (const [target, waiting] of this.#state.outbox) if (waiting.length > 0) this.#relays.enqueue(target, waiting);
  }

  get #driven() {
    return this.#options.clock === 'driven';
  }

  get partition() {
    return this.#options.partition;
  }
  get state(): PartitionState {
    return this.#state;
  }
  get epoch() {
    return this.#epoch;
  }
  get relaysPending() {
    return this.#relays.pending;
  }

  /** ms that the oldest unprocessed frame has waited, by store time. */
  get lagMs() {
    const oldest = this.#queue[0];
    return oldest ? Math.max(0, this.#ports.clock.wall() - oldest.at) : 0;
  }

  /** ms since the newest snapshot of this owner, or since its start. */
  get snapshotAgeMs() {
    return this.#ports.clock.monotonic() - this.#snapshotAt;
  }

  /** Everything up to this sequence of the command log is committed, and what that sent elsewhere is stored there. */
  isSettled(sequence: number): boolean {
    return this.committed.offset >= sequence && this.relaysPending === 0;
  }

  /** Share of the journal's room for decisions that is taken; at 1 the partition waits. */
  get journalFill() {
    return this.#journal.fill;
  }

  /** What the server says of the journal's size. */
  journalMeasured(size: { bytes: number; bytesMax: number }) {
    this.#journal.measured(size);
  }

  /**
   * Below these sequences C and J are not needed by this partition: committed, and held by the older of two snapshots; by the
   * only one when the journal is full, for a second one would need room in it.
   */
  get purgeable(): { commands: number; journal: number } {
    const oldest = this.#kept[0];
    if ((this.#kept.length < 2 && this.#fullSince === null) || !oldest) return { commands: 0, journal: 0 };
    return { commands: Math.min(this.committed.offset, oldest.offset), journal: oldest.j0 };
  }

  /** Fences, recovers and begins to work. Rejects when the journal cannot be recovered. */
  async start() {
    const started = this.#ports.clock.monotonic();
    const sequence = await this.#fence();
    await this.#isolate(sequence);
    await this.#rebuild(sequence);
    this.#goOn();
    const { offset } = this.#state;
    this.committed = { offset, sequence, batch: 0 };
    this.#storeAheadMs = Math.max(0, this.#state.now - this.#ports.clock.wall());
    this.#snapshotAt = this.#ports.clock.monotonic();
    if (this.#replayed > replayedMost) {
      this.#bytesSinceSnapshot = Infinity;
      this.#snapshotNotBefore = this.#snapshotAt + snapshotAfterStartMs;
    }
    await this.#follow(offset + 1);
    if (this.#stopped) await this.#stopReading();
    this.#goOn();
    this.#sendOutbox();
    this.#running = this.#run().catch((error: Error) => this.#fail(error));
    this.#armClock();
    this.#options.onEvent?.({
      event: 'recovered',
      epoch: this.#epoch,
      offset,
      entities: this.#state.entityCount,
      replayed: this.#replayed,
      ms: Math.round(this.#ports.clock.monotonic() - started),
    });
  }
  #replayed = 0;

  /** Finishes what is in flight and lets go. */
  async stop() {
    this.#stopped = true;
    this.#cancelClock?.();
    await this.#stopReading();
    this.#wake?.();
    await this.#running;
    await Promise.all(this.#inFlight.map((f) => f.settled));
    this.#relays.stop();
  }

  /** Lets go at once and says nothing any more: somebody else has the partition. */
  abandon() {
    this.#failed = true;
    this.#end();
  }

  #goOn() {
    if (this.#stopped) throw new Superseded(`partition ${this.partition}: stopped before it began`);
  }

  /**
   * Owners that began at the same offset and left nothing behind their epoch record died of what comes next: it is tried in a
   * process of its own, and whatever ends that one is refused here, in a record of its own.
   */
  async #isolate(sequence: number) {
    const { probe } = this.#options;
    if (!probe || sequence < fruitlessStarts) return;
    const starts = await this.#tail(sequence - fruitlessStarts + 1);
    if (starts.length < fruitlessStarts || starts.some(({ record }) => record.kind !== 'epoch')) return;
    while (this.#poison.size < isolatedMax && !this.#stopped) {
      const deadly = await probe([...this.#poison.keys()], starts.at(-1)!.record.offset);
      if (!deadly || this.#poison.has(deadly.unit)) return;
      this.#poison.set(deadly.unit, 'command_isolated');
      this.#narrowed = { until: Math.max(this.#narrowed.until, deadly.sequence), unitsMax: 1 };
      this.#options.onEvent?.({ event: 'isolated', unit: deadly.unit });
    }
  }

  /**
   * Appends the epoch record; from then on every older owner's append fails or is void. Not to a log that has lost its end: what
   * has left the partition already would be decided anew, under sequences that others know as something else.
   */
  async #fence(): Promise<number> {
    for (;;) {
      this.#goOn();
      if (this.#options.mayClaim?.() === false)
        throw new Superseded(`partition ${this.partition}: another owner has it`);
      const { lastSequence, last } = await this.#surely(() => this.#endOfJournal());
      this.#epoch = (last?.epoch ?? 0) + 1;
      const record: Omit<CommitRecord, 'hash'> = {
        kind: 'epoch',
        owner: this.owner,
        build: this.#options.build,
        epoch: this.#epoch,
        batch: 0,
        offset: last?.offset ?? 0,
        now: last?.now ?? 0,
        ...noContent(),
      };
      const { bytes } = encodeRecord(record, last?.hash ?? genesisHash);
      this.#epochAt = { wall: this.#ports.clock.wall(), monotonic: this.#ports.clock.monotonic() };
      try {
        const { sequence } = await this.#ports.appendRecord(Uint8Array.from(bytes), lastSequence);
        this.#hasRoom();
        return sequence;
      } catch (error) {
        if (isFull(error)) this.#isFull(error.message);
        else if (error instanceof StreamRefused) throw error;
        if (error instanceof WrongLastSequence) this.#options.meter?.refused();
        await this.#ports.clock.delay(settleRetryMs);
        const [stored] = await this.#tail(lastSequence + 1);
        if (stored?.record.owner === this.owner && stored.record.epoch === this.#epoch) return stored.sequence;
      }
    }
  }

  /** The journal's end, and that the logs hold what others have seen of them. @throws {LogWentBack} {LogDamaged} */
  async #endOfJournal(): Promise<{ lastSequence: number; last: CommitRecord | null }> {
    // Asked first: what is stored meanwhile does not make it a liar.
    const witness = await this.#ports.witness?.();
    const bounds = await this.#ports.journalBounds();
    this.#journal.measured(bounds);
    const { last: lastSequence } = bounds;
    const journal = stream.journal(this.partition);
    if (witness && witness.sequence > lastSequence)
      throw new LogWentBack(journal, witness.sequence + 1, lastSequence, witness.by);
    const last = await this.#lastValid(lastSequence);
    const commandsEnd = await this.#ports.commandsEnd?.();
    if (last && commandsEnd !== undefined && commandsEnd < last.offset)
      throw new LogWentBack(stream.commands(this.partition), last.offset + 1, commandsEnd, journal);
    return { lastSequence, last };
  }

  /** Repeats a look at the log that found something wrong with it, until it is to be believed. */
  async #surely<Found>(look: () => Promise<Found>): Promise<Found> {
    const believedAt = this.#ports.clock.monotonic() + beliefMs;
    for (;;) {
      try {
        return await look();
      } catch (error) {
        if (!isLoss(error) || this.#ports.clock.monotonic() >= believedAt) throw error;
        this.#goOn();
        await this.#ports.clock.delay(settleRetryMs);
      }
    }
  }

  /** The newest record that counts; null in an empty journal. */
  async #lastValid(lastSequence: number): Promise<CommitRecord | null> {
    if (lastSequence === 0) return null;
    const window = await this.#tail(Math.max(1, lastSequence - tailWindow + 1));
    const filter = RecordFilter.forWindow(window.map((entry) => entry.record));
    const valid = window.filter((entry) => filter.accepts(entry.record)).at(-1);
    if (!valid)
      throw new LogDamaged(stream.journal(this.partition), lastSequence, 'is not the end of any chain of records');
    return valid.record;
  }

  /** State from the journal up to `last`; everything speculative is gone. */
  async #rebuild(last: number) {
    const { catalogue, partition, partitions } = this.#options;
    const recovered = await recoverState(this.#ports, catalogue, partition, partitions, last);
    const { epoch, batch } = recovered.state;
    if (epoch !== this.#epoch || batch !== this.committed.batch)
      throw new LogDamaged(stream.journal(partition), null, `lacks records behind ${epoch}.${batch}`);
    this.#state = recovered.state;
    this.#replayed = recovered.replayed;
    this.#kept = recovered.snapshot ? [recovered.snapshot] : [];
    this.#lastSequence = last;
    this.#newDecider();
  }

  #newDecider() {
    this.#input = 0;
    this.#storedAt.oldest = 0;
    this.#traced = null;
    this.#decider = new Decider(this.#state, this.#options.catalogue, {
      onFull: () => {
        this.#commit(this.#take());
        // The rest of the frame goes into the next record.
        this.#storedAt.oldest = this.#storedAt.current;
      },
      poison: this.#poison,
      unitsMax: this.#narrowed.unitsMax,
      build: this.#options.build,
      clock: this.#options.clock ?? 'wall',
    });
  }

  async #follow(from: number) {
    const reader = await this.#ports.followCommands(from, (message) => this.#received(message));
    this.#reader = reader;
    // A log that lacks what comes next, or that went back in time, ends the ownership: nothing is passed over silently.
    void reader.ended?.then((error) => {
      if (error && reader === this.#reader && !this.#stopped) this.#fail(error);
    });
  }

  /** A reader that is held back by a full queue ends only when it is let go. */
  async #stopReading() {
    const stopped = this.#reader?.stop();
    for (const resolve of this.#roomWaiters.splice(0)) resolve();
    await stopped;
  }

  #received(message: LogMessage): void | Promise<void> {
    this.#queue.push(message);
    this.#queueBytes += message.bytes.length;
    this.moved.commands += message.bytes.length;
    this.logEnd = Math.max(this.logEnd, message.sequence + message.pending);
    this.#storeAheadMs = Math.max(0, message.at - this.#ports.clock.wall());
    this.#wake?.();
    if (this.#queueBytes > queueBytesMax) return new Promise((resolve) => this.#roomWaiters.push(resolve));
  }

  async #run() {
    while (!this.#stopped) {
      if (this.#queue.length === 0 && !this.#uncertain)
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      this.#wake = null;
      await this.#room();
      if (this.#queueBytes < pipelineBytes) await this.#ports.turn();
      if (this.#stopped) break;
      try {
        this.#decide();
      } catch (error) {
        if (!(error instanceof CannotCommit)) throw error;
        await this.#narrow(error);
      }
      this.#armClock();
    }
    await this.#drained();
  }

  /** Decides what is queued, to the end of the queue or of a record. */
  #decide() {
    const decider = this.#decider;
    for (let n = 0; n < 256; n++) {
      const message = this.#queue.shift();
      if (message === undefined) break;
      this.#queueBytes -= message.bytes.length;
      const limit = this.#inFlight.length;
      this.#storedAt.current = message.at;
      this.#storedAt.oldest ||= message.at;
      let frame;
      try {
        frame = decodeFrame(message.bytes);
      } catch (error) {
        decider.unreadable(message.sequence, this.#timeOf(null, message), error as Error, message.bytes);
        this.#input = crc32(message.bytes, this.#input);
        continue;
      }
      if (frame.trace !== undefined && this.#options.tracer)
        (this.#traced ??= []).push({ context: frame.trace, storedAt: message.at });
      decider.frame(message.sequence, this.#timeOf(frame, message), frame, message.bytes.length);
      this.#input = crc32(message.bytes, this.#input);
      if (frame.kind === 'commands') failpoint('engine.frame_decided');
      if (this.#narrowed.until > 0 && message.sequence >= this.#narrowed.until) {
        this.#narrowed = { until: 0, unitsMax: unitsPerRecordMax };
        if (!decider.empty) this.#commit(this.#take());
        this.#newDecider();
        break;
      }
      if (this.#inFlight.length > limit) break;
    }
    if (this.#queueBytes <= queueBytesMax / 2) for (const resolve of this.#roomWaiters.splice(0)) resolve();
    if (!this.#decider.empty) this.#commit(this.#take());
    this.#maybeSnapshot();
  }

  #timeOf(frame: Frame | null, { at }: LogMessage): number {
    if (!this.#driven) this.#checkTime(at);
    return timeOfFrame(this.#options.clock ?? 'wall', frame, at);
  }

  /** A store time far from the log's clock would fire timers wrongly: stop before it is applied. */
  #checkTime(at: number) {
    const { now } = this.#state;
    const allowed = this.#epochAt.wall + (this.#ports.clock.monotonic() - this.#epochAt.monotonic) + clockSkewMaxMs;
    if (at < now - clockSkewMaxMs || at > allowed) {
      throw new TimeJump(this.partition, at, now);
    }
  }

  /** The record's content; a state that cannot be written must not be committed. */
  #take(): Made {
    const { units } = this.#decider;
    try {
      const made = { ...this.#decider.take(this.#lastSequence + 1), cut: { units, input: this.#input } };
      this.#input = 0;
      return made;
    } catch (error) {
      // Something is wrong with the rules: leaving out the command that showed it would hide that.
      if (error instanceof NotConserved) throw error;
      throw new CannotCommit('internal_error', units, (error as Error).message);
    }
  }

  #commit(made: Made, kind: 'batch' | 'snapshot' = 'batch') {
    const { units } = made.cut;
    const unsealed: Omit<CommitRecord, 'hash'> = {
      kind,
      owner: this.owner,
      build: this.#options.build,
      epoch: this.#epoch,
      batch: this.#batch + 1,
      ...made,
    };
    let encoded;
    try {
      encoded = encodeRecord(unsealed, this.#state.hash);
    } catch (error) {
      throw new CannotCommit('internal_error', units, (error as Error).message);
    }
    if (encoded.bytes.length > recordBytesMax)
      throw new CannotCommit('record_too_large', units, `${encoded.bytes.length} bytes`);
    const bytes = new Uint8Array(encoded.bytes);
    this.#batch += 1;
    this.#state.hash = encoded.hash;
    this.#state.epoch = this.#epoch;
    this.#state.batch = this.#batch;
    const { offset, replies, effects, relays } = made;
    const flight: InFlight = {
      record: { offset, batch: this.#batch, replies, effects, relays },
      bytes,
      sequence: this.#lastSequence + 1,
      settled: Promise.resolve(),
      outcome: 'pending',
      measured: {
        tally: this.#decider.takeTally(),
        storedAt: this.#storedAt.oldest,
        traced: this.#traced,
        decidedAt: this.#traced && this.#ports.clock.wall(),
      },
    };
    this.#traced = null;
    this.#storedAt.oldest = 0;
    this.#lastSequence += 1;
    this.#bytesSinceSnapshot += bytes.length;
    this.moved.journal += bytes.length;
    this.#journal.grows(bytes.length);
    const uncertain = this.#inFlight.find((earlier) => earlier.outcome instanceof Error);
    this.#inFlight.push(flight);
    if (uncertain) flight.outcome = uncertain.outcome;
    else this.#append(flight);
  }

  #append(flight: InFlight) {
    flight.outcome = 'pending';
    flight.settled = this.#ports
      .appendRecord(flight.bytes, flight.sequence - 1)
      .then(
        () => {
          flight.outcome = 'committed';
          failpoint('engine.record_appended');
          this.#release();
        },
        (error: Error) => {
          flight.outcome = error;
          if (error instanceof WrongLastSequence) this.#options.meter?.refused();
          // Settled at once, also when no further command comes: somebody may be waiting for its replies.
          this.#wake?.();
        },
      )
      .then(() => {
        this.#wakeRoom?.();
      });
  }
  #wakeRoom: (() => void) | null = null;
  get #uncertain() {
    return this.#inFlight.some((flight) => flight.outcome instanceof Error);
  }

  /** Lets out the committed head of the line, in order. */
  #release() {
    while (!this.#failed && this.#inFlight[0]?.outcome === 'committed') {
      const { record, bytes, sequence, onReleased, measured } = this.#inFlight.shift()!;
      this.committed = { offset: record.offset, sequence, batch: record.batch };
      if (measured.storedAt > 0)
        this.#options.meter?.committed(
          measured.tally,
          bytes.length,
          Math.max(0, this.#ports.clock.wall() - measured.storedAt),
        );
      this.#ports.release(`${this.#options.partition}:${sequence}`, record.replies, record.effects);
      if (measured.traced) this.#followed(measured, sequence);
      failpoint('engine.released');
      onReleased?.();
      if (record.relays.length > 0) {
        const byTarget = new Map<number, { seq: number; command: CommitRecord['relays'][number]['command'] }[]>();
        for (const { to, seq, command } of record.relays) {
          const list = byTarget.get(to);
          if (list) list.push({ seq, command });
          else byTarget.set(to, [{ seq, command }]);
        }
        for (const [target, list] of byTarget) this.#relays.enqueue(target, list);
      }
    }
  }

  #followed({ traced, decidedAt, tally }: Measured, sequence: number) {
    const now = this.#ports.clock.wall();
    const attributes = { partition: this.partition, epoch: this.#epoch, commands: tally.commands };
    for (const { context, storedAt } of traced ?? []) {
      this.#options.tracer?.span(context, 'decided', storedAt, decidedAt ?? now, attributes);
      this.#options.tracer?.span(context, 'committed', decidedAt ?? now, now, { ...attributes, sequence });
    }
  }

  /** Waits until another record may be made; settles an append that went wrong. */
  async #room() {
    for (;;) {
      if (this.#uncertain) await this.#settle();
      if (this.#journal.fill >= 1 && !this.#stopped) {
        await this.#journalRoom();
        continue;
      }
      this.#hasRoom();
      const under = this.#inFlight.length;
      // A small record waits for the one before it, so that records grow with the load instead of the work per command.
      if (under === 0 || (under < inFlightMax && this.#queueBytes >= pipelineBytes)) return;
      await new Promise<void>((resolve) => {
        this.#wakeRoom = resolve;
      });
      this.#wakeRoom = null;
    }
  }

  /** O5. Looks again and again until somebody has purged the journal; ends also when an append needs to be settled. */
  async #journalRoom() {
    try {
      this.#journal.measured(await this.#ports.journalBounds());
    } catch {
      // The server is away; what is known stands.
    }
    if (this.#journal.fill < 1) return;
    this.#isFull(`${Math.round(this.#journal.fill * 100)} % of its room is taken`);
    await this.#ports.clock.delay(roomLookMs);
  }

  #isFull(reason: string) {
    if (this.#fullSince !== null) return;
    this.#fullSince = this.#ports.clock.monotonic();
    this.#options.onEvent?.({ event: 'journal_full', reason });
  }

  #hasRoom() {
    if (this.#fullSince === null) return;
    const ms = Math.round(this.#ports.clock.monotonic() - this.#fullSince);
    this.#fullSince = null;
    this.#options.onEvent?.({ event: 'journal_has_room', ms });
  }

  async #drained() {
    while (this.#inFlight.length > 0) {
      await Promise.all(this.#inFlight.map((flight) => flight.settled));
      if (this.#uncertain) await this.#settle();
    }
  }

  /** O3. Ends with everything in flight committed, or throws. */
  async #settle() {
    for (;;) {
      await Promise.all(this.#inFlight.map((flight) => flight.settled));
      this.#release();
      const first = this.#inFlight[0];
      if (first === undefined) return;
      // A snapshot's pointer may have joined the line meanwhile.
      if (!(first.outcome instanceof Error)) continue;
      if (isFull(first.outcome)) {
        // Its last room was taken by others than decisions. The same bytes again, until there is some.
        if (this.#stopped) throw new Superseded(`partition ${this.partition}: stopped while the journal is full`);
        this.#isFull(first.outcome.message);
        await this.#ports.clock.delay(roomLookMs);
      } else {
        if (first.outcome instanceof StreamRefused) throw first.outcome;
        this.#options.onEvent?.({ event: 'uncertain', reason: first.outcome.message });
      }
      // An acknowledged record behind one that failed may be void: from here on only the journal's tail decides.
      for (const flight of this.#inFlight) flight.outcome = first.outcome;
      const filter = new RecordFilter({ epoch: this.#epoch, batch: first.record.batch - 1 });
      let end = this.committed.sequence;
      for (const { sequence, record } of await this.#tail(this.committed.sequence + 1)) {
        end = sequence;
        if (!filter.accepts(record)) continue;
        if (record.owner !== this.owner)
          throw new Superseded(`partition ${this.#options.partition}: epoch ${record.epoch} took over`);
        const flight = this.#inFlight.find(({ record: mine }) => mine.batch === record.batch)!;
        flight.sequence = sequence;
        flight.outcome = 'committed';
      }
      this.#release();
      this.#lastSequence = end + this.#inFlight.length;
      for (const flight of this.#inFlight) {
        flight.sequence = ++end;
        this.#append(flight);
      }
    }
  }

  /** Records from a sequence to the end, read until the server answers: an owner that guesses would be wrong. */
  async #tail(from: number): Promise<JournalEntry[]> {
    const believedAt = this.#ports.clock.monotonic() + beliefMs;
    for (;;) {
      const entries: JournalEntry[] = [];
      let isRead = true;
      try {
        const { first, last } = await this.#ports.journalBounds();
        if (last < this.committed.sequence)
          throw new LogWentBack(stream.journal(this.partition), this.committed.sequence + 1, last, 'its owner');
        // A look-back may begin before what is kept.
        if (last >= from)
          await this.#ports.readJournal(Math.max(from, first), last, (entry) => {
            entries.push(entry);
          });
      } catch (error) {
        if (isLoss(error) && this.#ports.clock.monotonic() >= believedAt) throw error;
        // The server is away, or may err.
        isRead = false;
      }
      if (this.#failed) throw new Superseded(`partition ${this.partition}: given up`);
      if (isRead) return entries;
      if (this.#stopped) throw new Superseded('stopped while the journal was out of reach');
      await this.#ports.clock.delay(settleRetryMs);
    }
  }

  /**
   * The record could not be made: back to what is committed, then fewer units a record until the culprit is refused. Too
   * large may be too many, so their number is halved; what cannot be encoded is one unit's, and they go one by one.
   */
  async #narrow({ code, units, message }: CannotCommit) {
    if (units === 0) throw new Error(`partition ${this.#options.partition}: a record cannot be written: ${message}`);
    this.#narrowing = true;
    if (units === 1) this.#poison.set(this.#decider.lastUnit, code);
    await this.#drained();
    const until = Math.max(this.#state.offset + 1, this.#narrowed.until);
    const unitsMax = code === 'record_too_large' ? Math.max(1, Math.floor(units / 2)) : 1;
    await this.#stopReading();
    await this.#rebuild(this.committed.sequence);
    this.#queue = [];
    this.#queueBytes = 0;
    this.#narrowed = { until, unitsMax };
    this.#newDecider();
    this.#relays.stop();
    this.#relays = this.#newRelaySender();
    this.#sendOutbox();
    this.#narrowing = false;
    this.#options.onEvent?.({ event: 'rebuilt', reason: message });
    await this.#follow(this.#state.offset + 1);
  }

  /** Asks for a clock frame when a timer falls due while the log is silent. */
  #armClock() {
    this.#cancelClock?.();
    this.#cancelClock = null;
    const next = this.#state.timers.peek();
    if (!next || this.#stopped || this.#failed || this.#driven) return;
    // Due by the log's clock, which is the server's: were ours behind it, every timer of an idle partition would come so late.
    const untilDueMs = next.dueAt - this.#ports.clock.wall() - this.#storeAheadMs;
    const waitMs = Math.min(Math.max(untilDueMs + 1, 1), 2_000_000_000);
    this.#cancelClock = this.#ports.clock.after(waitMs, () => {
      const now = this.#ports.clock.monotonic();
      // One clock frame per due time; asked again only when it seems lost.
      if (this.#queue.length === 0 && (next.dueAt !== this.#clockAsked.dueAt || now - this.#clockAsked.at > 500)) {
        this.#clockAsked = { at: now, dueAt: next.dueAt };
        this.#ports.appendClock();
      }
      this.#cancelClock = this.#ports.clock.after(500, () => this.#armClock());
    });
  }

  #maybeSnapshot() {
    const due =
      this.#bytesSinceSnapshot >= (this.#options.snapshotEveryBytes ?? snapshotEveryBytes) ||
      (this.#bytesSinceSnapshot > 0 && this.#ports.clock.monotonic() - this.#snapshotAt >= snapshotEveryMs);
    if (due && !this.#snapshotting && !this.#stopped && this.#ports.clock.monotonic() >= this.#snapshotNotBefore)
      void this.snapshot().catch((error: Error) => {
        // Chunks without a pointer are never read; the next attempt takes a new generation.
        this.#snapshotNotBefore = this.#ports.clock.monotonic() + snapshotRetryMs;
        this.#options.onEvent?.({ event: 'snapshot_failed', reason: error.message });
      });
  }

  /** Writes a snapshot while commands go on, journals its pointer and removes generations beyond the last two. */
  async snapshot() {
    if (this.#snapshotting || this.#stopped) return;
    this.#snapshotting = true;
    const started = this.#ports.clock.monotonic();
    try {
      const least = this.#epoch * generationsPerEpoch;
      const gen = Math.max(least, ...(await this.#ports.snapshots.generations())) + 1;
      const { sequence: j0, offset, batch } = this.committed;
      const state = this.#state;
      const at = { gen, j0, epoch: this.#epoch, batch };
      const pointer = await writeSnapshot(this.#ports.snapshots, state, this.#options.catalogue, at).catch(
        async (error: Error) => {
          if (isFull(error)) await this.#makeRoomForSnapshot(gen);
          throw error;
        },
      );
      // What was written may hold speculative state that is being dropped.
      if (this.#stopped || this.#failed || this.#narrowing || state !== this.#state) return;
      if (!this.#decider.empty) this.#commit(this.#take());
      this.#commit({ ...this.#take(), snapshot: pointer }, 'snapshot');
      const pointerFlight = this.#inFlight.at(-1)!;
      await new Promise<void>((resolve) => {
        pointerFlight.onReleased = resolve;
      });
      if (this.#failed) return;
      this.#bytesSinceSnapshot = 0;
      this.#snapshotAt = this.#ports.clock.monotonic();
      this.#kept.push({ gen, j0, offset });
      while (this.#kept.length > 2) this.#kept.shift();
      const keep = new Set(this.#kept.map((kept) => kept.gen));
      for (const old of await this.#ports.snapshots.generations())
        if (old < gen && !keep.has(old)) await this.#ports.snapshots.remove(old);
      this.#options.onEvent?.({
        event: 'snapshot',
        gen,
        j0,
        chunks: pointer.chunks,
        ms: Math.round(this.#ports.clock.monotonic() - started),
      });
    } finally {
      this.#snapshotting = false;
    }
  }

  /** Three generations do not fit: what was begun goes, and the older of two, so that the next attempt can succeed. */
  async #makeRoomForSnapshot(gen: number) {
    await this.#ports.snapshots.remove(gen);
    const older = this.#kept.length > 1 ? this.#kept.shift() : undefined;
    if (older) await this.#ports.snapshots.remove(older.gen);
  }

  #fail(error: Error) {
    if (this.#failed) return;
    this.#failed = true;
    this.#end();
    this.#options.onFailed(error);
  }

  /** What is in flight stays in doubt, and is for the next owner to find. */
  #end() {
    this.#stopped = true;
    this.#cancelClock?.();
    this.#relays.stop();
    void this.#stopReading();
    for (const flight of this.#inFlight.splice(0)) flight.onReleased?.();
    this.#queue = [];
    this.#wake?.();
    this.#wakeRoom?.();
  }
}
