/**
 * Plays a fleet in lock-step with a driven log: its clock moves on when everything that was due has been said, answered
 * and decided. However long that takes, and whatever is killed meanwhile, every message has the same time each run.
 *
 * One round: (1) the log's clock to T, (2) every charger does what is due by T, (3) until no message is unanswered,
 * (4) until all of it is decided and what that asks of chargers is answered, again from (2) while they have more to say,
 * (5) T = what is due next, or a bit later if that is far.
 */
import type { DrivenClock } from './clock.ts';

/** What the log offers to the one who drives it. */
export interface Driver {
  /** Log time that all partitions have committed, unix ms; 0: never driven. */
  readonly now: number;
  step(at: number): Promise<void>;
  settle(): Promise<void>;
}

/** The fleet as its driver sees it. */
export interface Driven {
  /** Some charger has something to say, waits for an answer, or is without a line. */
  readonly busy: boolean;
  /** Lets the next one begin of those who wait for their turn, when nobody else is busy. */
  letIn(): void;
  /** Resolves when that may have changed. */
  changed(): Promise<void>;
  /** What was played so far: sessions that have ended, and their energy. */
  played(): { sessions: number; energyWh: number };
  /** Says what is still to be repeated. */
  flush(): void;
}

export interface DriveOptions {
  driver: Driver;
  clock: DrivenClock;
  fleet: Driven;
  /** Unix ms of the log: the beginning, and when it is over; Infinity: never. */
  fromAt: number;
  untilAt: number;
  /** Log time per time of the machine; 'max': as fast as it goes. */
  speed: number | 'max';
  say: (line: Record<string, unknown>) => void;
  /** Time of the machine, ms, and a pause. @default performance.now, setTimeout */
  machine?: { now(): number; pause(ms: number): Promise<void> };
}

/** The log's clock is never moved further at once, and with a slow `speed` not further than a second of the machine. */
const stepMsMost = 60_000;
const stepMsLeast = 1_000;
/** Who is late by more than this does not catch up: nothing is played faster than asked for. */
const lateMsMost = 5_000;
const progressEveryMs = 2_000;

const realMachine = {
  now: () => performance.now(),
  pause: (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms)),
};

export class Drive {
  readonly #options: Required<DriveOptions>;
  #paused = false;
  #stopped = false;
  #goOn: (() => void) | undefined;
  #atRest: (() => void)[] = [];
  #resting = false;
  #saidAt = -Infinity;

  constructor(options: DriveOptions) {
    this.#options = { machine: realMachine, ...options };
  }

  /** Plays to the end, or until {@link stop}; resolves with the log time reached. */
  async run(): Promise<number> {
    const { driver, clock, fleet, fromAt, untilAt, speed, machine, say } = this.#options;
    let at = Math.max(fromAt, driver.now);
    const most = speed === 'max' ? stepMsMost : Math.min(stepMsMost, Math.max(stepMsLeast, Math.round(speed * 1_000)));
    let pace = { at, machineAt: machine.now() };
    for (;;) {
      await driver.step(at);
      // Where nobody has anything to say, the step itself has settled everything. What was decided may ask chargers for more.
      while (!this.#stopped && (clock.nextAt <= at || fleet.busy)) {
        clock.run(at);
        await this.#done();
        await driver.settle();
      }
      clock.run(at);
      if (this.#stopped) return at;
      if (at >= untilAt) break;
      this.#progress(at);
      if (this.#paused) {
        await this.#rest(() => !this.#paused);
        pace = { at, machineAt: machine.now() };
        if (this.#stopped) return at;
      }
      at = Math.max(at, Math.min(clock.nextAt, at + most, untilAt));
      if (speed === 'max') continue;
      const dueAt = pace.machineAt + (at - pace.at) / speed;
      const early = dueAt - machine.now();
      if (early > 0) await machine.pause(early);
      else if (-early > lateMsMost) pace = { at, machineAt: machine.now() };
    }
    fleet.flush();
    await this.#done();
    await driver.settle();
    say({ finished: { at, ...fleet.played() } });
    await this.#rest(() => false);
    return at;
  }

  /** (3): everything that is due is done, and what the answers made due too. */
  async #done(): Promise<void> {
    const { clock, fleet } = this.#options;
    while (!this.#stopped) {
      clock.run();
      fleet.letIn();
      if (!fleet.busy && clock.nextAt > clock.now()) return;
      await fleet.changed();
    }
  }

  #progress(at: number): void {
    const { machine, fromAt, untilAt, fleet, say } = this.#options;
    if (machine.now() - this.#saidAt < progressEveryMs) return;
    this.#saidAt = machine.now();
    const fraction = untilAt === Infinity ? 0 : (at - fromAt) / Math.max(1, untilAt - fromAt);
    say({ progress: { at, fraction: Math.round(fraction * 10_000) / 10_000, sessions: fleet.played().sessions } });
  }

  /** The log's clock stands; what an operator asks of a charger meanwhile is done at that time. */
  async #rest(until: () => boolean): Promise<void> {
    const { clock, fleet } = this.#options;
    this.#resting = true;
    for (const tell of this.#atRest.splice(0)) tell();
    while (!this.#stopped && !until()) {
      const goOn = new Promise<void>((resolve) => (this.#goOn = resolve));
      await Promise.race([goOn, fleet.changed()]);
      clock.run();
      fleet.letIn();
    }
    this.#resting = false;
  }

  /** Stops the clock after the round in work; resolves when it stands and nothing is unanswered. */
  async pause(): Promise<void> {
    this.#paused = true;
    if (this.#resting) {
      await this.#done();
      return;
    }
    await new Promise<void>((resolve) => this.#atRest.push(resolve));
  }

  resume(): void {
    this.#paused = false;
    this.#goOn?.();
  }

  stop(): void {
    this.#stopped = true;
    this.#goOn?.();
  }
}
