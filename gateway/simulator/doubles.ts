/**
 * Says everything twice: what was answered on one socket comes again on a later one, under a new message id, between the
 * messages of that time. So a system hears late and repeated messages as from a charger that lost its answers.
 */
import { Random } from './random.ts';
import type { Frame } from './version.ts';

/** Answered messages after which the line is given up, so that they come again on the next one. */
const batch = { least: 4, most: 24 };

export class Doubles {
  readonly #random: Random;
  readonly #anyOrder: boolean;
  /** Answered on this socket, and to be said again on it: what earlier sockets said. */
  #answered: Frame[] = [];
  #again: Frame[] = [];
  #limit: number;
  #turn = false;

  /** `anyOrder`: repeats may be shuffled among each other (2.0.1); else they keep the order of time. */
  constructor(seed: number, identity: string, anyOrder: boolean) {
    this.#random = new Random(`doubles ${seed}, ${identity}`);
    this.#anyOrder = anyOrder;
    this.#limit = this.#draw();
  }

  #draw = () => batch.least + this.#random.below(batch.most - batch.least + 1);

  /** How many messages have not been said twice. */
  get left(): number {
    return this.#answered.length + this.#again.length;
  }

  /** A message was answered for the first time; true: now the line is to be given up. */
  answered(frame: Frame): boolean {
    this.#answered.push(frame);
    // Mostly a repeat stands between two fresh messages; in half of the gaps.
    this.#turn = this.#random.below(2) === 0;
    return this.#answered.length >= this.#limit;
  }

  /** The line was given up. */
  opened(): void {
    this.#again.push(...this.#answered);
    this.#answered = [];
    this.#limit = this.#draw();
    if (!this.#anyOrder) return;
    for (let i = this.#again.length - 1; i > 0; i -= 1) {
      const j = this.#random.below(i + 1);
      const [a, b] = [this.#again[i], this.#again[j]];
      if (a !== undefined && b !== undefined) [this.#again[i], this.#again[j]] = [b, a];
    }
  }

  /** The repeat that is to be said now; `now`: with nothing fresh to wait for. */
  next(now: boolean): Frame | undefined {
    return now || this.#turn ? this.#again[0] : undefined;
  }

  /** It was answered. */
  done(): void {
    this.#again.shift();
    this.#turn = this.#random.below(3) === 0;
  }
}
