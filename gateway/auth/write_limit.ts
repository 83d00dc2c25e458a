/** How many commands one user may send in a minute, over all gateways; a batch counts as many as it holds. */
import type { Redis } from 'ioredis';

const windowMs = 60_000;

export class WriteLimit {
  readonly #redis: Redis;
  readonly #perMinute: number;

  /** @param perMinute commands per user, @default 6,000 */
  constructor(redis: Redis, perMinute = 6_000) {
    this.#redis = redis;
    this.#perMinute = perMinute;
  }

  /** Counts; returns 0 if they may be sent, else the ms to wait. What is refused counts as well. */
  async take(user: string, commands: number): Promise<number> {
    const key = `rate:write:${user}`;
    const results = await this.#redis.multi().incrby(key, commands).pexpire(key, windowMs, 'NX').pttl(key).exec();
    const [count, , leftMs] = (results ?? []).map(([error, value]) => {
      if (error) throw error;
      return value as number;
    });
    if (count === undefined || leftMs === undefined) throw new Error('the commands could not be counted');
    return count > this.#perMinute ? Math.max(leftMs, 1) : 0;
  }
}
