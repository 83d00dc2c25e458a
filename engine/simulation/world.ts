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
  /** null once cancelled. */
  task: (() => void) | null;
}

const before = (a: Planned, b: Planned) => (a.at !== b.at ? a.at < b.at : a.order < b.order);
/** So many tasks, then a turn of the real event loop: a few waits of the product are real ones. */
const tasksPerTurn = 64;

export class World {
  readonly chance: Chance;
  now = 1_700_000_000_000;
  /** A binary heap by (at, order). */
  readonly #planned: Planned[] = [];
  #order = 0;

  constructor(seed: number) {
    this.chance = new Chance(seed);
  }

  plan(ms: number, task: () => void): () => void {
    const planned: Planned = { at: this.now + Math.max(0, ms), order: this.#order++, task };
    const heap = this.#planned;
    let i = heap.push(planned) - 1;
    for (let parent = (i - 1) >> 1; i > 0 && before(planned, heap[parent]!); parent = (i - 1) >> 1) {
      heap[i] = heap[parent]!;
      i = parent;
    }
    heap[i] = planned;
    return () => {
      planned.task = null;
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
    for (let tasks = 1; !done();) {
      const next = this.#planned[0];
      if (!next || next.at > end) {
        this.now = Math.max(this.now, end);
        return done();
      }
      this.#pop();
      if (next.task === null) continue;
      this.now = Math.max(this.now, next.at);
      next.task();
      // A tick comes when no promise has anything left to do.
      if (tasks++ % tasksPerTurn === 0) await new Promise((resolve) => setImmediate(resolve));
      else await new Promise<void>((resolve) => process.nextTick(resolve));
    }
    return true;
  }

  #pop() {
    const heap = this.#planned;
    const last = heap.pop()!;
    if (heap.length === 0) return;
    let i = 0;
    for (let child = 1; child < heap.length; child = 2 * i + 1) {
      if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child += 1;
      if (!before(heap[child]!, last)) break;
      heap[i] = heap[child]!;
      i = child;
    }
    heap[i] = last;
  }
}
