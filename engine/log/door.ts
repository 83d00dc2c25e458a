/**
 * The way into the command log for one process: appends commands, waits for replies, refuses when a partition is behind.
 *
 * D1 `append` resolves only when the command is stored behind everything this door wrote to that partition before.
 * D2 Replies are at most once: a command with an id is appended again under it after 1, 2, 4 s and gets the stored result.
 * D3 Everything is bounded: commands without ack, requests without reply, bytes of a command and of a frame; and a stream
 *    that is nearly full is not filled up.
 */
import type { NatsConnection } from '@nats-io/transport-node';
import type { EntityAddress } from '#actors/actor';
import { partitionOf } from '#actors/partition_key';
import { failpoint } from '../failpoint.ts';
import { decodeReplies, type CommandEnvelope, type CommandResult } from '../wire.ts';
import type { Tracer } from '../telemetry/tracer.ts';
import { DoorRefused, isFull } from './errors.ts';
import { LagFeed, type Lag } from './lag.ts';
import { Pace } from './pace.ts';
import { ringPublisher } from './ring_publisher.ts';
import { newReplyInbox } from './subjects.ts';
import { TokenRing } from './token_ring.ts';
import { gatherMs, Writer, type Outgoing } from './writer.ts';

/** `id`: UUID or `<series>:<n>`, null for facts that carry a content key. `deadline`: log time, unix ms, 0 or absent = never. */
export interface DoorCommand {
  id: string | null;
  to: EntityAddress;
  type: string;
  body: Record<string, unknown>;
  deadline?: number;
  correlation?: string | null;
  /** Something that has happened (a meter value, a stop): refused only when the streams are full, never because of lag. */
  fact?: boolean;
}

export interface DoorOptions {
  name: string;
  partitions: number;
  /** Commands without publish ack at most. @default 4,096 */
  inFlightMax?: number;
  /** How long a command waits for room before it is refused `overloaded`. @default 2,000 */
  roomMs?: number;
  /** After so long without ack `append` rejects `unavailable`; the command may still be applied. @default 30,000 */
  appendMs?: number;
  /** Requests without reply at most. @default 65,536 */
  requestsMax?: number;
  /** Refuse above so many waiting frames or so many ms. @default 50,000 and 2,000 */
  lagMax?: { commands: number; ms: number };
  /** Grace of the lag feed after start, ms. @default 10,000 */
  lagStartMs?: number;
  /** Time without commands after which a writer opens a new incarnation. @default 3,600,000 */
  idleMs?: number;
  /** Follows some of the frames. @default none */
  tracer?: Tracer;
}

export interface Door {
  readonly partitions: number;
  /** Rejects {@link DoorRefused}: `overloaded`, `too_large`, `bad_request` (not stored) or `unavailable` (nobody knows). */
  append(command: DoorCommand): Promise<void>;
  /**
   * Appends and resolves with the outcome after its commit, or with a refusal; `unavailable` after `timeoutMs` (10,000).
   * Throws RangeError for a key `@<p>` outside the installation.
   */
  request(command: DoorCommand & { timeoutMs?: number }): Promise<CommandResult>;
  lag(partition: number): Lag;
  /** By how much a living engine is behind, ms; 0 when none speaks for the partition. */
  engineLagMs(partition: number): number;
  /** Commands without publish ack. */
  readonly inFlight: number;
  stats(): DoorStats;
  /** Waits up to 2 s for acks; requests without reply resolve `unavailable`. */
  close(): Promise<void>;
}

/** Counted since its opening. Bounded by the number of refusal codes. */
export interface DoorStats {
  /** Commands without publish ack, and those whose reply is waited for. */
  inFlight: number;
  waiting: number;
  /** Commands stored in the log; copies of a command that was asked again are in it. */
  stored: number;
  /** Copies sent because a reply did not come. */
  askedAgain: number;
  /** Refused by this door, by code: the command is in no log, or nobody knows. */
  refused: Record<string, number>;
  /** Replies of engines, by refusal code or `ok`. */
  replies: Record<string, number>;
}

const sweepMs = 100;
const retryMsFirst = 1_000;
const retryMsMax = 4_000;
const closeMs = 2_000;
const requestMs = 10_000;

export const openDoor = (nc: NatsConnection, options: DoorOptions): Promise<Door> => OpenDoor.open(nc, options);

class OpenDoor implements Door {
  readonly partitions: number;
  readonly #options: Required<Omit<DoorOptions, 'idleMs' | 'lagStartMs' | 'tracer'>>;
  readonly #writers: Writer[];
  readonly #publisher;
  readonly #lag: LagFeed;
  readonly #inbox = newReplyInbox();
  readonly #replies: { unsubscribe(): void };
  readonly #requests = new TokenRing<Request>();
  readonly #outgoing = new Line();
  readonly #room: Tracked[] = [];
  readonly #sweep: NodeJS.Timeout;
  readonly #counts: Pick<DoorStats, 'stored' | 'askedAgain' | 'refused' | 'replies'> = {
    stored: 0,
    askedAgain: 0,
    refused: {},
    replies: {},
  };
  #closed = false;
  #onEmpty: (() => void) | undefined;

  static async open(nc: NatsConnection, options: DoorOptions): Promise<Door> {
    const door = new OpenDoor(nc, options);
    // The server must know the reply inbox before the first command can be answered.
    await nc.flush();
    return door;
  }

  constructor(nc: NatsConnection, options: DoorOptions) {
    this.partitions = options.partitions;
    this.#options = {
      inFlightMax: 4_096,
      roomMs: 2_000,
      appendMs: 30_000,
      requestsMax: 65_536,
      lagMax: { commands: 50_000, ms: 2_000 },
      ...options,
    };
    this.#publisher = ringPublisher(nc);
    this.#lag = new LagFeed(
      nc,
      options.partitions,
      options.lagStartMs === undefined ? {} : { startMs: options.lagStartMs },
    );
    const pace = new Pace(gatherMs);
    this.#writers = Array.from(
      { length: options.partitions },
      (_, partition) =>
        new Writer(this.#publisher, {
          name: options.name,
          partition,
          pace,
          ...(options.idleMs === undefined ? {} : { idleMs: options.idleMs }),
          ...(options.tracer && { tracer: options.tracer }),
        }),
    );
    this.#replies = nc.subscribe(this.#inbox, {
      callback: (error, message) => {
        if (!error) this.#onReplies(message.data);
      },
    });
    this.#sweep = setInterval(() => this.#tick(Date.now()), sweepMs);
    this.#sweep.unref();
  }

  get inFlight(): number {
    return this.#outgoing.size + this.#room.length;
  }

  stats(): DoorStats {
    const { stored, askedAgain, refused, replies } = this.#counts;
    const waiting = this.#requests.size;
    return { inFlight: this.inFlight, waiting, stored, askedAgain, refused: { ...refused }, replies: { ...replies } };
  }

  lag(partition: number): Lag {
    return this.#lag.lag(partition);
  }

  engineLagMs(partition: number): number {
    return this.#lag.engineMs(partition);
  }

  append(command: DoorCommand): Promise<void> {
    return new Promise((resolve, reject) => {
      const partition = this.#check(command);
      this.#append(new Append(envelope(command, null), partition, this, resolve, reject));
    });
  }

  request(command: DoorCommand & { timeoutMs?: number }): Promise<CommandResult> {
    return new Promise((resolve) => {
      let partition: number;
      try {
        partition = this.#check(command);
        if (this.#requests.size >= this.#options.requestsMax)
          throw this.#no('overloaded', 'too many requests wait for a reply');
      } catch (error) {
        resolve(refusal(error));
        return;
      }
      const reply = { inbox: this.#inbox, token: 0 };
      const request = new Request(envelope(command, reply), partition, this, command.timeoutMs ?? requestMs, resolve);
      this.#requests.add(request);
      reply.token = request.token;
      this.#append(request);
    });
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    if (this.inFlight > 0) {
      let timer: NodeJS.Timeout | undefined;
      await Promise.race([
        new Promise<void>((resolve) => (this.#onEmpty = resolve)),
        new Promise<void>((resolve) => (timer = setTimeout(resolve, closeMs))),
      ]);
      clearTimeout(timer);
    }
    clearInterval(this.#sweep);
    for (const command of [...this.#room.splice(0), ...this.#outgoing]) this.#giveUp(command, 'the door closed');
    for (const { token } of [...this.#requests])
      this.finish(token, refusal(new DoorRefused('unavailable', 'the door closed')));
    for (const writer of this.#writers) writer.close();
    this.#publisher.close();
    this.#replies.unsubscribe();
    this.#lag.close();
  }

  /** The command's partition; throws when the door would not take it now. */
  #check(command: DoorCommand): number {
    if (this.#closed) throw this.#no('unavailable', 'the door is closed');
    const partition = partitionOf(command.to.key, this.partitions);
    const full = this.#full(partition);
    if (full !== null) throw this.#no('overloaded', full);
    if (command.fact) return partition;
    const { commands, ms } = this.#lag.lag(partition);
    const max = this.#options.lagMax;
    if (commands >= max.commands || ms >= max.ms) {
      throw this.#no('overloaded', `partition ${partition} is ${commands} frames and ${ms} ms behind`);
    }
    return partition;
  }

  /** Why the partition can store nothing more, in words: what engines say, or what the stream itself answered. */
  #full(partition: number): string | null {
    const stuck = this.#writers[partition]?.lastError;
    return isFull(stuck) ? stuck.message : this.#lag.full(partition);
  }

  #append(command: Tracked): void {
    if (this.#outgoing.size < this.#options.inFlightMax && this.#room.length === 0) this.#admit(command);
    else if (this.#room.length < this.#options.inFlightMax) this.#room.push(command);
    else command.unknown(this.#no('overloaded', 'too many commands wait at the door'));
  }

  /** A command is in the log (at `sequence`) or will never be. */
  left(command: Tracked, sequence: number | null): void {
    if (sequence !== null) {
      this.#counts.stored += 1;
      this.#lag.stored(command.partition, sequence);
    }
    this.#outgoing.delete(command);
    this.#freed();
  }

  /** A refusal of this door, counted. */
  #no(code: DoorRefused['code'], why: string): DoorRefused {
    const error = new DoorRefused(code, why);
    this.refusedByWriter(error);
    return error;
  }

  /** What cannot be framed is refused behind the door. */
  refusedByWriter({ code }: DoorRefused): void {
    const { refused } = this.#counts;
    refused[code] = (refused[code] ?? 0) + 1;
  }

  #admit(command: Tracked): void {
    this.#outgoing.add(command);
    this.#writers[command.partition]?.add(command);
  }

  #freed(): void {
    while (this.#outgoing.size < this.#options.inFlightMax) {
      const next = this.#room.shift();
      if (!next) break;
      next.at = Date.now();
      this.#admit(next);
    }
    if (this.inFlight === 0) this.#onEmpty?.();
  }

  #onReplies(bytes: Uint8Array): void {
    let batch: ReturnType<typeof decodeReplies>;
    try {
      batch = decodeReplies(bytes);
    } catch {
      return; // not from an engine; whoever waits asks again
    }
    failpoint('door.replied');
    for (const [token, result] of batch) this.finish(token, result);
  }

  /** Answers a request, if that was not done before. */
  finish(token: number, result: CommandResult): void {
    const request = this.#requests.take(token);
    if (!request) return;
    if (result.at !== '') {
      const { replies } = this.#counts;
      const outcome = result.ok ? 'ok' : result.code;
      replies[outcome] = (replies[outcome] ?? 0) + 1;
    }
    request.resolve(result);
  }

  #tick(now: number): void {
    for (let first = this.#room[0]; first && now - first.at > this.#options.roomMs; first = this.#room[0]) {
      this.#room.shift();
      first.unknown(this.#no('overloaded', `no room at the door for ${this.#options.roomMs} ms`));
    }
    for (const command of this.#outgoing) {
      if (now - command.at <= this.#options.appendMs) break;
      if (!command.abandoned) this.#giveUp(command, `no acknowledgement for ${this.#options.appendMs} ms`);
    }
    for (const request of this.#requests) {
      if (now >= request.expiresAt) {
        this.finish(request.token, refusal(this.#no('unavailable', 'no reply in time')));
      } else if (request.envelope.id !== null && request.isStored && now >= request.retryAt) {
        // It is stored, and will be decided: a copy would only take room.
        if (this.#full(request.partition) !== null) continue;
        request.retryMs = Math.min(retryMsMax, request.retryMs * 2);
        request.retryAt = now + request.retryMs;
        this.#counts.askedAgain += 1;
        this.#append(new Copy(request, this));
      }
    }
  }

  /** The caller is told that nobody knows; the command stays counted until the log has it, for it may be there already. */
  #giveUp(command: Tracked, why: string): void {
    command.abandoned = true;
    const cause = this.#writers[command.partition]?.lastError?.message;
    command.unknown(this.#no('unavailable', cause === undefined ? why : `${why}: ${cause}`));
  }
}

type Behind = Pick<OpenDoor, 'left' | 'refusedByWriter' | 'finish'>;

/** A command on its way into the log. A class, since there is one per command: closures for each would be most of the cost. */
abstract class Tracked implements Outgoing {
  at = Date.now();
  abandoned = false;
  /** Its neighbours in the line of those under way. */
  older: Tracked | null = null;
  younger: Tracked | null = null;
  readonly envelope: CommandEnvelope;
  readonly partition: number;
  protected readonly door: Behind;

  constructor(envelope: CommandEnvelope, partition: number, door: Behind) {
    this.envelope = envelope;
    this.partition = partition;
    this.door = door;
  }

  stored(sequence: number) {
    this.door.left(this, sequence);
    this.onStored();
  }

  refused(error: DoorRefused) {
    this.door.left(this, null);
    if (!this.abandoned) this.door.refusedByWriter(error);
    this.unknown(error);
  }

  protected abstract onStored(): void;
  /** The caller is told; it may still be on its way. */
  abstract unknown(error: DoorRefused): void;
}

class Append extends Tracked {
  readonly #resolve: () => void;
  readonly #reject: (error: DoorRefused) => void;

  constructor(
    envelope: CommandEnvelope,
    partition: number,
    door: Behind,
    resolve: () => void,
    reject: (error: DoorRefused) => void,
  ) {
    super(envelope, partition, door);
    this.#resolve = resolve;
    this.#reject = reject;
  }

  protected onStored() {
    this.#resolve();
  }
  unknown(error: DoorRefused) {
    this.#reject(error);
  }
}

/** A command whose reply is waited for. */
class Request extends Tracked {
  token = 0;
  readonly expiresAt: number;
  retryAt: number;
  retryMs = retryMsFirst;
  /** Whether the newest copy is stored; before that another copy would only add load. */
  isStored = false;
  readonly resolve: (result: CommandResult) => void;

  constructor(
    envelope: CommandEnvelope,
    partition: number,
    door: Behind,
    timeoutMs: number,
    resolve: (result: CommandResult) => void,
  ) {
    super(envelope, partition, door);
    this.expiresAt = this.at + timeoutMs;
    this.retryAt = this.at + retryMsFirst;
    this.resolve = resolve;
  }

  protected onStored() {
    this.isStored = true;
  }
  unknown(error: DoorRefused) {
    this.door.finish(this.token, refusal(error));
  }
}

/** The same command once more. One that finds no room changes nothing for the one that is already there. */
class Copy extends Tracked {
  readonly #of: Request;

  constructor(of: Request, door: Behind) {
    super(of.envelope, of.partition, door);
    of.isStored = false;
    this.#of = of;
  }

  protected onStored() {
    this.#of.isStored = true;
  }
  unknown() {
    this.#of.isStored = true;
  }
}

/** The commands under way, oldest first. Linked, for the reason given in {@link TokenRing}. */
class Line {
  #oldest: Tracked | null = null;
  #youngest: Tracked | null = null;
  size = 0;

  add(command: Tracked): void {
    command.older = this.#youngest;
    if (this.#youngest) this.#youngest.younger = command;
    else this.#oldest = command;
    this.#youngest = command;
    this.size += 1;
  }

  /** It must be in the line. Lets go of its neighbours: one that has grown old must not keep them alive. */
  delete(command: Tracked): void {
    const { older, younger } = command;
    if (older) older.younger = younger;
    else this.#oldest = younger;
    if (younger) younger.older = older;
    else this.#youngest = older;
    command.older = command.younger = null;
    this.size -= 1;
  }

  *[Symbol.iterator](): Generator<Tracked> {
    for (let next = this.#oldest; next; next = next.younger) yield next;
  }
}

const envelope = (c: DoorCommand, reply: CommandEnvelope['reply']): CommandEnvelope => ({
  id: c.id,
  to: c.to,
  type: c.type,
  body: c.body,
  reply,
  deadline: c.deadline ?? 0,
  correlation: c.correlation ?? null,
});

/** A refusal by the door itself has no position. */
function refusal(error: unknown): CommandResult {
  if (!(error instanceof DoorRefused)) throw error;
  return { ok: false, code: error.code, detail: { reason: error.message }, at: '' };
}
