/**
 * A virtual charger with one connector. It plays its sessions of the timeline by the fleet's clock and tells them through
 * its {@link Line}, in the words of its version of OCPP. What must not be forgotten goes into its memory first.
 *
 * In lock-step it says the same whatever is killed meanwhile: it waits for a line instead of deciding without one, and
 * everything it tells is owed until it was answered.
 */
import { constantCurve, energyAt, nextChangeMs, powerAt, wMsPerWh, type ChargeCurve } from './car.ts';
import { wallClock, type SimulatorClock } from './clock.ts';
import type { KeyName } from './configuration.ts';
import { Line, type LineOptions } from './line.ts';
import { openSession, registerWh, type ChargerMemory, type SessionMemory, type Visit } from './memory.ts';
import { hashOf, uuidOf } from './random.ts';
import { initialOf, Remote, type Plug } from './remote.ts';
import type { PlannedSession, Timeline } from './timeline.ts';
import { v16 } from './v16.ts';
import type { PlugStatus, StopReason } from './version.ts';

export interface ChargerOptions extends Omit<LineOptions, 'version' | 'lockStep' | 'errorPauseMs'> {
  timeline: Timeline;
  /** Unix ms of time 0 of the timeline. */
  anchorAt: number;
  /** @default v16 */
  version?: LineOptions['version'];
  /** @default wallClock, false */
  clock?: SimulatorClock;
  lockStep?: boolean;
  /** Between two samples of a session, until the key says otherwise. @default 10,000 */
  sampleEveryMs?: number;
  /** From Finishing to Available, and from an answer that a card is not accepted to the next try. @default 2,000, 5,000 */
  finishingMs?: number;
  cardAgainMs?: number;
  /** First pause after a CALLERROR; doubled each time up to 60 s. @default 2,000 */
  errorPauseMs?: number;
  /** From the end of the old socket to the new one when it is reset. @default 1,500 */
  rebootMs?: number;
}

type Settled = Required<
  Omit<ChargerOptions, 'retryMs' | 'callTimeoutMs' | 'random' | 'protocol' | 'doubles' | 'onChange'>
>;

/** Sampled while nobody answers; beyond it the charger stops sampling until the queue is shorter. */
const queueMost = 20_000;
/** A session that should have begun longer ago than this is told as past: the card was presented back then. */
const pastMs = 15_000;
/** How often a driver presents a card that is not accepted before driving on. */
const cardTries = 6;
/** What a visitor takes, how long it stays at most, and how long before the next car of the plan it leaves. */
const visitWh = 20_000;
const visitMsMost = 4 * 3_600_000;
const turnaroundMs = 180_000;

interface Car {
  curve: ChargeCurve;
  endAt: number;
}

/** Somebody at the charger: for which session, how often the card was tried, whether it is being asked right now, or may charge. */
interface Driver {
  i: number;
  tries: number;
  asking: boolean;
  admitted: boolean;
  nextAt: number;
}

/** How a session came about, where it is not a driver of the plan with a card. */
interface Circumstances {
  chargedMs?: number;
  visit?: Visit | null;
  remoteStart?: number | null;
}

export class Charger implements Plug {
  readonly identity: string;
  readonly memory: ChargerMemory;
  readonly line: Line;
  readonly #options: Settled;
  readonly #remote: Remote;
  #takeBack: (() => void) | undefined;
  #driver: Driver | undefined;
  /** What the charger does once it is its turn; see {@link waiting}. */
  #turn: (() => void) | undefined;
  #status = '';
  #producing = true;
  #stopped = false;

  constructor(options: ChargerOptions) {
    this.identity = options.identity;
    this.#options = {
      version: v16,
      clock: wallClock,
      lockStep: false,
      sampleEveryMs: 10_000,
      finishingMs: 2_000,
      cardAgainMs: 5_000,
      errorPauseMs: 2_000,
      rebootMs: 1_500,
      ...options,
    };
    const { lockStep, version, rebootMs, errorPauseMs } = this.#options;
    this.memory = options.store.memory(options.identity);
    this.#remote = new Remote(this, rebootMs);
    this.line = new Line(
      { ...options, version, lockStep, errorPauseMs },
      {
        registered: (booted) => this.#registered(booted),
        closed: () => this.advance(),
        called: (action, payload) => version.orders[action]?.(this.#remote, payload) ?? 'NotImplemented',
        heartbeatMs: (fromBootMs) => Number(this.memory.keys.heartbeat ?? fromBootMs / 1_000) * 1_000,
        pingMs: () => Number(this.memory.keys.pings ?? 0) * 1_000,
      },
    );
  }

  /** Messages that nobody has answered yet. */
  get unanswered(): number {
    return this.memory.queue.length;
  }
  get registered(): boolean {
    return this.line.registered;
  }
  /** Something that is due is not done: to be said, to be answered, or without a line to say it. */
  get busy(): boolean {
    return this.line.busy || this.#remote.rebooting || this.#driver?.asking === true;
  }

  /** In lock-step a session begins when the fleet says so: of several at one instant, one after the other. */
  get waiting(): boolean {
    return this.#turn !== undefined;
  }
  /** It is this charger's turn. */
  enter(): void {
    const turn = this.#turn;
    this.#turn = undefined;
    turn?.();
  }

  /** Switches the charger on; it dials after `delayMs`. */
  start(delayMs: number): void {
    const open = openSession(this.memory);
    // A reset that was accepted, and then the power went.
    if (this.memory.reset === 'now' && open !== undefined) this.end(open, this.now(), 'HardReset');
    this.advance();
    this.line.start(delayMs);
  }

  /** Power off. Memory stays as it is. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#takeBack?.();
    await this.line.stop();
  }

  /** While false no session moves on and nothing is sampled; what is owed is still delivered. */
  produce(on: boolean): void {
    this.#producing = on;
    this.advance();
  }

  /** A clock that was set back must not turn the meter back. */
  now(): number {
    return Math.max(this.#options.clock.now(), this.memory.lastSampleAt);
  }

  // --- the connector ---------------------------------------------------------------------------------------------

  #planned(i: number): PlannedSession | undefined {
    return this.#options.timeline.session(this.identity, i);
  }

  nextCarAt(): number {
    const next = this.#planned(this.memory.cursor + 1);
    return next === undefined ? Infinity : this.#options.anchorAt + next.startMs;
  }

  #car({ i, visit }: { i: number; visit: Visit | null }): Car | undefined {
    const { timeline, anchorAt } = this.#options;
    if (visit !== null) return { curve: constantCurve(timeline.ratedW, visit.wh), endAt: visit.endAt };
    const planned = this.#planned(i);
    return planned && { curve: planned.curve, endAt: anchorAt + planned.endMs };
  }

  /** Does what is due and asks to be called for what comes next. */
  advance(): void {
    this.#takeBack?.();
    this.#turn = undefined;
    if (this.#stopped || !this.#producing || this.#remote.rebooting) return;
    const now = this.now();
    const open = openSession(this.memory);
    const dueAt = open === undefined ? this.#idle(now) : this.#charge(open, now);
    this.#takeBack?.();
    if (dueAt === undefined || dueAt === Infinity) return;
    this.#takeBack = this.#options.clock.after(dueAt - this.now(), () => this.advance());
  }

  /** No session: waits for the next car, its card, or the one before to leave. Returns when to look again. */
  #idle(now: number): number | undefined {
    const { store, anchorAt, finishingMs } = this.#options;
    const { memory } = this;
    if (memory.reset === 'idle') {
      this.#remote.resetNow();
      return undefined;
    }
    let session = this.#planned(memory.cursor + 1);
    // What began and ended while the charger was off did not happen.
    while (session !== undefined && anchorAt + session.endMs <= now) {
      store.append({ k: 'skip', c: this.identity, i: session.index });
      session = this.#planned(memory.cursor + 1);
    }
    const startAt = session === undefined ? Infinity : anchorAt + session.startMs;
    const { wish } = this.#remote;

    const { parked } = memory;
    if (parked !== null) {
      const leavesAt = Math.min(parked.untilAt, startAt);
      if (now < leavesAt) {
        if (wish !== undefined) return this.#begin(parked.i, wish.tag, now, { ...parked, ...wish });
        this.#report('Finishing');
        return leavesAt;
      }
      store.append({ k: 'left', c: this.identity });
    }
    const finishingUntil = Math.min((memory.sessions.at(-1)?.stopAt ?? -Infinity) + finishingMs, startAt);
    if (now < finishingUntil) return finishingUntil;
    if (session !== undefined && startAt <= now) return this.#arrived(session, startAt, now);

    this.#driver = undefined;
    const visitorAt = wish?.visitorAt ?? Infinity;
    if (wish !== undefined && visitorAt <= now) {
      const visit = { endAt: Math.min(now + visitMsMost, startAt - turnaroundMs), wh: visitWh };
      this.#report('Preparing');
      return this.#begin(-1, wish.tag, now, { ...wish, visit });
    }
    this.#report('Available');
    return Math.min(startAt, visitorAt);
  }

  /** A car of the plan is at the plug. */
  #arrived(session: PlannedSession, startAt: number, now: number): number | undefined {
    const { lockStep, anchorAt, cardAgainMs } = this.#options;
    const { index: i } = session;
    const { wish } = this.#remote;
    if (wish !== undefined) return this.#begin(i, wish.tag, now, wish);
    let driver = this.#driver?.i === i ? this.#driver : undefined;
    // Without a line the charger lets everybody charge; a car that is here for long showed its card then.
    if (driver === undefined && !lockStep && (now - startAt > pastMs || !this.registered)) {
      return this.#begin(i, session.tag, startAt);
    }
    if (driver === undefined) {
      this.#report('Preparing');
      const tries = lockStep ? Math.floor((now - startAt) / cardAgainMs) : 0;
      this.#driver = driver = { i, tries, asking: false, admitted: false, nextAt: now };
    }
    const leavesAt = anchorAt + session.endMs;
    if (driver.asking || (lockStep && !this.registered)) return leavesAt;
    if (driver.admitted) {
      this.#turn = () => {
        this.#begin(i, session.tag, this.now());
        this.advance();
      };
      return leavesAt;
    }
    if (driver.nextAt > now) return driver.nextAt;
    this.#presentCard(session, driver);
    return leavesAt;
  }

  #presentCard(session: PlannedSession, driver: Driver): void {
    const { version, lockStep, log, store, cardAgainMs } = this.#options;
    driver.asking = true;
    driver.tries += 1;
    // In lock-step after all that is owed, so that the order of what is said does not depend on the disk.
    const after = lockStep ? this.memory.next - 1 : 0;
    this.line.say(version.card(session.tag), after, (outcome) => {
      driver.asking = false;
      if (this.#driver !== driver || this.#stopped || !this.#producing) return;
      const now = this.now();
      const status = outcome.kind === 'result' ? version.cardStatus(outcome.payload) : '';
      const unheard = outcome.kind === 'closed' || outcome.kind === 'timeout';
      if (unheard && lockStep) driver.tries -= 1;
      else if (status === 'Accepted' && lockStep) driver.admitted = true;
      else if (status === 'Accepted' || unheard) this.#begin(session.index, session.tag, now);
      else if (driver.tries >= cardTries) {
        log.warn({ charger: this.identity, tag: session.tag, status }, 'card not accepted, driver left');
        store.append({ k: 'skip', c: this.identity, i: session.index });
      } else driver.nextAt = now + cardAgainMs;
      this.advance();
    });
  }

  /** Returns when to look again: now. */
  #begin(i: number, tag: string, at: number, how: Circumstances = {}): number {
    const { version } = this.#options;
    const { memory } = this;
    const { chargedMs = 0, visit = null, remoteStart = null } = how;
    const n = memory.next;
    const w = powerAt(this.#car({ i, visit })?.curve ?? constantCurve(1, 0), chargedMs);
    this.line.owe({
      k: 'begin',
      c: this.identity,
      n,
      i,
      tag,
      at,
      wh: memory.wh,
      ...(version.eventful && { w, tx: uuidOf(`${this.identity} ${n} ${at}`) }),
      ...(chargedMs > 0 && { chargedMs }),
      ...(visit !== null && { visit }),
      ...(remoteStart !== null && { remoteStart }),
      ...this.#offline(),
    });
    this.#driver = undefined;
    this.#remote.fulfilled();
    const open = openSession(memory);
    const now = this.now();
    if (open === undefined) return now;
    this.#report(this.#powerOf(open, now) === 0 ? 'SuspendedEV' : 'Charging', n);
    if (!version.eventful || now > at) this.#sample(open, now);
    return now;
  }

  /** A message of 2.0.1 says that it was made without a line. In lock-step nothing is. */
  #offline(): { offline?: true } {
    const { version, lockStep } = this.#options;
    return version.eventful && !lockStep && !this.registered ? { offline: true } : {};
  }

  #powerOf(open: SessionMemory, at: number): number {
    const car = this.#car(open);
    return car === undefined ? 0 : powerAt(car.curve, open.chargedMs + at - open.startAt);
  }

  /** W·ms that the session has taken by `at`. */
  #takenBy(open: SessionMemory, { curve }: Car, at: number): number {
    return energyAt(curve, open.chargedMs + at - open.startAt) - energyAt(curve, open.chargedMs);
  }

  /** Between two samples, and where the first one lies. */
  #grid(): { everyMs: number; phaseMs: number } {
    const { lockStep, sampleEveryMs } = this.#options;
    const { sampling } = this.memory.keys;
    const everyMs = sampling === undefined ? sampleEveryMs : Number(sampling) * 1_000;
    // By the wall clock it is shifted by the identity, so that a fleet does not speak all at once.
    return { everyMs, phaseMs: lockStep ? 0 : hashOf(this.identity) % everyMs };
  }

  /** A running session: samples on the charger's own grid, ends it when the car leaves. Returns when to look again. */
  #charge(open: SessionMemory, now: number): number {
    const { lockStep, version } = this.#options;
    const { memory } = this;
    const car = this.#car(open);
    const endAt = car === undefined ? now : Math.max(open.startAt, car.endAt);
    if (car === undefined || endAt <= now) {
      this.end(open, endAt, 'EVDisconnected');
      return now;
    }
    const { everyMs, phaseMs } = this.#grid();
    const gridAfter = (at: number) => Math.floor((at - phaseMs) / everyMs) * everyMs + phaseMs + everyMs;
    const [before, power] = [this.#powerOf(open, memory.lastSampleAt), this.#powerOf(open, now)];
    // A charger of 2.0.1 tells at once when the car begins or ceases to draw; in lock-step every change of power is told.
    const flipped = (before === 0) !== (power === 0);
    const told = lockStep ? before !== power : version.eventful && flipped;
    if (memory.lastSampleAt < now && (told || gridAfter(memory.lastSampleAt) <= now)) this.#sample(open, now, flipped);
    this.#report(power === 0 ? 'SuspendedEV' : 'Charging');
    const begun = open.startAt - open.chargedMs;
    const change = lockStep || version.eventful ? nextChangeMs(car.curve, now - begun) : undefined;
    return Math.min(gridAfter(now), endAt, change === undefined ? Infinity : begun + change);
  }

  #sample(open: SessionMemory, at: number, changed = false): void {
    const car = this.#car(open);
    const { memory } = this;
    if (car === undefined || memory.queue.length >= queueMost) return;
    const wh = registerWh(memory, open, this.#takenBy(open, car, at));
    const w = this.#powerOf(open, at);
    const how = { ...(changed && { changed }), ...this.#offline() };
    this.line.owe({ k: 'sample', c: this.identity, n: memory.next, at, w, wh, ...how });
  }

  end(open: SessionMemory, at: number, reason: StopReason): void {
    const { lockStep, version } = this.#options;
    const { memory } = this;
    const car = this.#car(open);
    if (lockStep && !version.eventful && memory.lastSampleAt < at) this.#sample(open, at);
    // A plan that is no longer known: the car leaves with what the register says.
    const wMs = car === undefined ? memory.rest : memory.rest + this.#takenBy(open, car, at);
    const wh = car === undefined ? memory.wh : open.startWh + Math.trunc(wMs / wMsPerWh);
    const { i, visit } = open;
    const stays = car !== undefined && car.endAt > at;
    const chargedMs = open.chargedMs + at - open.startAt;
    const n = memory.next;
    this.line.owe({
      k: 'end',
      c: this.identity,
      n,
      at,
      wh,
      rest: wMs % wMsPerWh,
      reason,
      ...(version.eventful && { told: 1 }),
      ...(stays && { parked: { i, visit, untilAt: car.endAt, chargedMs } }),
      ...this.#offline(),
    });
    this.#report('Finishing', n);
  }

  // --- what it says of itself ------------------------------------------------------------------------------------

  /** StatusNotification, when it is a new one; `after`: only when that message has been answered. */
  #report(plug: PlugStatus, after = 0): void {
    const { version, lockStep } = this.#options;
    const status = version.statusName(plug);
    if (status === (lockStep ? this.memory.status : this.#status)) return;
    this.#status = status;
    if (lockStep) this.#oweStatus(1, status);
    else if (this.registered) this.line.say(version.status(1, status, this.now()), after);
  }

  #oweStatus(connector: number, status: string): void {
    this.line.owe({ k: 'status', c: this.identity, n: this.memory.next, at: this.now(), connector, status });
  }

  reportStatus(): void {
    const { version } = this.#options;
    this.line.say(version.status(1, this.#shown(), this.now()));
  }

  #shown(): string {
    const { version, lockStep } = this.#options;
    const open = openSession(this.memory);
    if (open !== undefined)
      return version.statusName(this.#powerOf(open, this.now()) === 0 ? 'SuspendedEV' : 'Charging');
    return (lockStep ? this.memory.status : this.#status) || 'Available';
  }

  /** Registered, now or before: says how the connector is, then what is owed. Connector 0 is the charger itself. */
  #registered(booted: boolean): void {
    const { version, lockStep } = this.#options;
    this.#remote.registered(booted);
    if (booted && version.connectors.includes(0)) {
      if (lockStep) this.#oweStatus(0, 'Available');
      else this.line.say(version.status(0, 'Available', this.now()));
    }
    if (!lockStep) {
      this.#status = this.#shown();
      this.reportStatus();
    }
    this.advance();
  }

  unset(key: KeyName): string {
    if (key !== 'sampling') return initialOf(key);
    return String(Math.max(1, Math.ceil(this.#options.sampleEveryMs / 1_000)));
  }
}
