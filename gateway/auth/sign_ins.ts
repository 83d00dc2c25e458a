/**
 * Sign-ins: an opaque 256-bit id in the browser's cookie, its SHA-256 as the key in Redis. They slide: 12 h after the
 * last use they lapse, 30 days after signing in in any case. Losing Redis signs everyone out, which is safe.
 */
import { createHash, randomBytes } from 'node:crypto';
import type { Redis } from 'ioredis';

export const signInIdleMs = 12 * 3_600_000;
export const signInAgeMsMax = 30 * 24 * 3_600_000;
export const cookieName = 'gridtick';

export interface SignIn {
  /** SHA-256 of the id, hex: names the sign-in inside the house without being able to use it. */
  hash: string;
  user: string;
  /** Unix ms. */
  signedInAt: number;
  /** When it lapses unless used, unix ms. */
  until: number;
}

type Stored = { user: string; signedInAt: number };
const form = /^[\w-]{43}$/;
const redisKey = (hash: string) => `signin:${hash}`;
const hashOf = (id: string) => createHash('sha256').update(id).digest('hex');

export class SignIns {
  readonly #redis: Redis;
  readonly #clock: () => number;
  readonly #listeners = new Set<(hash: string) => void>();

  constructor(redis: Redis, clock: () => number = Date.now) {
    this.#redis = redis;
    this.#clock = clock;
  }

  /** `id` is the cookie's value and is kept nowhere else. */
  async open(user: string): Promise<{ id: string; signIn: SignIn }> {
    const id = randomBytes(32).toString('base64url');
    const signedInAt = this.#clock();
    const hash = hashOf(id);
    await this.#redis.set(redisKey(hash), JSON.stringify({ user, signedInAt } satisfies Stored), 'PX', signInIdleMs);
    return { id, signIn: { hash, user, signedInAt, until: signedInAt + signInIdleMs } };
  }

  /** Finds by the cookie's value and counts as a use. */
  find(id: string): Promise<SignIn | undefined> {
    return form.test(id) ? this.touch(hashOf(id)) : Promise.resolve(undefined);
  }

  /** Finds by the hash and counts as a use. */
  async touch(hash: string): Promise<SignIn | undefined> {
    const text = await this.#redis.getex(redisKey(hash), 'PX', signInIdleMs);
    if (text === null) return undefined;
    const { user, signedInAt } = JSON.parse(text) as Stored;
    const now = this.#clock();
    if (now - signedInAt > signInAgeMsMax) {
      await this.end(hash);
      return undefined;
    }
    return { hash, user, signedInAt, until: Math.min(now + signInIdleMs, signedInAt + signInAgeMsMax) };
  }

  async end(hash: string): Promise<void> {
    await this.#redis.del(redisKey(hash));
    for (const listener of this.#listeners) listener(hash);
  }

  /** Told at once of sign-ins that end in this process; those that end elsewhere are found by {@link touch}. */
  onEnd(listener: (hash: string) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
