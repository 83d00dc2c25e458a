/**
 * Lets what the partitions of one process have to send leave together: after a quiet time at once, else at the next beat
 * with that of all others. A beat costs one socket write and one wake-up of the server, whatever the number of partitions;
 * under load this is most of what a small frame or record costs.
 */
export interface PaceClock {
  /** ms that never jump. */
  monotonic(): number;
  delay(ms: number): Promise<void>;
}

const processClock: PaceClock = {
  monotonic: () => performance.now(),
  delay: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
};

export class Pace {
  readonly #everyMs: number;
  readonly #clock: PaceClock;
  #beatAt = -Infinity;
  #next: Promise<void> | null = null;

  /** `everyMs` = least time between two beats. */
  constructor(everyMs: number, clock: PaceClock = processClock) {
    this.#everyMs = everyMs;
    this.#clock = clock;
  }

  /** Resolves at the next beat; never in the caller's own turn, so that what comes in one turn leaves in one beat. */
  turn(): Promise<void> {
    return (this.#next ??= this.#beat());
  }

  async #beat() {
    const waitMs = this.#beatAt + this.#everyMs - this.#clock.monotonic();
    if (waitMs > 0) await this.#clock.delay(waitMs);
    else await Promise.resolve();
    this.#beatAt = this.#clock.monotonic();
    this.#next = null;
  }
}
