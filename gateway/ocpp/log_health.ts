/**
 * Whether the log takes anything at all.
 *
 * A CALLERROR counts as a failed delivery: after a few of them a charger discards its message. So when nothing is
 * acknowledged for a while, chargers are better off disconnected: an offline charger keeps its queue.
 */
export class LogHealth {
  readonly #breakerMs: number;
  #progressAt: number;
  #down = false;

  constructor(breakerMs: number, now: number) {
    this.#breakerMs = breakerMs;
    this.#progressAt = now;
  }

  /** True from `breakerMs` without an acknowledgement until the next one. */
  get down(): boolean {
    return this.#down;
  }

  acknowledged(now: number): void {
    this.#progressAt = now;
    this.#down = false;
  }

  /** To be called regularly; `inFlight` are the appends that wait for their acknowledgement. */
  look(now: number, inFlight: number): 'went down' | 'down' | 'up' {
    if (inFlight === 0) this.acknowledged(now);
    if (now - this.#progressAt < this.#breakerMs) return 'up';
    if (this.#down) return 'down';
    this.#down = true;
    return 'went down';
  }
}
