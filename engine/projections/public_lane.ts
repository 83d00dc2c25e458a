/**
 * The writer of one public stream. It turns journal records into messages so that the stream holds each event once.
 *
 * Every append expects the stream's last sequence, several in flight on consecutive numbers. That alone is no fence: when
 * another publisher's message lands first, our first append is refused and our *second* then fits its number. Hence:
 *
 * L1 An event is known by its journal position `p:seq:i`. Whether it is stored is answered by reading the stream, as a
 *    set: everything up to the newest mark's positions, what the mark lists as ahead, and what follows the mark.
 * L2 A mark is appended alone: nothing in flight before it, nothing after it until it is acknowledged. So what a stored
 *    mark says is true.
 * L3 Before its first event, and whenever it met messages it did not write, a lane burns `window` sequences with marks of
 *    its own, without a break. After that no append of an older publisher, or an older one of its own, can fit.
 * L4 A lane that meets a mark of another publisher after its own was superseded: it stops and appends nothing more.
 * L5 What was in flight when an append failed may still be under way. It is sent again with the very numbers it had, so
 *    that only one of the two can be stored; when the numbers have moved, the lane burns (L3) first.
 * L6 Messages leave in groups, and only the last of a group asks for an answer. While nobody else writes, its ack says that
 *    all before it are stored: each fits only behind the one before. With another publisher about it says less, as above.
 *    That one has marked first (L3), and so every mark is preceded by a look at the newest one: when it is not our own, we
 *    were superseded (L4), else all that follows it is ours, as sent. Nothing that lasts relies on acks alone.
 */
import { publicSchemas, type PublicEvent } from '#actors/schema/events';
import { failpoint } from '../failpoint.ts';
import { Pace } from '../log/pace.ts';
import { internal } from '../log/subjects.ts';
import type { JournalEntry } from '../wire.ts';
import { ProjectionStopped } from './journal.ts';
import { atHeader, schemaHeader, type PositionMark, type PublicStream, type StoredItem } from './public_stream.ts';

/** Appends to a stream under an expected last sequence; rejects when refused or uncertain. */
export type Append = (
  subject: string,
  payload: Uint8Array,
  options: { expectedLastSequence: number; headers: Record<string, string> },
) => Promise<{ sequence: number }>;

/** The same without an answer, in order with the appends that have one. */
export type Tell = (...append: Parameters<Append>) => void;

export interface LaneOptions {
  kind: PublicEvent['kind'];
  stream: PublicStream;
  append: Append;
  tell: Tell;
  /** This publisher's incarnation. */
  publisher: string;
  onFatal: (error: Error) => void;
  onTrouble?: (detail: { stream: string; error: string; waitMs: number }) => void;
  /** Appends in flight, and sequences burned at a takeover. @default 128 */
  window?: number;
  /** A mark at the latest after so many messages. @default 1000 */
  markEvery?: number;
  /** … and so many ms. @default 10_000 */
  markEveryMs?: number;
  /** When small groups leave; shared by the lanes of a process, so that they share socket writes. @default 10 ms */
  pace?: Pace;
}

interface Message {
  at: string;
  subject: string;
  payload: Uint8Array;
}
/** One append of a message: `told` without asking for an answer (L6), else `asked`, then `stored`. */
interface Appending {
  message: Message;
  state: 'told' | 'asked' | 'stored';
}

/** Least time between two groups of less than half a window. A group costs a socket write and an ack on both sides. */
export const groupEveryMs = 10;

/** Messages that wait before the journal's reader does. */
const queueMax = 2_048;
const retryMsMin = 50;
const retryMsMax = 2_000;
const utf8 = new TextEncoder();
const position = (at: string) => at.split(':').map(Number) as [partition: number, sequence: number, index: number];

export class PublicLane {
  readonly kind: PublicEvent['kind'];
  readonly #stream: PublicStream;
  readonly #options: Required<Pick<LaneOptions, 'window' | 'markEvery' | 'markEveryMs' | 'pace'>> & LaneOptions;
  /** Last sequence of the stream that is known to be followed by nothing but what is in flight. */
  #last = 0;
  #queue: Message[] = [];
  #inFlight: Appending[] = [];
  /** Stored events that the newest mark's positions do not cover (L1). */
  #stored = new Set<string>();
  /** Per partition: the newest record whose events are all queued, in flight or stored. */
  #taken = new Map<number, number>();
  /** Per partition: what the newest mark says. */
  #marked = new Map<number, number>();
  #sinceMark = 0;
  #markedAt = 0;
  /** Messages at the head of the queue and in flight that were in flight before (L5). */
  #resending = 0;
  /** Whether nothing older can still be appended (L3). */
  #fenced = false;
  /** Whether messages since our newest mark are held to be stored because of a later one's ack (L6). */
  #unconfirmed = false;
  /** Whether a small group waits for its turn. */
  #gathering = false;
  /** Counts settlings: an answer to an append of an earlier round says nothing new. */
  #round = 0;
  #state: 'opening' | 'running' | 'settling' | 'stopped' = 'opening';
  #wakeRoom: (() => void)[] = [];
  #timer: NodeJS.Timeout | undefined;
  #working: Promise<void> = Promise.resolve();
  published = 0;

  private constructor(options: LaneOptions) {
    this.kind = options.kind;
    this.#stream = options.stream;
    this.#options = {
      window: 128,
      markEvery: 1_000,
      markEveryMs: 10_000,
      pace: new Pace(groupEveryMs),
      ...options,
    };
  }

  /** Recovers what the stream holds and takes it over. Throws when another publisher is busy on it. */
  static async open(options: LaneOptions): Promise<PublicLane> {
    const lane = new PublicLane(options);
    await lane.#recover();
    await lane.#takeOver();
    lane.#state = 'running';
    lane.#timer = setInterval(() => lane.#wake(), Math.max(10, Math.min(1_000, lane.#options.markEveryMs / 4)));
    return lane;
  }

  /** Last record of a partition whose events are all stored, by the newest mark; null = none. */
  marked(partition: number): number | null {
    return this.#marked.get(partition) ?? null;
  }

  markedPositions(): Iterable<[number, number]> {
    return this.#marked;
  }

  /** Takes the events of this lane's kind; waits while the queue is full. Records of a partition must come in order. */
  offer(entry: JournalEntry): void | Promise<void> {
    if (this.#state === 'stopped') return;
    if (this.#queue.length >= queueMax) return this.#roomFor(entry);
    const { partition, sequence, record } = entry;
    // Synchronous from here to the end: a mark always falls between whole records (L2).
    let taken = false;
    for (const [i, event] of record.events.entries()) {
      if (event.kind !== this.kind) continue;
      const at = `${partition}:${sequence}:${i}`;
      if (this.#stored.has(at)) continue;
      const payload = Buffer.from(JSON.stringify(event.payload));
      this.#queue.push({ at, subject: internal.publicInput(event.subject), payload });
      taken = true;
    }
    this.#taken.set(partition, sequence);
    if (taken) this.#wake();
  }

  async #roomFor(entry: JournalEntry): Promise<void> {
    while (this.#queue.length >= queueMax && this.#state !== 'stopped') {
      await new Promise<void>((resolve) => this.#wakeRoom.push(resolve));
    }
    return this.offer(entry);
  }

  /** Writes a last mark if it can, and appends nothing more. */
  async close(): Promise<void> {
    if (this.#state === 'stopped') return;
    clearInterval(this.#timer);
    if (this.#state === 'running') {
      this.#markedAt = 0;
      const deadline = Date.now() + 2_000;
      while (this.#pending() && this.#isRunning() && Date.now() < deadline) {
        this.#wake();
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    }
    this.#stop();
    await this.#working;
  }

  #isRunning = () => this.#state === 'running' || this.#state === 'settling';
  #pending = () => this.#queue.length > 0 || this.#inFlight.length > 0 || this.#unmarked();

  #unmarked(): boolean {
    for (const [p, sequence] of this.#taken) if (this.#marked.get(p) !== sequence) return true;
    return false;
  }

  #markDue(): boolean {
    // What is sent again must get the numbers it had (L5), so no mark goes before it.
    if (this.#resending > 0) return false;
    return (
      this.#sinceMark >= this.#options.markEvery ||
      (Date.now() - this.#markedAt >= this.#options.markEveryMs && this.#unmarked())
    );
  }

  /** Sends what may be sent; turns to a mark when one is due. `gathered`: a small group need not wait any more. */
  #wake(gathered = false): void {
    if (this.#state !== 'running') return;
    if (this.#markDue()) {
      if (this.#inFlight.length === 0) this.#settle(async () => this.#mark());
      return; // else: when the last in flight is acknowledged
    }
    const { window, pace } = this.#options;
    if (this.#queue.length > 0 && this.#inFlight.length <= window / 2) {
      if (gathered || this.#queue.length >= window / 2) this.#sendGroup();
      else if (!this.#gathering) {
        this.#gathering = true;
        void pace.turn().then(() => {
          this.#gathering = false;
          this.#wake(true);
        });
      }
    }
    if (this.#queue.length < queueMax / 2) for (const resolve of this.#wakeRoom.splice(0)) resolve();
  }

  #sendGroup(): void {
    const group = this.#queue.splice(0, this.#options.window - this.#inFlight.length);
    const last = group.pop();
    if (!last) return;
    for (const message of group) {
      this.#options.tell(...this.#appendOf(message));
      this.#inFlight.push({ message, state: 'told' });
    }
    this.#ask(last);
    this.#sinceMark += group.length + 1;
  }

  /** Subject, payload and headers of a message that follows what is in flight. */
  #appendOf({ at, subject, payload }: Message): Parameters<Append> {
    const headers = { [atHeader]: at, [schemaHeader]: `${this.kind}/1` };
    return [subject, payload, { expectedLastSequence: this.#last + this.#inFlight.length, headers }];
  }

  #ask(message: Message): void {
    const append = this.#appendOf(message);
    const appending: Appending = { message, state: 'asked' };
    this.#inFlight.push(appending);
    const round = this.#round;
    this.#options.append(...append).then(
      ({ sequence }) => {
        if (this.#round !== round || this.#state !== 'running') return;
        if (sequence !== append[2].expectedLastSequence + 1) return this.#settle(() => this.#readBack());
        failpoint('history.published');
        appending.state = 'stored';
        this.#acknowledged();
      },
      () => {
        if (this.#round === round && this.#state === 'running') this.#settle(() => this.#readBack());
      },
    );
  }

  /** An ack counts only when those of all groups before it are there: one of them may have been refused. */
  #acknowledged(): void {
    let stored = 0;
    for (const [i, { state }] of this.#inFlight.entries()) {
      if (state === 'asked') break;
      if (state === 'stored') stored = i + 1;
    }
    for (const { message, state } of this.#inFlight.splice(0, stored)) {
      this.#stored.add(message.at);
      if (state === 'told') this.#unconfirmed = true;
    }
    this.#last += stored;
    this.#resending = Math.max(0, this.#resending - stored);
    this.published += stored;
    this.#wake();
  }

  /** Runs `work` alone, again and again with back-off until it succeeds, then goes on. */
  #settle(work: () => Promise<void>): void {
    this.#state = 'settling';
    this.#round += 1;
    this.#working = (async () => {
      let next = work;
      for (let waitMs = retryMsMin; this.#state === 'settling'; waitMs = Math.min(waitMs * 2, retryMsMax)) {
        try {
          await next();
          if (this.#state === 'settling') this.#state = 'running';
        } catch (error) {
          if (error instanceof ProjectionStopped) return this.#fatal(error);
          this.#options.onTrouble?.({ stream: this.#stream.name, error: String(error), waitMs });
          await new Promise((resolve) => setTimeout(resolve, waitMs));
          next = () => this.#readBack();
        }
      }
      this.#wake();
    })();
  }

  /** Finds out by reading which of the appends in flight are stored, and sends the others again. */
  async #readBack(): Promise<void> {
    const last = await this.#stream.lastSequence();
    if (last < this.#last) {
      throw new ProjectionStopped(
        'stream_went_back',
        `${this.#stream.name} ends at ${last}, but ${this.#last} was acknowledged`,
      );
    }
    const found = await this.#stream.read(this.#last + 1, last);
    // As sent, none skipped: then an append still under way fits only the number it gets when it is sent again.
    const asSent =
      found.length === last - this.#last &&
      found.every((item, i) => 'at' in item && item.at === this.#inFlight[i]?.message.at);
    if (!asSent) this.#fenced = false;
    this.#absorb(found);
    this.#last = last;
    if (!this.#fenced) await this.#takeOver();
    const missing = this.#inFlight.map(({ message }) => message);
    this.#inFlight = [];
    this.#queue = [...missing, ...this.#queue];
    this.#resending = missing.length;
  }

  /** Takes note of stored items, whoever wrote them (L1). A mark of another publisher ends this one (L4). */
  #absorb(items: StoredItem[]): void {
    const found = new Set<string>();
    for (const item of items) {
      if ('at' in item) found.add(item.at);
      else if (item.mark.publisher !== this.#options.publisher) throw this.#superseded(item.mark.publisher);
    }
    if (found.size === 0) return;
    const before = this.#inFlight.length + this.#queue.length;
    this.#inFlight = this.#inFlight.filter(({ message }) => !found.has(message.at));
    this.#queue = this.#queue.filter(({ at }) => !found.has(at));
    this.published += before - this.#inFlight.length - this.#queue.length;
    for (const at of found) this.#stored.add(at);
  }

  #superseded(other: string): ProjectionStopped {
    return new ProjectionStopped(
      'other_writer',
      `${this.#stream.name}: publisher ${other} has taken over from ${this.#options.publisher}; only one may live`,
    );
  }

  async #recover(): Promise<void> {
    const last = await this.#stream.lastSequence();
    const newest = await this.#stream.newestMark();
    this.#last = last;
    if (!newest) {
      if (last > 0)
        throw new ProjectionStopped(
          'other_writer',
          `${this.#stream.name} holds ${last} messages but no positions of a publisher`,
        );
      return;
    }
    for (const [p, sequence] of newest.mark.positions) {
      this.#taken.set(p, sequence);
      this.#marked.set(p, sequence);
    }
    this.#stored = new Set(newest.mark.ahead);
    for (const item of await this.#stream.read(newest.base + 1, last)) {
      if ('at' in item) this.#stored.add(item.at);
      else if (item.sequence > newest.sequence) throw this.#superseded(item.mark.publisher);
    }
  }

  /** Fences all older appends off (L3). */
  async #takeOver(): Promise<void> {
    for (let round = 0; round < 10; round++) {
      const base = await this.#appendMark(this.#currentMark());
      if (base !== null && (await this.#burn(base))) {
        this.#fenced = true;
        return;
      }
      // Somebody's appends came between: take note of them and begin again.
      const last = await this.#stream.lastSequence();
      this.#absorb(await this.#stream.read(this.#last + 1, last));
      this.#last = last;
    }
    throw new ProjectionStopped(
      'other_writer',
      `${this.#stream.name}: another publisher is writing; only one may live`,
    );
  }

  /** Appends `window` marks that point to `base`; false when one of them did not follow the other. */
  async #burn(base: number): Promise<boolean> {
    const mark: PositionMark = { publisher: this.#options.publisher, positions: [], ahead: [], of: base };
    const results = await Promise.allSettled(
      Array.from({ length: this.#options.window }, (_, i) =>
        this.#options.append(...this.#markMessage(mark, base + i)),
      ),
    );
    if (results.some((r) => r.status === 'rejected')) return false;
    this.#last = base + this.#options.window;
    return true;
  }

  async #mark(): Promise<void> {
    if ((await this.#appendMark(this.#currentMark())) !== null) return;
    // It may yet arrive, between two events that are sent meanwhile.
    this.#fenced = false;
    await this.#readBack();
  }

  /** What is true now: records before the first waiting event are whole, later events are stored if they are listed. */
  #currentMark(): PositionMark {
    const positions = new Map(this.#taken);
    for (const { at } of [...this.#inFlight.map(({ message }) => message), ...this.#queue]) {
      const [p, sequence] = position(at);
      positions.set(p, Math.min(positions.get(p) ?? 0, sequence - 1));
    }
    const ahead = [...this.#stored].filter((at) => {
      const [p, sequence] = position(at);
      return sequence > (positions.get(p) ?? 0);
    });
    return { publisher: this.#options.publisher, positions: [...positions], ahead };
  }

  /** The mark's sequence, or null when it is uncertain or refused. */
  async #appendMark(mark: PositionMark): Promise<number | null> {
    if (this.#unconfirmed) {
      const newest = await this.#stream.newestPublisher();
      if (newest !== this.#options.publisher) throw this.#superseded(newest ?? 'unknown');
    }
    try {
      const { sequence } = await this.#options.append(...this.#markMessage(mark, this.#last));
      this.#last = sequence;
    } catch {
      return null;
    }
    this.#marked = new Map(mark.positions);
    this.#stored = new Set(mark.ahead);
    this.#unconfirmed = false;
    this.#sinceMark = 0;
    this.#markedAt = Date.now();
    return this.#last;
  }

  #markMessage(mark: PositionMark, expectedLastSequence: number): Parameters<Append> {
    const headers = { [schemaHeader]: 'positions/1' };
    return [
      internal.publicPosition(this.#stream.name),
      utf8.encode(JSON.stringify(mark)),
      { expectedLastSequence, headers },
    ];
  }

  #fatal(error: ProjectionStopped): void {
    this.#stop();
    this.#options.onFatal(error);
  }

  #stop(): void {
    clearInterval(this.#timer);
    this.#state = 'stopped';
    for (const resolve of this.#wakeRoom.splice(0)) resolve();
  }
}

/** Kinds that have a lane: each its stream, so that a busy one delays no other. */
export const laneKinds = Object.keys(publicSchemas) as PublicEvent['kind'][];
