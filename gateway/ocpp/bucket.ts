/** A token bucket: `rate` per second, at most `burst` at once. Times in ms from one monotonic clock. */
export class Bucket {
  readonly #burst: number;
  #tokens: number;
  #at: number;

  constructor(burst: number, now: number) {
    this.#burst = burst;
    this.#tokens = burst;
    this.#at = now;
  }

  take(now: number, rate: number): boolean {
    if (this.#tokens < 1 && this.level(now, rate) < 1) return false;
    this.#tokens -= 1;
    return true;
  }

  /** Tokens there are now. */
  level(now: number, rate: number): number {
    this.#tokens = Math.min(this.#burst, this.#tokens + ((now - this.#at) / 1_000) * rate);
    this.#at = now;
    return this.#tokens;
  }
}
