/**
 * Admission of upgrades: a bounded rate, a bounded number of open handshakes. Whoever is over it is told when to come
 * back, spread by identity, before anything expensive (look-up, password hash) is done for it.
 */
import { Bucket } from './bucket.ts';
import type { Limits } from './limits.ts';

export type Admission = { admitted: true } | { admitted: false; retryAfterS: number };

export class AdmissionControl {
  readonly #limits: Limits;
  readonly #bucket: Bucket;
  #open = 0;
  /** Refusals lately, halved every 10 s: an estimate of how many wait outside. */
  #waiting = 0;
  #decayedAt: number;

  constructor(limits: Limits, now: number) {
    this.#limits = limits;
    this.#bucket = new Bucket(limits.upgradeBurst, now);
    this.#decayedAt = now;
  }

  get openHandshakes(): number {
    return this.#open;
  }

  /** An admitted handshake must be given back by {@link done}. */
  ask(identity: string, now: number, lagMs: number): Admission {
    const rate =
      lagMs > this.#limits.halveUpgradesAtLagMs ? this.#limits.upgradesPerSecond / 2 : this.#limits.upgradesPerSecond;
    if (this.#open >= this.#limits.openHandshakes || !this.#bucket.take(now, rate)) {
      return { admitted: false, retryAfterS: this.retryAfterS(identity, now, rate) };
    }
    this.#open += 1;
    return { admitted: true };
  }

  done(): void {
    this.#open -= 1;
  }

  /** 2 + h(identity) mod W seconds, where W is the time that all who wait would need, between 5 and 120 s. */
  retryAfterS(identity: string, now: number, rate: number = this.#limits.upgradesPerSecond): number {
    while (now - this.#decayedAt >= 10_000) {
      this.#waiting = Math.floor(this.#waiting / 2);
      this.#decayedAt = this.#waiting === 0 ? now : this.#decayedAt + 10_000;
    }
    this.#waiting += 1;
    const width = Math.min(120, Math.max(5, Math.ceil(this.#waiting / rate)));
    return 2 + (spread(identity) % width);
  }
}

/** fnv1a32 over UTF-16 units: only a spread, no secret. */
export function spread(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}
