/**
 * A virtual charger, OCPP 1.6, one connector. It plays its sessions of the timeline by the wall clock and tells them
 * through its {@link Link}. What must not be forgotten goes into its memory first and is sent when it is durable there,
 * in order, each message again under a new id until it was answered.
 */
import { energyAt, powerAt, wMsPerWh } from './car.ts';
import { Link, type LinkOptions, type Outcome } from './link.ts';
import { frameOf, openSession, registerWh, type ChargerMemory, type Message, type SessionMemory } from './memory.ts';
import { hashOf } from './random.ts';
import type { MemoryStore } from './store.ts';
import type { PlannedSession, Timeline } from './timeline.ts';

export interface ChargerLog {
  info(fields: Record<string, unknown>, event: string): void;
  warn(fields: Record<string, unknown>, event: string): void;
}

export interface ChargerOptions extends LinkOptions {
  timeline: Timeline;
  /** Unix ms of time 0 of the timeline. */
  anchorAt: number;
  store: MemoryStore;
  log: ChargerLog;
  /** Between two MeterValues of a session. @default 10,000 */
  sampleEveryMs?: number;
  /** From Finishing to Available, and from an answer that a card is not accepted to the next try. @default 2,000, 5,000 */
  finishingMs?: number;
  cardAgainMs?: number;
  /** First pause after a CALLERROR; doubled each time up to 60 s. @default 2,000 */
  errorPauseMs?: number;
}

/** Sampled while nobody answers; beyond it the charger stops sampling until the queue is shorter. */
const queueMost = 20_000;
/** A session that should have begun longer ago than this is told as past: the card was presented back then. */
const pastMs = 15_000;
/** How often a driver presents a card that is not accepted before driving on. */
const cardTries = 6;
/** Refusals after which a message is given up, if the code says that it can never be accepted. */
const refusalsMost = 10;
const passing = ['InternalError', 'GenericError', 'SecurityError'];

/** A message that is worth nothing after a cut: it waits in memory only. `after`: not before that message is answered. */
interface Passing {
  action: string;
  payload: Record<string, unknown>;
  after: number;
  settle?: (outcome: Outcome) => void;
}

export class Charger {
  readonly identity: string;
  readonly #options: Required<Omit<ChargerOptions, 'retryMs' | 'callTimeoutMs' | 'random'>>;
  readonly #memory: ChargerMemory;
  readonly #link: Link;
  #passing: Passing[] = [];
  #registered = false;
  #bootDueAt = 0;
  #heartbeatMs = 300_000;
  #heartbeat: NodeJS.Timeout | undefined;
  #again: NodeJS.Timeout | undefined;
  #next: NodeJS.Timeout | undefined;
  #calling = false;
  #timeouts = 0;
  #refusals = 0;
  #waitUntil = 0;
  /** The memory number of the first fact that the queue's newest message may not be sent before. */
  #durableFrom = new Map<number, number>();
  /** A driver at the charger: which session, how often the card was tried, and whether it is being asked right now. */
  #driver: { i: number; tries: number; asking: boolean; nextAt: number } | undefined;
  #finishingUntil = 0;
  #status = '';
  #suspended = false;
  #producing = true;
  #stopped = false;

  constructor(options: ChargerOptions) {
    this.identity = options.identity;
    this.#options = { sampleEveryMs: 10_000, finishingMs: 2_000, cardAgainMs: 5_000, errorPauseMs: 2_000, ...options };
    this.#memory = options.store.memory(options.identity);
    this.#link = new Link(options, {
      opened: () => this.#opened(),
      closed: (code, reason) => this.#closed(code, reason),
      called: (action, payload) => this.#called(action, payload),
    });
  }

  /** Messages that nobody has answered yet. */
  get unanswered(): number {
    return this.#memory.queue.length;
  }
  get registered(): boolean {
    return this.#registered && this.#link.up;
  }

  /** Switches the charger on; it dials after `delayMs`. */
  start(delayMs: number): void {
    this.#advance();
    this.#link.start(delayMs);
  }

  /** Power off. Memory stays as it is. */
  async stop(): Promise<void> {
    this.#stopped = true;
    for (const timer of [this.#heartbeat, this.#again, this.#next]) clearTimeout(timer);
    await this.#link.stop();
  }

  /** While false no session moves on and nothing is sampled; what is owed is still delivered. */
  produce(on: boolean): void {
    this.#producing = on;
    this.#advance();
  }

  // --- the connector ---------------------------------------------------------------------------------------------

  /** A clock that was set back must not turn the meter back. */
  #now(): number {
    return Math.max(Date.now(), this.#memory.lastSampleAt);
  }

  #planned(i: number): PlannedSession | undefined {
    return this.#options.timeline.session(this.identity, i);
  }

  /** Does what is due and sets the timer for what comes next. */
  #advance(): void {
    clearTimeout(this.#next);
    if (this.#stopped || !this.#producing) return;
    const now = this.#now();
    const open = openSession(this.#memory);
    const dueAt = open === undefined ? this.#idle(now) : this.#charge(open, now);
    if (dueAt === undefined) return;
    clearTimeout(this.#next);
    // setTimeout holds 2³¹ ms at most; a day is enough to ask again.
    this.#next = setTimeout(() => this.#advance(), Math.min(Math.max(dueAt - this.#now(), 1), 86_400_000));
  }

  /** No session: waits for the next car, its card, or the end of `Finishing`. Returns when to look again. */
  #idle(now: number): number | undefined {
    if (this.#finishingUntil > now) return this.#finishingUntil;
    const { anchorAt, store } = this.#options;
    let i = this.#memory.cursor + 1;
    let session = this.#planned(i);
    // What began and ended while the charger was off did not happen.
    while (session !== undefined && anchorAt + session.endMs <= now) {
      store.append({ k: 'skip', c: this.identity, i });
      session = this.#planned((i += 1));
    }
    const startAt = session === undefined ? Infinity : anchorAt + session.startMs;
    if (session === undefined || startAt > now) {
      this.#driver = undefined;
      this.#report('Available');
      return session === undefined ? undefined : startAt;
    }
    const driver = this.#driver?.i === i ? this.#driver : undefined;
    // Without a line the charger lets everybody charge; a car that is here for long showed its card then.
    if (driver === undefined && (now - startAt > pastMs || !this.registered)) {
      this.#begin(session, startAt);
      return now + 1;
    }
    if (driver === undefined) {
      this.#report('Preparing');
      this.#driver = { i, tries: 0, asking: false, nextAt: now };
    }
    const waiting = this.#driver;
    if (waiting === undefined || waiting.asking) return anchorAt + session.endMs;
    if (waiting.nextAt <= now) this.#presentCard(session);
    return waiting.asking ? anchorAt + session.endMs : waiting.nextAt;
  }

  #presentCard(session: PlannedSession): void {
    const driver = this.#driver;
    if (driver === undefined) return;
    driver.asking = true;
    driver.tries += 1;
    this.#say('Authorize', { idTag: session.tag }, 0, (outcome) => {
      if (this.#driver !== driver || this.#stopped || !this.#producing) {
        driver.asking = false;
        return;
      }
      const now = this.#now();
      const status = outcome.kind === 'result' ? statusOf(outcome.payload.idTagInfo) : '';
      driver.asking = false;
      if (status === 'Accepted' || outcome.kind === 'closed' || outcome.kind === 'timeout') {
        this.#driver = undefined;
        this.#begin(session, now);
      } else if (driver.tries >= cardTries) {
        this.#options.log.warn({ charger: this.identity, tag: session.tag, status }, 'card not accepted, driver left');
        this.#options.store.append({ k: 'skip', c: this.identity, i: session.index });
      } else {
        driver.nextAt = now + this.#options.cardAgainMs;
      }
      this.#advance();
    });
  }

  #begin(session: PlannedSession, at: number): void {
    const { tag, index: i } = session;
    const n = this.#memory.next;
    this.#owe({ k: 'begin', c: this.identity, n, i, tag, at, wh: this.#memory.wh });
    this.#suspended = powerAt(session.curve, this.#now() - at) === 0;
    this.#report(this.#suspended ? 'SuspendedEV' : 'Charging', n);
    const open = openSession(this.#memory);
    if (open !== undefined) this.#sample(open, this.#now());
  }

  /** A running session: samples on the charger's own grid, ends it when the car leaves. Returns when to look again. */
  #charge(open: SessionMemory, now: number): number {
    const { anchorAt, sampleEveryMs } = this.#options;
    const planned = this.#planned(open.i);
    const endAt = planned === undefined ? now : Math.max(open.startAt, anchorAt + planned.endMs);
    if (planned === undefined || endAt <= now) {
      this.#end(open, endAt);
      return now + 1;
    }
    // The grid is shifted by the identity, so that a fleet does not speak all at once.
    const phase = hashOf(this.identity) % sampleEveryMs;
    const gridAfter = (at: number) => Math.floor((at - phase) / sampleEveryMs) * sampleEveryMs + phase + sampleEveryMs;
    if (gridAfter(this.#memory.lastSampleAt) <= now) this.#sample(open, now);
    const suspended = powerAt(planned.curve, now - open.startAt) === 0;
    if (suspended !== this.#suspended) {
      this.#suspended = suspended;
      this.#report(suspended ? 'SuspendedEV' : 'Charging');
    }
    return Math.min(gridAfter(now), endAt);
  }

  #sample(open: SessionMemory, now: number): void {
    const planned = this.#planned(open.i);
    const memory = this.#memory;
    if (planned === undefined || memory.queue.length >= queueMost) return;
    const ms = now - open.startAt;
    const wh = registerWh(memory, open, energyAt(planned.curve, ms));
    this.#owe({ k: 'sample', c: this.identity, n: memory.next, at: now, w: powerAt(planned.curve, ms), wh });
  }

  #end(open: SessionMemory, endAt: number): void {
    const memory = this.#memory;
    const planned = this.#planned(open.i);
    // A plan that is no longer known: the car leaves with what the register says.
    const wMs = planned === undefined ? memory.rest : memory.rest + energyAt(planned.curve, endAt - open.startAt);
    const wh = planned === undefined ? memory.wh : open.startWh + Math.trunc(wMs / wMsPerWh);
    const n = memory.next;
    this.#owe({ k: 'end', c: this.identity, n, at: endAt, wh, rest: wMs % wMsPerWh, reason: 'EVDisconnected' });
    this.#finishingUntil = this.#now() + this.#options.finishingMs;
    this.#report('Finishing', n);
  }

  /** Into the memory first; the message may leave when the fact is durable. */
  #owe(fact: Parameters<MemoryStore['append']>[0] & { n: number }): void {
    const { store } = this.#options;
    store.append(fact, this.#pumpLater);
    this.#durableFrom.set(fact.n, store.appended);
  }

  readonly #pumpLater = () => this.#pump();

  /** StatusNotification, when it is a new one; `after`: only when that message has been answered. */
  #report(status: string, after = 0): void {
    if (status === this.#status) return;
    this.#status = status;
    if (this.registered) this.#say('StatusNotification', this.#statusPayload(1, status), after);
  }

  #statusPayload(connectorId: number, status: string): Record<string, unknown> {
    return { connectorId, status, errorCode: 'NoError', timestamp: new Date(this.#now()).toISOString() };
  }

  // --- the line --------------------------------------------------------------------------------------------------

  #opened(): void {
    this.#passing = [];
    this.#timeouts = 0;
    this.#waitUntil = 0;
    this.#calling = false;
    if (this.#registered) this.#welcome(false);
    this.#pump();
  }

  #closed(code: number, reason: string): void {
    this.#options.log.info({ charger: this.identity, code, reason }, 'line closed');
    clearTimeout(this.#heartbeat);
    const passing = this.#passing;
    this.#passing = [];
    this.#calling = false;
    for (const { settle } of passing) settle?.({ kind: 'closed' });
    this.#advance();
  }

  /** Registered, now or before: says how the connector is, then what is owed. Connector 0 is the charger itself. */
  #welcome(booted: boolean): void {
    if (booted) this.#say('StatusNotification', this.#statusPayload(0, 'Available'));
    const open = openSession(this.#memory);
    const planned = open && this.#planned(open.i);
    if (open !== undefined && planned !== undefined) {
      this.#suspended = powerAt(planned.curve, this.#now() - open.startAt) === 0;
      this.#status = this.#suspended ? 'SuspendedEV' : 'Charging';
    } else if (this.#status === '') this.#status = 'Available';
    this.#say('StatusNotification', this.#statusPayload(1, this.#status));
    this.#beat();
    this.#advance();
  }

  #beat(): void {
    clearTimeout(this.#heartbeat);
    this.#heartbeat = setTimeout(() => {
      if (this.registered) this.#say('Heartbeat', {});
      this.#beat();
    }, this.#heartbeatMs);
  }

  #say(action: string, payload: Record<string, unknown>, after = 0, settle?: (outcome: Outcome) => void): void {
    this.#passing.push({ action, payload, after, ...(settle && { settle }) });
    this.#pump();
  }

  /** One call at a time: the registration, then what passes, then what is owed, in order. */
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
      this.#call(passing.action, passing.payload, (outcome) => this.#passed(passing, outcome));
      return;
    }
    if (owed === undefined) return;
    if (now < this.#waitUntil) {
      this.#pumpIn(this.#waitUntil - now);
      return;
    }
    // Not yet on disk: sent now it could be answered and then forgotten. The store pumps again when it is.
    if ((this.#durableFrom.get(owed.n) ?? 0) > this.#options.store.durable) return;
    const [action, payload] = frameOf(this.#memory, owed);
    this.#call(action, payload, (outcome) => this.#delivered(owed, outcome));
  }

  #pumpIn(ms: number): void {
    clearTimeout(this.#again);
    this.#again = setTimeout(() => this.#pump(), ms);
  }

  #call(action: string, payload: Record<string, unknown>, settle: (outcome: Outcome) => void): void {
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
    });
  }

  #boot(): void {
    const payload = {
      chargePointVendor: 'Gridtick',
      chargePointModel: 'Virtual 16',
      chargePointSerialNumber: this.identity.slice(0, 25),
      firmwareVersion: '1.0.0',
    };
    this.#call('BootNotification', payload, (outcome) => {
      if (outcome.kind === 'closed' || this.#registered) return;
      const answer = outcome.kind === 'result' ? outcome.payload : {};
      const intervalMs = (typeof answer.interval === 'number' && answer.interval > 0 ? answer.interval : 0) * 1_000;
      if (answer.status !== 'Accepted') {
        // Pending and Rejected name the pause; an error or silence does not.
        this.#bootDueAt = Date.now() + (intervalMs || this.#options.errorPauseMs);
        return;
      }
      this.#registered = true;
      if (intervalMs > 0) this.#heartbeatMs = intervalMs;
      this.#welcome(true);
    });
  }

  #passed(passing: Passing, outcome: Outcome): void {
    if (outcome.kind === 'error') {
      const { code, description } = outcome;
      this.#options.log.warn({ charger: this.identity, action: passing.action, code, description }, 'call refused');
    }
    passing.settle?.(outcome);
  }

  #delivered(message: Message, outcome: Outcome): void {
    const { store, log, errorPauseMs } = this.#options;
    const c = this.identity;
    const { n } = message;
    if (this.#memory.queue[0]?.n !== n) return; // a late answer already settled it
    if (outcome.kind === 'result') {
      const tx = outcome.payload.transactionId;
      if (message.kind === 'start' && !Number.isSafeInteger(tx)) {
        log.warn({ charger: c, answer: outcome.payload }, 'start answered without a transactionId');
        this.#waitUntil = Date.now() + errorPauseMs;
        return;
      }
      store.append(message.kind === 'start' ? { k: 'answer', c, n, tx: tx as number } : { k: 'answer', c, n });
      this.#forget(n);
      const status = message.kind === 'start' ? statusOf(outcome.payload.idTagInfo) : 'Accepted';
      if (status !== 'Accepted') log.warn({ charger: c, transaction: tx, status }, 'started, card not accepted');
      return;
    }
    if (outcome.kind !== 'error') return; // sent again: at once on a living line, else on the next one
    this.#refusals += 1;
    const { code, description } = outcome;
    log.warn({ charger: c, kind: message.kind, code, description, refusals: this.#refusals }, 'message refused');
    if (this.#refusals >= refusalsMost && !passing.includes(code)) {
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

  /** Calls of the system. This charger can be asked to say something; it takes no orders. */
  #called(action: string, payload: Record<string, unknown>): Record<string, unknown> | string {
    if (action !== 'TriggerMessage') return 'NotImplemented';
    const say: Record<string, () => void> = {
      BootNotification: () => {
        this.#registered = false;
        this.#bootDueAt = 0;
        this.#pump();
      },
      Heartbeat: () => this.#say('Heartbeat', {}),
      StatusNotification: () => this.#say('StatusNotification', this.#statusPayload(1, this.#status || 'Available')),
    };
    const wanted = say[String(payload.requestedMessage)];
    if (wanted === undefined) return { status: 'NotImplemented' };
    setImmediate(wanted); // the answer goes first
    return { status: 'Accepted' };
  }
}

const statusOf = (info: unknown): string =>
  typeof info === 'object' && info !== null && 'status' in info ? String(info.status) : '';
