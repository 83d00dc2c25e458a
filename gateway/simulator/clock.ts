/**
 * The time that cars, drivers and meters live by: one clock for the whole fleet. What belongs to sockets (pauses between
 * attempts, call time-outs, pings, heartbeats) stays on the machine's clock, whatever this one does.
 */
export interface SimulatorClock {
  /** Unix ms. */
  now(): number;
  /** Calls `task` once when `ms` have passed; what it returns takes the call back. */
  after(ms: number, task: () => void): () => void;
}

/** The machine's clock. A timer holds 2³¹ ms at most, so longer waits end early, after a day: who waits looks again. */
export const wallClock: SimulatorClock = {
  now: () => Date.now(),
  after(ms, task) {
    const timer = setTimeout(task, Math.min(Math.max(ms, 1), 86_400_000));
    return () => clearTimeout(timer);
  },
};

interface Due {
  at: number;
  /** Order of asking, for what is due in the same ms. */
  order: number;
  task: (() => void) | null;
}

/** A clock that stands still until it is told the time; then everything that is due happens, in order. */
export class DrivenClock implements SimulatorClock {
  /** In order of time, the next one last. */
  readonly #due: Due[] = [];
  #now: number;
  #asked = 0;
  /** Called when something becomes due at the present moment. */
  onDue: () => void = () => undefined;

  constructor(now: number) {
    this.#now = now;
  }

  now(): number {
    return this.#now;
  }

  /** Unix ms of the next task; Infinity: nobody waits. */
  get nextAt(): number {
    while (this.#due.at(-1)?.task === null) this.#due.pop();
    return this.#due.at(-1)?.at ?? Infinity;
  }

  after(ms: number, task: () => void): () => void {
    const due: Due = { at: this.#now + Math.max(0, ms), order: (this.#asked += 1), task };
    let low = 0;
    let high = this.#due.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      // What was asked for earlier comes first, so it stands further back.
      if ((this.#due[middle]?.at ?? 0) > due.at) low = middle + 1;
      else high = middle;
    }
    this.#due.splice(low, 0, due);
    if (due.at <= this.#now) this.onDue();
    return () => {
      due.task = null;
    };
  }

  /** Moves to `at` and does what is due by then, also what the tasks themselves ask for. Throws when `at` is past. */
  run(at = this.#now): void {
    if (at < this.#now) throw new RangeError(`the clock stands at ${this.#now} and cannot go back to ${at}`);
    while (this.nextAt <= at) {
      const due = this.#due.pop();
      if (due === undefined) break;
      this.#now = Math.max(this.#now, due.at);
      due.task?.();
    }
    this.#now = at;
  }
}
