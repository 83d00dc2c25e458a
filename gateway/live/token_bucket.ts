/** Lets `burst` through at once and `perSecond` in the long run. Time comes in as an argument. */
export class TokenBucket {
  readonly #burst: number;
  readonly #perSecond: number;
  #tokens: number;
  #at: number;

  constructor({ burst, perSecond }: { burst: number; perSecond: number }, clockMs: number) {
    this.#burst = burst;
    this.#perSecond = perSecond;
    this.#tokens = burst;
    this.#at = clockMs;
  }

  take(clockMs: number): boolean {
    this.#tokens = Math.min(this.#burst, this.#tokens + ((clockMs - this.#at) / 1_000) * this.#perSecond);
    this.#at = clockMs;
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }
}
