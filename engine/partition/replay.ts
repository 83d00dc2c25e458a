/**
 * Executes the command log of a partition again and holds every record against the one in the journal, byte for byte.
 *
 * What was decided comes from the commands and the rules alone. From the journal comes what chance gave: where each record
 * was cut, which relays were known to be stored, which units could not be committed, where an owner began anew.
 *
 * R1 An owner begins with what is committed and the frame behind its offset, so an epoch record begins here the same way.
 * R2 Frames are checked against the checksum in the record that ends them before anything of them is decided.
 * R3 What cannot be executed (another build, damaged commands) is taken from the journal, and execution goes on behind it.
 */
import { crc32 } from 'node:zlib';
import type { RefusalCode } from '#actors/refusals';
import { LogDamaged, SequenceGone } from '../log/errors.ts';
import {
  decodeFrame,
  noContent,
  timeOfFrame,
  type ClockKind,
  type CommitRecord,
  type Frame,
  type RecordCut,
} from '../wire.ts';
import type { Catalogue } from './catalogue.ts';
import { Decider, type Decided } from './decider.ts';
import { encodeRecord, genesisHash } from './record.ts';
import { differencesOf, type Difference } from './replay_difference.ts';
import { Corruption, JournalReader, type ReadRecord } from './replay_journal.ts';
import type { ReplaySource, StoredMessage } from './replay_source.ts';
import type { ReplayProblem, ReplayVerdict } from './replay_verdict.ts';
import { loadSnapshot, readChunks } from './snapshot.ts';
import { PartitionState } from './state.ts';

export interface ReplayRules {
  catalogue: Catalogue;
  /** Records of another one are not executed. */
  build: string;
  clock: ClockKind;
}

export type ReplayProgress = (partition: number, sequence: number, last: number) => void;
/** Sees the state just behind each record that counts; it is the one that execution goes on with. */
export type ReplayWitness = (sequence: number, state: PartitionState) => void;

/** After so many problems a partition is given up. */
const problemsMax = 20;

/** The journal goes on with another owner, or ends, within a frame. */
class Interrupted extends Error {}

/** The record that is made is not the one in the journal. */
class Differs extends Error {
  readonly differences: Difference[];
  constructor(differences: Difference[]) {
    super('differs');
    this.differences = differences;
  }
}

/** The snapshot that execution starts from. */
interface Base {
  gen: number;
  /** Records up to this one are in it. */
  j0: number;
  chunks: number;
  hash: string;
}

/** Units that could not be committed stand alone in their record, as a dead letter that says so. */
class Refusals extends Map<string, RefusalCode> {
  readonly #now: () => RefusalCode | undefined;
  constructor(now: () => RefusalCode | undefined) {
    super();
    this.#now = now;
  }
  override get size() {
    return 1;
  }
  override get() {
    return this.#now();
  }
}

function refusalOf({ cut, events }: CommitRecord): RefusalCode | undefined {
  if (cut?.units !== 1) return undefined;
  for (const event of events) {
    if (event.kind !== 'audit' || event.payload.detail['uncommitted'] !== true) continue;
    const { reason } = event.payload;
    if (reason === 'internal_error' || reason === 'record_too_large' || reason === 'command_isolated') return reason;
  }
  return undefined;
}

/** @throws when the streams cannot be read; what is wrong with their content is in the verdict */
export const replayPartition = (
  source: ReplaySource,
  rules: ReplayRules,
  onProgress: ReplayProgress = () => {},
  onRecord: ReplayWitness = () => {},
): Promise<ReplayVerdict> => new Replay(source, rules, onProgress, onRecord).run();

class Replay {
  readonly #source: ReplaySource;
  readonly #rules: ReplayRules;
  readonly #onProgress: ReplayProgress;
  readonly #onRecord: ReplayWitness;
  readonly #verdict: ReplayVerdict;
  readonly #pointers = new Map<number, { chunks: number; hash: string }>();
  /** null: the beginning of the log. */
  #base: Base | null = null;
  /** The base runs ahead of its sequence, and is whole at its pointer. */
  #leadingUp = false;
  #state!: PartitionState;
  #decider!: Decider;
  #journal!: JournalReader;
  /** Records that were read ahead. */
  #queue: ReadRecord[] = [];
  /** The last record that is in the state, and its hash. */
  #done = 0;
  #hash = genesisHash;
  /** Whether records are executed; else they are applied. */
  #executing = false;
  /** First message of the command log that can be had; a purge may raise it. */
  #commandsFrom: number;
  /** Messages behind the state's offset that were read, and the last one whose checksum was compared. */
  #frames: StoredMessage[] = [];
  #checkedTo = 0;
  #frameReader: { messages: AsyncIterator<readonly StoredMessage[]>; next: number; rest: StoredMessage[] } | null =
    null;
  /** CRC-32 over the frames that were executed since the last record. */
  #input = 0;
  /** The record before was cut out of the middle of a frame, and execution went on there. */
  #continued = false;

  constructor(source: ReplaySource, rules: ReplayRules, onProgress: ReplayProgress, onRecord: ReplayWitness) {
    this.#source = source;
    this.#rules = rules;
    this.#onProgress = onProgress;
    this.#onRecord = onRecord;
    this.#commandsFrom = source.commands.first;
    const { first, last } = source.journal;
    this.#verdict = {
      partition: source.partition,
      first,
      last: first > last ? 0 : last,
      segments: [],
      problems: [],
      records: 0,
      epochs: 0,
      strays: 0,
      frames: 0,
      units: 0,
      refused: 0,
    };
  }

  async run(): Promise<ReplayVerdict> {
    const { first, last } = this.#source.journal;
    if (first <= last) {
      try {
        await this.#open();
        await this.#goThrough();
        await this.#checkSnapshots();
      } catch (error) {
        if (!(error instanceof Corruption)) throw error;
        this.#corruption(error.stream, error.sequence, error.message);
        this.#giveUp('the journal is damaged before it');
      } finally {
        await this.#journal?.close();
        await this.#frameReader?.messages.return?.();
      }
    }
    return this.#verdict;
  }

  /** The state to begin with: none, or the oldest snapshot that can be read. */
  async #open() {
    const { first } = this.#source.journal;
    const state = first <= 1 ? this.#newState() : await this.#oldestSnapshot();
    if (!state)
      throw new Corruption(`J_${this.#source.partition}`, first, 'is the first record, and no snapshot reaches it');
    this.#state = state;
    this.#leadingUp = this.#base !== null;
    this.#journal = new JournalReader(this.#source);
  }

  async #oldestSnapshot(): Promise<PartitionState | null> {
    for (const gen of (await this.#source.snapshots.generations()).toReversed()) {
      const loaded = await this.#load(gen);
      if (!loaded) {
        this.#corruption(this.#snapshots, gen, 'is a snapshot that cannot be read');
        continue;
      }
      if (loaded.base.j0 + 1 < this.#source.journal.first) continue;
      this.#base = loaded.base;
      return loaded.state;
    }
    return null;
  }

  get #snapshots() {
    return `S_${this.#source.partition}`;
  }

  async #load(gen: number): Promise<{ base: Base; state: PartitionState } | null> {
    const state = this.#newState();
    try {
      const pointer = await loadSnapshot(this.#source.snapshots, state, gen);
      return pointer && { base: pointer, state };
    } catch {
      return null;
    }
  }

  #newState() {
    const { partition, partitions } = this.#source;
    return new PartitionState(this.#rules.catalogue, partition, partitions);
  }

  async #goThrough() {
    for (;;) {
      const entry = await this.#peek();
      if (!entry || this.#verdict.problems.length >= problemsMax) break;
      const { sequence, record } = entry;
      if (this.#base && sequence <= this.#base.j0) {
        this.#queue.shift();
        this.#hash = record.hash;
      } else if (record.kind === 'epoch') this.#epoch(entry);
      else if (!this.#executing) this.#apply(entry, this.#whyNot(record));
      else if (!record.cut) this.#leave(entry, 'it does not say how it was cut');
      else await this.#execute(entry);
    }
    this.#verdict.strays = this.#journal.strays;
    if (this.#queue.length > 0) this.#giveUp('there are too many problems before it');
  }

  /** The head of what is to come; null at the end. */
  async #peek(): Promise<ReadRecord | null> {
    return this.#queue[0] ?? ((await this.#readAhead()) ? this.#queue[0]! : null);
  }

  async #readAhead(): Promise<boolean> {
    const entry = await this.#journal.next();
    if (!entry) return false;
    this.#queue.push(entry);
    const { record, sequence } = entry;
    if (record.snapshot) this.#pointers.set(record.snapshot.gen, record.snapshot);
    if (sequence % 256 === 0) this.#onProgress(this.#source.partition, sequence, this.#source.journal.last);
    return true;
  }

  /** R1. */
  #epoch(entry: ReadRecord) {
    const { record } = entry;
    this.#verdict.epochs += 1;
    this.#executing = this.#mayExecute(record);
    if (!this.#executing) return this.#apply(entry, this.#whyNot(record));
    const { offset, now } = this.#state;
    const due: Made = { ...noContent(), offset, now };
    const { hash } = encodeRecord({ ...record, ...due }, this.#hash);
    if (hash !== record.hash) this.#differ(entry, differencesOf(record, due, this.#rules.catalogue));
    this.#apply(entry, hash === record.hash ? null : differs);
    this.#restart();
  }

  #mayExecute({ build }: CommitRecord): boolean {
    return build === this.#rules.build && !this.#leadingUp && this.#state.offset + 1 >= this.#commandsFrom;
  }

  #whyNot({ build }: CommitRecord): string {
    if (build !== this.#rules.build) return `it was written by build ${build}`;
    if (this.#leadingUp) return leadsUp;
    if (this.#commandsFrom === Infinity) return 'its commands are missing';
    return this.#state.offset + 1 < this.#commandsFrom ? commandsPurged : beginsBehind;
  }

  /** Takes a record as it is. `reason` null: it was made again just so. */
  #apply(entry: ReadRecord, reason: string | null) {
    this.#queue.shift();
    this.#state.applyRecord(entry.record);
    this.#counted(entry, reason);
    const { snapshot } = entry.record;
    if (!snapshot || this.#executing) return;
    if (this.#leadingUp && this.#base?.gen === snapshot.gen) {
      this.#checkPointer(snapshot.gen, this.#base);
      this.#leadingUp = false;
    }
    // A pointer stands between two frames, so execution may begin behind it.
    this.#executing = this.#mayExecute(entry.record);
    if (this.#executing) this.#restart();
  }

  /** From here to the next owner records are taken as they are. */
  #leave(entry: ReadRecord, reason: string) {
    this.#executing = false;
    this.#apply(entry, reason);
  }

  /** Goes on behind the state's offset as a new owner does; the state is what is committed. */
  #restart() {
    this.#decider = new Decider(this.#state, this.#rules.catalogue, {
      onFull: () => this.#full(),
      poison: new Refusals(() => refusalOf(this.#queue[0]!.record)),
      unitsMax: 1,
      build: this.#rules.build,
      clock: this.#rules.clock,
    });
    this.#input = 0;
    this.#continued = false;
    this.#frames = this.#frames.filter(({ sequence }) => sequence > this.#state.offset);
    if (this.#frames[0] && this.#frames[0].sequence !== this.#state.offset + 1) this.#frames = [];
    if (this.#frames.length === 0) this.#checkedTo = this.#state.offset;
  }

  /** A step towards the record at the head: takes it, or decides one more frame. */
  async #execute(entry: ReadRecord) {
    try {
      if (this.#isReached(entry.record)) {
        this.#take(entry);
        this.#continued = false;
        return;
      }
      this.#mustGoOn(entry.record);
      if (!(await this.#nextFrame())) return;
      this.#frame(this.#frames[0]!);
    } catch (error) {
      if (error instanceof Interrupted) return;
      if (!(error instanceof Differs)) throw error;
      // Maybe an owner that could not commit something began the frame again.
      const head = this.#queue[0]!;
      const isSecond = !this.#continued;
      if (isSecond) this.#differ(head, error.differences);
      await this.#reload(isSecond ? head.sequence : this.#done);
      if (isSecond) {
        this.#queue.shift();
        this.#counted(head, differs);
      }
      this.#restart();
    }
  }

  #frame({ sequence, at, bytes }: StoredMessage) {
    const { clock } = this.#rules;
    let frame: Frame | null = null;
    try {
      frame = decodeFrame(bytes);
    } catch (error) {
      this.#decider.unreadable(sequence, timeOfFrame(clock, null, at), error as Error, bytes);
    }
    if (frame) this.#decider.frame(sequence, timeOfFrame(clock, frame, at), frame, bytes.length);
    this.#input = crc32(bytes, this.#input);
    this.#frames.shift();
    this.#verdict.frames += 1;
  }

  /** After every unit: whether the record ended here. */
  #full() {
    for (;;) {
      const [entry] = this.#queue;
      if (!entry || entry.record.kind === 'epoch') throw new Interrupted();
      if (!this.#isReached(entry.record)) return this.#mustGoOn(entry.record);
      this.#take(entry);
      this.#continued = true;
    }
  }

  #isReached({ cut, offset, writers }: CommitRecord): boolean {
    const state = this.#state;
    if (this.#decider.units !== cut?.units || state.offset !== offset) return false;
    return Object.entries(writers).every(([writer, seq]) => seq < 0 || state.writers.get(writer)?.seq === seq);
  }

  /** @throws {Differs} when the end of the record has been passed */
  #mustGoOn(record: CommitRecord) {
    if (this.#decider.units > record.cut!.units || this.#state.offset > record.offset) throw this.#cutElsewhere(record);
  }

  #cutElsewhere(record: CommitRecord): Differs {
    const cut: RecordCut = { units: this.#decider.units, input: this.#input };
    let made: Made;
    try {
      made = { ...this.#decider.take(this.#done + 1), cut };
    } catch (error) {
      return this.#cannotBeMade(error as Error);
    }
    return new Differs(differencesOf(record, made, this.#rules.catalogue));
  }

  #cannotBeMade({ message }: Error): Differs {
    return new Differs([{ entity: null, field: 'record', journal: 'committed', executed: message }]);
  }

  /** Makes the record that is reached, and holds it against the journal's. */
  #take(entry: ReadRecord) {
    const { record, sequence } = entry;
    const { catalogue } = this.#rules;
    const { units } = this.#decider;
    for (const [target, seq] of Object.entries(record.relayAcked)) this.#decider.relayAcknowledged(Number(target), seq);
    if (refusalOf(record) !== undefined) this.#verdict.refused += 1;
    let made: Made;
    let hash: string;
    try {
      made = { ...this.#decider.take(sequence), snapshot: record.snapshot, cut: { units, input: this.#input } };
      withStacksOf(record, made);
      ({ hash } = encodeRecord({ ...record, ...made }, this.#hash));
    } catch (error) {
      throw this.#cannotBeMade(error as Error);
    }
    if (hash !== record.hash) throw new Differs(differencesOf(record, made, catalogue));
    this.#state.epoch = record.epoch;
    this.#state.batch = record.batch;
    this.#state.hash = hash;
    this.#input = 0;
    this.#verdict.units += units;
    this.#queue.shift();
    this.#counted(entry, null);
  }

  /** Makes sure that the frame behind the state's offset is at hand (R2); false: it is not, and the journal was followed. */
  async #nextFrame(): Promise<boolean> {
    const from = this.#state.offset + 1;
    if (this.#frames.length > 0 && from <= this.#checkedTo) return true;
    let cover = this.#queue.find(({ record }) => record.offset >= from);
    while (!cover && (await this.#readAhead())) cover = this.#queue.find(({ record }) => record.offset >= from);
    // Nothing is left that could bring the record at the head about.
    if (!cover && from > this.#source.commands.last) throw this.#cutElsewhere(this.#queue[0]!.record);
    const to = cover?.record.offset ?? from;
    const name = `C_${this.#source.partition}`;
    const { last } = this.#source.commands;
    if (to > last) {
      this.#corruption(name, last + 1, `is missing: ${this.#where(cover)} was decided on ${to}`);
      this.#commandsFrom = Infinity;
      this.#leave(this.#queue[0]!, this.#whyNot(this.#queue[0]!.record));
      return false;
    }
    try {
      while ((this.#frames.at(-1)?.sequence ?? from - 1) < to)
        this.#frames.push(await this.#readFrame(this.#frames.at(-1)?.sequence ?? from - 1));
      const cut = cover?.record.cut;
      const found = this.#frames.reduce((sum, { bytes }) => crc32(bytes, sum), 0);
      if (cut && cut.input !== found)
        throw new Corruption(
          name,
          from,
          `${to > from ? `to ${to} are` : 'is'} not what ${this.#where(cover)} was decided on`,
        );
    } catch (error) {
      if (error instanceof SequenceGone) {
        this.#commandsFrom = error.first;
        this.#leave(this.#queue[0]!, commandsPurged);
        return false;
      }
      const isDamage = error instanceof Corruption || error instanceof LogDamaged;
      if (!isDamage) throw error;
      const sequence = error.sequence ?? from;
      this.#corruption(
        name,
        sequence,
        error instanceof Corruption ? error.message : 'is stored, and the server cannot read it',
      );
      this.#follow(cover?.sequence ?? Infinity, `it was decided on ${name}:${sequence}, which is damaged`);
      return false;
    }
    this.#checkedTo = to;
    return true;
  }

  #where = (entry: ReadRecord | undefined) => `${this.#source.partition}:${entry?.sequence ?? this.#done}`;

  async #readFrame(after: number): Promise<StoredMessage> {
    const wanted = after + 1;
    let reader = this.#frameReader;
    if (reader?.next !== wanted) {
      await reader?.messages.return?.();
      const messages = this.#source.frames(wanted)[Symbol.asyncIterator]();
      this.#frameReader = reader = { messages, next: wanted, rest: [] };
    }
    while (reader.rest.length === 0) {
      const piece = await reader.messages.next();
      if (piece.done) throw new LogDamaged(`C_${this.#source.partition}`, wanted, 'is missing');
      reader.rest.push(...piece.value);
    }
    reader.next += 1;
    return reader.rest.shift()!;
  }

  /** R3. The state is what is committed: takes the records up to one as they are, and goes on behind it. */
  #follow(sequence: number, reason: string) {
    while (this.#queue[0] && this.#queue[0].sequence <= sequence) {
      const entry = this.#queue[0];
      if (entry.record.kind === 'epoch') {
        this.#verdict.epochs += 1;
        this.#executing = this.#mayExecute(entry.record);
      }
      this.#apply(entry, reason);
    }
    this.#frames = [];
    this.#restart();
  }

  /** The state as the journal has it at a record: whatever was executed behind it is gone. */
  async #reload(sequence: number) {
    const loaded = this.#base ? await this.#load(this.#base.gen) : { base: null, state: this.#newState() };
    if (!loaded)
      throw new Error(`the oldest snapshot of partition ${this.#source.partition} was removed: run this again`);
    const reader = new JournalReader(this.#source);
    try {
      for (;;) {
        const entry = await reader.next();
        if (!entry || entry.sequence > sequence) break;
        if (entry.sequence > (loaded.base?.j0 ?? 0)) loaded.state.applyRecord(entry.record);
      }
    } finally {
      await reader.close();
    }
    this.#state = loaded.state;
  }

  #counted({ sequence, record }: ReadRecord, reason: string | null) {
    const { segments } = this.#verdict;
    this.#verdict.records += 1;
    this.#done = sequence;
    this.#hash = record.hash;
    this.#onRecord(sequence, this.#state);
    const last = segments.at(-1);
    if (last?.build === record.build && last.notVerified === reason) {
      const fromTime = last.fromTime || record.now;
      Object.assign(last, { to: sequence, fromTime, toTime: record.now, records: last.records + 1 });
    } else {
      const at = { from: sequence, to: sequence, fromTime: record.now, toTime: record.now };
      const isBefore = reason !== null && purgedReasons.has(reason) && segments.every((segment) => segment.isBefore);
      segments.push({ build: record.build, ...at, records: 1, notVerified: reason, isBefore });
    }
  }

  /** What lies behind the last record that was looked at stays without a verdict. */
  #giveUp(reason: string) {
    const { segments, last } = this.#verdict;
    if (this.#done >= last) return;
    const { build = '', toTime = 0 } = segments.at(-1) ?? {};
    const at = { from: this.#done + 1, to: last, fromTime: toTime, toTime };
    segments.push({ build, ...at, records: last - this.#done, notVerified: reason, isBefore: false });
  }

  #corruption(stream: string, sequence: number, text: string) {
    this.#problem({ kind: 'corruption', stream, sequence, text });
  }
  #differ({ sequence }: ReadRecord, differences: readonly Difference[]) {
    for (const difference of differences)
      this.#problem({ kind: 'difference', partition: this.#source.partition, sequence, ...difference });
  }
  #problem(problem: ReplayProblem) {
    if (this.#verdict.problems.length < problemsMax) this.#verdict.problems.push(problem);
  }

  #checkPointer(gen: number, { chunks, hash }: { chunks: number; hash: string }) {
    const pointer = this.#pointers.get(gen);
    if (pointer && (pointer.hash !== hash || pointer.chunks !== chunks))
      throw new Corruption(
        this.#snapshots,
        gen,
        'is a snapshot whose bytes are not what its pointer in the journal says',
      );
  }

  /** Every kept snapshot whose pointer was met. */
  async #checkSnapshots() {
    const { snapshots } = this.#source;
    for (const gen of await snapshots.generations()) {
      if (!this.#pointers.has(gen) || gen === this.#base?.gen) continue;
      const bytes = await readChunks(snapshots, gen);
      // Its owner may have removed it meanwhile.
      if ((await snapshots.get(gen, 0)) === null) continue;
      this.#checkPointer(gen, { chunks: bytes.chunks.length, hash: bytes.hash });
    }
  }
}

type Made = Decided & Pick<CommitRecord, 'cut'>;
const leadsUp = 'it leads up to the oldest snapshot';
const commandsPurged = 'its commands were purged';
const beginsBehind = 'execution begins behind it, with the next owner or snapshot';
const purgedReasons: ReadonlySet<string> = new Set([leadsUp, commandsPurged, beginsBehind]);
const differs = 'it does not come out of its commands';

/** Where a program lies on its disk is in the stacks of its dead letters, and is none of the rules' business. */
function withStacksOf({ events }: CommitRecord, made: Made) {
  for (const [i, { kind, payload }] of made.events.entries()) {
    const other = events[i];
    if (kind !== 'audit' || other?.kind !== 'audit' || payload.reason !== other.payload.reason) continue;
    const { stack } = other.payload.detail;
    if (typeof stack === 'string' && typeof payload.detail['stack'] === 'string') payload.detail['stack'] = stack;
  }
}
