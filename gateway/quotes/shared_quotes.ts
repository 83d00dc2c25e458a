/**
 * Quotes in Redis, shared by all processes: `q:<SYM>` for 120 s, and `ql:<SYM>`, which says who asks the feed.
 *
 * S1 Whether there is a quote young enough and who is to fetch one is decided in one step.
 * S2 The lock carries its owner's token and is renewed while he asks; who loses it loses nothing else. A lock whose owner died
 *    lapses by itself, and one of those who waited takes it: one fetch more.
 * S3 A failure stands in the place of the lock for a moment, so that those who waited fail with it and do not ask in turn.
 * S4 An older quote never replaces a newer one.
 */
import type { Redis } from 'ioredis';
import { quoteText, quoteTtlMs, type Quote } from './quote.ts';

const lockMs = 2_000;
const renewMs = 500;
const failureMs = 1_000;

export class RedisSilent extends Error {
  override readonly name = 'RedisSilent';
}

export type Look = { is: 'quote'; text: string } | { is: 'yours' } | { is: 'failed' } | { is: 'asked_by_another' };

const look = `local held = redis.call('get', KEYS[1])
if held and (tonumber(string.match(held, '^%d+ ')) or 0) >= tonumber(ARGV[1]) then return {'quote', held} end
if redis.call('set', KEYS[2], ARGV[2], 'NX', 'PX', ARGV[3]) then return {'yours'} end
if redis.call('get', KEYS[2]) == 'failed' then return {'failed'} end
return {'asked_by_another'}`;
const renew = `if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('pexpire', KEYS[1], ARGV[2]) end return 0`;
const keep = `local held = redis.call('get', KEYS[1])
if not held or (tonumber(string.match(held, '^%d+ ')) or 0) < tonumber(ARGV[1]) then
  redis.call('set', KEYS[1], ARGV[2], 'PX', ARGV[3])
end
if redis.call('get', KEYS[2]) == ARGV[4] then redis.call('del', KEYS[2]) end`;
const fail = `if redis.call('get', KEYS[1]) == ARGV[1] then redis.call('set', KEYS[1], 'failed', 'PX', ARGV[2]) end`;
const drop = `if redis.call('get', KEYS[1]) == ARGV[1] then redis.call('del', KEYS[1]) end`;

export class SharedQuotes {
  readonly #redis: Redis;
  readonly #feed: string;
  readonly #answerMs: number;

  /**
   * @param feed '' for the installation's own; another one has quotes of its own
   * @param answerMs answers later than this count as none: a quote without Redis is better than no quote
   */
  constructor(redis: Redis, feed: string, answerMs: number) {
    this.#redis = redis;
    this.#answerMs = answerMs;
    this.#feed = feed === '' ? '' : `${feed}:`;
  }

  /** A quote made at `minAt` or later, or the right to fetch one under `token`. @throws {RedisSilent} */
  async look(symbol: string, minAt: number, token: string): Promise<Look> {
    const [is, text = ''] = await this.#run<[Look['is'], string?]>(look, this.#keys(symbol), [minAt, token, lockMs]);
    return { is, text };
  }

  /** Keeps the lock while a fetch runs; returns what ends that. */
  hold(symbol: string, token: string): () => void {
    const [, lock] = this.#keys(symbol);
    const timer = setInterval(() => {
      this.#run(renew, [lock], [token, lockMs]).catch(() => undefined);
    }, renewMs);
    return () => clearInterval(timer);
  }

  /** @throws {RedisSilent} */
  async keep(quote: Quote, token: string): Promise<void> {
    await this.#run(keep, this.#keys(quote.symbol), [quote.at, quoteText(quote), quoteTtlMs, token]);
  }

  /** @throws {RedisSilent} */
  async failed(symbol: string, token: string): Promise<void> {
    const [, lock] = this.#keys(symbol);
    await this.#run(fail, [lock], [token, failureMs]);
  }

  /** Takes out what must not be used, unless it was replaced. @throws {RedisSilent} */
  async drop(symbol: string, text: string): Promise<void> {
    const [cache] = this.#keys(symbol);
    await this.#run(drop, [cache], [text]);
  }

  #keys(symbol: string): [cache: string, lock: string] {
    return [`q:${this.#feed}${symbol}`, `ql:${this.#feed}${symbol}`];
  }

  async #run<Reply>(script: string, keys: string[], args: (string | number)[]): Promise<Reply> {
    let timer: NodeJS.Timeout | undefined;
    try {
      return (await Promise.race([
        this.#redis.eval(script, keys.length, ...keys, ...args),
        new Promise((_, reject) => {
          timer = setTimeout(() => reject(new Error(`no answer in ${this.#answerMs} ms`)), this.#answerMs);
        }),
      ])) as Reply;
    } catch (error) {
      throw new RedisSilent((error as Error).message);
    } finally {
      clearTimeout(timer);
    }
  }
}
