/** Virtual time and seeded chance: the same seed gives the same run, step by step. */
import type { OwnerClock } from '../partition/ports.ts';

/** xorshift32; good enough to choose faults, small enough to read. */
export class Chance {
  #state: number;
  constructor(seed: number) {
    this.#state = (seed * 2_654_435_761 + 1) >>> 0 || 1;
  }
  next(): number {
    let x = this.#state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#state = x >>> 0;
    return this.#state;
  }
  /** 0 ≤ n < limit. */
  below(limit: number): number {
    return this.next() % limit;
  }
  /** True in `percent` of a hundred. */
  of(percent: number): boolean {
    return this.below(10_000) < percent * 100;
  }
}

interface Planned {
  at: number;
  order: number;
  task: () => void;
  cancelled: boolean;
}

export class World {
  readonly chance: Chance;
  now = 1_700_000_000_000;
  #planned: Planned[] = [];
  #order = 0;

  constructor(seed: number) {
    this.chance = new Chance(seed);
  }

  plan(ms: number, task: () => void): () => void {
    const planned: Planned = { at: this.now + Math.max(0, ms), order: this.#order++, task, cancelled: false };
    this.#planned.push(planned);
    return () => {
      planned.cancelled = true;
    };
  }

  readonly clock: OwnerClock = {
    wall: () => this.now,
    monotonic: () => this.now - 1_700_000_000_000,
    delay: (ms) =>
      new Promise((resolve) => {
        this.plan(ms, resolve);
      }),
    after: (ms, task) => this.plan(ms, task),
  };

  /** Runs the plan in order of time until `done` or the horizon; after each task all that follows from it runs first. */
  async run(horizonMs: number, done: () => boolean): Promise<boolean> {
    const end = this.now + horizonMs;
    // What was started just before may plan its first step only after this turn.
    await new Promise((resolve) => setImmediate(resolve));
    while (!done()) {
      let next: Planned | undefined;
      this.#planned = this.#planned.filter((planned) => !planned.cancelled);
      for (const planned of this.#planned) {
        if (!next || planned.at < next.at || (planned.at === next.at && planned.order < next.order)) next = planned;
      }
      if (!next || next.at > end) {
        this.now = Math.max(this.now, end);
        return done();
      }
      this.#planned.splice(this.#planned.indexOf(next), 1);
      this.now = Math.max(this.now, next.at);
      next.task();
      await new Promise((resolve) => setImmediate(resolve));
    }
    return true;
  }
}
