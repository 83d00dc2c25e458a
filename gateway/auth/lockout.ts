/**
 * Stops guessing: attempts are counted per e-mail and per address in Redis *before* the password is looked at, so that
 * attempts in parallel cannot slip through. Success forgets the e-mail's attempts.
 */
import { createHash } from 'node:crypto';
import type { Redis } from 'ioredis';

export interface LockoutLimits {
  /** @default 8 */ perEmail?: number;
  /** Many people may share one address. @default 60 */ perAddress?: number;
  /** From the first attempt counted. @default 900_000 */ windowMs?: number;
}

export class Lockout {
  readonly #redis: Redis;
  readonly #limits: Required<LockoutLimits>;

  constructor(redis: Redis, limits: LockoutLimits = {}) {
    this.#redis = redis;
    this.#limits = { perEmail: 8, perAddress: 60, windowMs: 900_000, ...limits };
  }

  /** Counts an attempt; returns 0 if it may go on, else the ms to wait. */
  async attempt(email: string, address: string): Promise<number> {
    const { perEmail, perAddress, windowMs } = this.#limits;
    const [forEmail, forAddress] = await Promise.all([
      this.#count(key('email', email), windowMs),
      this.#count(key('address', address), windowMs),
    ]);
    return Math.max(
      forEmail.count > perEmail ? forEmail.leftMs : 0,
      forAddress.count > perAddress ? forAddress.leftMs : 0,
    );
  }

  /** The attempt was right: it does not count. */
  async succeeded(email: string, address: string): Promise<void> {
    await Promise.all([this.#redis.del(key('email', email)), this.#redis.decr(key('address', address))]);
  }

  async #count(name: string, windowMs: number): Promise<{ count: number; leftMs: number }> {
    const results = await this.#redis.multi().incr(name).pexpire(name, windowMs, 'NX').pttl(name).exec();
    const [count, , leftMs] = (results ?? []).map(([error, value]) => {
      if (error) throw error;
      return value as number;
    });
    if (count === undefined || leftMs === undefined) throw new Error('the attempt could not be counted');
    return { count, leftMs: Math.max(leftMs, 1) };
  }
}

/** Hashed, so that keys have a bounded length and Redis holds no list of addresses. */
const key = (what: 'email' | 'address', value: string) =>
  `lockout:${what}:${createHash('sha256').update(value).digest('base64url')}`;
