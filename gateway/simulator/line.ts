/**
 * What a charger says and in which order: its registration, what passes (worth nothing after a cut), what it owes (kept
 * in its memory until it is answered), one call at a time.
 *
 * Invariants: nothing that is owed leaves before it is durable; what is owed leaves in order, again under a new message
 * id until it is answered; nothing but the registration is said before the system has accepted it.
 */
import { Doubles } from './doubles.ts';
import { Link, type Answer, type LinkOptions, type Outcome } from './link.ts';
import type { ChargerMemory, Fact, Message } from './memory.ts';
import type { MemoryStore } from './store.ts';
import type { BootReason, Frame, Version } from './version.ts';

export interface ChargerLog {
  info(fields: Record<string, unknown>, event: string): void;
  warn(fields: Record<string, unknown>, event: string): void;
}

export interface LineOptions extends LinkOptions {
  version: Version;
  store: MemoryStore;
  log: ChargerLog;
  /** Nothing passes: what is worth saying is owed, and a charger that was registered once stays so. */
  lockStep: boolean;
  /** Says every owed message twice, over two sockets. */
  doubles?: number;
  /** First pause after a CALLERROR; doubled each time up to 60 s. @default 2,000 */
  errorPauseMs: number;
  /** Something was answered, or became durable. */
  onChange?: () => void;
}

/** What the line tells its charger. */
export interface LineEvents {
  /** Accepted by the system; `booted`: just now, not on an earlier socket. */
  registered(booted: boolean): void;
  closed(): void;
  called(action: string, payload: Record<string, unknown>): Answer | Promise<Answer>;
  heartbeatMs(fromBootMs: number): number;
  pingMs(): number;
}

/** `after`: not before that message is answered. */
interface Passing {
  frame: Frame;
  after: number;
  settle?: (outcome: Outcome) => void;
}

/** Refusals after which a message is given up, if the code says that it can never be accepted. */
const refusalsMost = 10;
const passingCodes = ['InternalError', 'GenericError', 'SecurityError'];
/** Between two sockets when the first one was given up on purpose, ms. */
const hangUpMs = 20;

export class Line {
  readonly #options: LineOptions;
  readonly #events: LineEvents;
  readonly #memory: ChargerMemory;
  readonly #link: Link;
  readonly #doubles: Doubles | undefined;
  #passing: Passing[] = [];
  #registered: boolean;
  #bootReason: BootReason = 'PowerUp';
  #bootDueAt = 0;
  #bootIntervalMs = 300_000;
  #heartbeat: NodeJS.Timeout | undefined;
  #again: NodeJS.Timeout | undefined;
  #calling = false;
  #repeating = false;
  #flushing = false;
  #timeouts = 0;
  #refusals = 0;
  #waitUntil = 0;
  /** By message: the memory's number of the fact without which it may not be sent. */
  #durableFrom = new Map<number, number>();
  #held = 0;
  #stopped = false;

  constructor(options: LineOptions, events: LineEvents) {
    const { identity, version, store, doubles } = options;
    this.#options = options;
    this.#events = events;
    this.#memory = store.memory(identity);
    this.#registered = options.lockStep && this.#memory.booted && this.#memory.reset !== 'now';
    if (doubles !== undefined) this.#doubles = new Doubles(doubles, identity, version.anyOrder);
    this.#link = new Link(
      { ...options, protocol: version.protocol },
      {
        opened: () => this.#opened(),
        closed: (code, reason) => this.#closed(code, reason),
        called: (action, payload) => events.called(action, payload),
      },
    );
  }

  get registered(): boolean {
    return this.#registered && this.#link.up;
  }

  /** Something is to be said or answered, or there is no line to say it. */
  get busy(): boolean {
    return (
      !this.registered || this.#calling || this.#passing.length > 0 || this.#memory.queue.length > 0 || this.#flushing
    );
  }

  /** Repeats are on their way that nothing fresh asked for. */
  get flushing(): boolean {
    return this.#flushing;
  }

  start(delayMs: number): void {
    this.#link.start(delayMs);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    for (const timer of [this.#heartbeat, this.#again]) clearTimeout(timer);
    await this.#link.stop();
  }

  /** Into the memory first; the message may leave when the fact is durable. */
  owe(fact: Fact & { n: number }): void {
    const { store } = this.#options;
    store.append(fact, this.#pumpLater);
    this.#durableFrom.set(fact.n, store.appended);
  }

  /** Says nothing that is owed until {@link release}: the answer to an order goes before its effect. */
  hold(): void {
    this.#held += 1;
  }
  release(): void {
    this.#held -= 1;
    this.#pump();
  }

  /** Remembers the fact; resolves when it would survive. */
  durably(fact: Fact): Promise<void> {
    return new Promise((resolve) => this.#options.store.append(fact, resolve));
  }

  /** Resolves when all that was remembered so far would survive. */
  durable(): Promise<void> {
    return this.#options.store.flush();
  }

  readonly #pumpLater = () => {
    this.#pump();
    this.#options.onChange?.();
  };

  /** Says what is worth nothing on another socket. `after`: only when that message has been answered. */
  say(frame: Frame, after = 0, settle?: (outcome: Outcome) => void): void {
    this.#passing.push({ frame, after, ...(settle && { settle }) });
    this.#pump();
  }

  /** Resolves when nothing is owed, or after `mostMs`. */
  async emptied(mostMs: number): Promise<void> {
    const until = Date.now() + mostMs;
    while (this.#memory.queue.length > 0 && Date.now() < until && !this.#stopped) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** Drops the socket and, after `pauseMs`, introduces itself again on a new one. */
  reboot(reason: BootReason, pauseMs: number): void {
    this.#registered = false;
    this.#bootReason = reason;
    this.#bootDueAt = 0;
    this.#link.hangUp(pauseMs);
  }

  /** Introduces itself again on this socket. */
  bootAgain(): void {
    this.#registered = false;
    this.#bootReason = 'Triggered';
    this.#bootDueAt = 0;
    this.#pump();
  }

  /** With doubles: says at once what has not been said twice. */
  flush(): void {
    if (this.#doubles === undefined || this.#doubles.left === 0) return;
    this.#flushing = true;
    this.#link.hangUp(hangUpMs);
  }

  beat(): void {
    clearTimeout(this.#heartbeat);
    this.#heartbeat = setTimeout(() => {
      if (this.registered) this.say(['Heartbeat', {}]);
      this.beat();
    }, this.#events.heartbeatMs(this.#bootIntervalMs));
  }

  #opened(): void {
    this.#passing = [];
    this.#timeouts = 0;
    this.#waitUntil = 0;
    this.#calling = this.#repeating = false;
    this.#doubles?.opened();
    this.#link.ping(this.#events.pingMs());
    if (this.#registered) this.#welcome(false);
    this.#pump();
  }

  #welcome(booted: boolean): void {
    this.#events.registered(booted);
    this.beat();
    this.#options.onChange?.();
  }

  #closed(code: number, reason: string): void {
    const { identity: charger, log } = this.#options;
    log.info({ charger, code, reason }, 'line closed');
    clearTimeout(this.#heartbeat);
    const passing = this.#passing;
    this.#passing = [];
    this.#calling = this.#repeating = false;
    for (const { settle } of passing) settle?.({ kind: 'closed' });
    this.#events.closed();
  }

  #pump(): void {
    if (this.#stopped || this.#calling || !this.#link.up) return;
    const now = Date.now();
    if (!this.#registered) {
      if (now >= this.#bootDueAt) this.#boot();
      else this.#pumpIn(this.#bootDueAt - now);
      return;
    }
    const owed = this.#memory.queue[0];
    const passing = this.#passing[0];
    if (passing !== undefined && (passing.after === 0 || owed === undefined || owed.n > passing.after)) {
      this.#passing.shift();
      this.#call(passing.frame, (outcome) => this.#passed(passing, outcome));
      return;
    }
    const repeat = this.#doubles?.next(owed === undefined && this.#flushing);
    if (repeat !== undefined && !this.#repeating) return this.#repeat(repeat);
    if (owed === undefined) {
      if (this.#flushing && this.#doubles?.left === 0) {
        this.#flushing = false;
        this.#options.onChange?.();
      }
      return;
    }
    if (this.#held > 0) return;
    if (now < this.#waitUntil) return this.#pumpIn(this.#waitUntil - now);
    // Not yet on disk: sent now it could be answered and then forgotten. The store pumps again when it is.
    if ((this.#durableFrom.get(owed.n) ?? 0) > this.#options.store.durable) return;
    const frame = this.#options.version.message(this.#memory, owed);
    this.#call(frame, (outcome) => this.#delivered(owed, frame, outcome));
  }

  #pumpIn(ms: number): void {
    clearTimeout(this.#again);
    this.#again = setTimeout(() => this.#pump(), ms);
  }

  #call([action, payload]: Frame, settle: (outcome: Outcome) => void): void {
    this.#calling = true;
    let ended = false;
    this.#link.call(action, payload, (outcome) => {
      if (outcome.kind === 'closed' || this.#stopped) {
        // The line's end already freed the slot; a driver in front of it must still hear of it.
        settle(outcome);
        return;
      }
      if (!ended) this.#calling = false;
      ended = true;
      if (outcome.kind !== 'timeout') {
        this.#timeouts = 0;
        this.#link.settled();
      } else if ((this.#timeouts += 1) >= 2) {
        // Twice without a word on an open socket: the other side is gone without saying so.
        settle(outcome);
        this.#link.drop();
        return;
      }
      settle(outcome);
      this.#pump();
      this.#options.onChange?.();
    });
  }

  #repeat(frame: Frame): void {
    this.#repeating = true;
    this.#call(frame, (outcome) => {
      this.#repeating = false;
      // An error is an answer here: the fresh message was accepted, and it is the one that counts.
      if (outcome.kind === 'result' || outcome.kind === 'error') this.#doubles?.done();
      if (outcome.kind !== 'error') return;
      const { code, description } = outcome;
      this.#options.log.warn(
        { charger: this.#options.identity, action: frame[0], code, description },
        'repeat refused',
      );
    });
  }

  #boot(): void {
    const { identity, version, store, errorPauseMs } = this.#options;
    const reason = this.#memory.reset === 'now' && this.#bootReason === 'PowerUp' ? 'RemoteReset' : this.#bootReason;
    this.#call(version.boot(identity, reason), (outcome) => {
      if (outcome.kind === 'closed' || this.#registered) return;
      const answer = outcome.kind === 'result' ? outcome.payload : {};
      const intervalMs = (typeof answer.interval === 'number' && answer.interval > 0 ? answer.interval : 0) * 1_000;
      if (answer.status !== 'Accepted') {
        // Pending and Rejected name the pause; an error or silence does not.
        this.#bootDueAt = Date.now() + (intervalMs || errorPauseMs);
        return;
      }
      this.#registered = true;
      this.#bootReason = 'PowerUp';
      if (intervalMs > 0) this.#bootIntervalMs = intervalMs;
      store.append({ k: 'booted', c: identity });
      this.#link.ping(this.#events.pingMs());
      this.#welcome(true);
    });
  }

  #passed({ frame, settle }: Passing, outcome: Outcome): void {
    if (outcome.kind === 'error') {
      const { code, description } = outcome;
      this.#options.log.warn({ charger: this.#options.identity, action: frame[0], code, description }, 'call refused');
    }
    settle?.(outcome);
  }

  #delivered(message: Message, frame: Frame, outcome: Outcome): void {
    const { store, log, errorPauseMs, identity: c, version } = this.#options;
    const { n, kind } = message;
    if (this.#memory.queue[0]?.n !== n) return; // a late answer already settled it
    if (outcome.kind === 'result') {
      const tx = outcome.payload.transactionId;
      const named = kind === 'start' && !version.eventful;
      if (named && !Number.isSafeInteger(tx)) {
        log.warn({ charger: c, answer: outcome.payload }, 'start answered without a transactionId');
        this.#waitUntil = Date.now() + errorPauseMs;
        return;
      }
      store.append(named ? { k: 'answer', c, n, tx: tx as number } : { k: 'answer', c, n });
      this.#forget(n);
      const status = kind === 'start' ? version.cardStatus(outcome.payload) : 'Accepted';
      if (status !== 'Accepted') log.warn({ charger: c, transaction: tx, status }, 'started, card not accepted');
      if (kind !== 'status' && this.#doubles?.answered(frame) === true) this.#link.hangUp(hangUpMs);
      return;
    }
    if (outcome.kind !== 'error') return; // sent again: at once on a living line, else on the next one
    this.#refusals += 1;
    const { code, description } = outcome;
    log.warn({ charger: c, kind, code, description, refusals: this.#refusals }, 'message refused');
    if (this.#refusals >= refusalsMost && !passingCodes.includes(code)) {
      store.append({ k: 'refused', c, n, code });
      this.#forget(n);
      return;
    }
    // The system does not know us as accepted: introduce ourselves again.
    if (code === 'SecurityError') this.#registered = false;
    this.#waitUntil = Date.now() + Math.min(60_000, errorPauseMs * 2 ** (this.#refusals - 1));
  }

  #forget(n: number): void {
    this.#durableFrom.delete(n);
    this.#refusals = 0;
  }
}
