/**
 * Quotes of symbols for whoever needs one, with as few hits on the feed as there can be.
 *
 * Q1 However many ask for a symbol at once, in this process or in others on the same Redis, the feed is asked once.
 * Q2 Without Redis this holds within the process, with the same lifetimes; nothing else stops.
 * Q3 What comes out of the cache is used only when its key is ours: a bad one is `quote_invalid`, told, and thrown away.
 * Q4 A hit is told once, by the process and to the caller that made it; what a cache answered is none.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import type { Cryptokeys } from './cryptokey.ts';
import { FeedFailed, symbolForm, type QuoteFeed } from './feed.ts';
import { hitCostE5Sek, quoteOfText, quoteTtlMs, type Quote } from './quote.ts';
import { RedisSilent, SharedQuotes } from './shared_quotes.ts';

/** How old a quote may be, ms: for an order, and for looking at. */
export const maxAgeMs = { order: 60_000, look: quoteTtlMs } as const;

export type QuoteErrorCode = 'quote_unavailable' | 'quote_invalid';

export class QuoteError extends Error {
  override readonly name = 'QuoteError';
  readonly code: QuoteErrorCode;

  constructor(code: QuoteErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

export interface QuoteRequest {
  symbol: string;
  user: string;
  /** Of {@link maxAgeMs}; never more than 120 s. */
  maxAgeMs: number;
}

export interface Quoted {
  quote: Quote;
  /** This request made the feed answer, and nobody else was told so. */
  isHit: boolean;
}

export interface QuoteServiceDeps {
  feed: QuoteFeed;
  keys: Cryptokeys;
  redis: Redis;
  /** The log's clock, unix ms. */
  now(): number;
  /** Name of the feed in Redis, for quotes beside the installation's own. @default '' */
  feedName?: string;
  /** Redis is silent when it takes longer, ms. @default 300 */
  redisAnswerMs?: number;
  /** Keys that the quote server signs with. @default its key is kept, and not checked */
  serverKeys?: Pick<Cryptokeys, 'verify'>;
  onHit?(quote: Quote): void;
  /** A quote with a bad key: somebody wrote into the cache, or stands between us and the quote server. */
  onInvalid?(about: { symbol: string; from: 'cache' | 'feed' }): void;
}

export interface QuoteStats {
  hits: number;
  /** 10⁻⁵ SEK. */
  costE5Sek: number;
  /** Answered by a cache, and by the request of somebody else in this process. */
  cacheHits: number;
  shared: number;
  /** Requests that the feed did not answer, and quotes with a bad key. */
  failures: number;
  invalid: number;
  /** 1 = this process looks after itself. */
  withoutRedis: 0 | 1;
}

/** What Redis said is repeated for so long, ms; the newest quote of another process is seen that much later at most. */
const repeatMs = 1_000;
/** After silence Redis is left alone for so long, ms. */
const silenceMs = 1_000;
/** Longest wait for another process that asks the feed, ms. */
const waitMsMax = 30_000;
const symbolsKept = 20_000;
const userForm = /^[^\s,|\p{Cc}]{1,160}$/u;

export class QuoteService {
  readonly #deps: QuoteServiceDeps;
  readonly #shared: SharedQuotes;
  readonly #near = new Map<string, { quote: Quote; seenAt: number }>();
  readonly #flights = new Map<string, Promise<Quoted>>();
  readonly #counts = { hits: 0, cacheHits: 0, shared: 0, failures: 0, invalid: 0 };
  #silentUntil = 0;

  constructor(deps: QuoteServiceDeps) {
    this.#deps = deps;
    this.#shared = new SharedQuotes(deps.redis, deps.feedName ?? '', deps.redisAnswerMs ?? 300);
  }

  /**
   * A quote that is young enough.
   * @throws {QuoteError} `quote_unavailable`: the feed does not answer; `quote_invalid`: not signed by a live key
   */
  async quote({ symbol, user, maxAgeMs }: QuoteRequest): Promise<Quoted> {
    if (!symbolForm.test(symbol) || !userForm.test(user)) throw new RangeError(`no symbol or user: ${symbol}, ${user}`);
    const ageMax = Math.min(maxAgeMs, quoteTtlMs);
    for (;;) {
      const near = this.#near.get(symbol);
      if (near && this.#isYoung(near.quote, ageMax) && (this.#isSilent() || performance.now() < near.seenAt + repeatMs))
        return this.#cached(near.quote);
      const flight = this.#flights.get(symbol);
      if (flight === undefined) return this.#fly(symbol, user, ageMax);
      const { quote } = await flight;
      // Somebody was content with an older one.
      if (!this.#isYoung(quote, ageMax)) continue;
      this.#counts.shared += 1;
      return { quote, isHit: false };
    }
  }

  stats(): QuoteStats {
    return {
      ...this.#counts,
      costE5Sek: this.#counts.hits * hitCostE5Sek,
      withoutRedis: this.#isSilent() ? 1 : 0,
    };
  }

  #fly(symbol: string, user: string, ageMax: number): Promise<Quoted> {
    const flight = this.#find(symbol, user, ageMax).finally(() => this.#flights.delete(symbol));
    this.#flights.set(symbol, flight);
    return flight;
  }

  async #find(symbol: string, user: string, ageMax: number): Promise<Quoted> {
    const token = randomUUID();
    const giveUpAt = performance.now() + waitMsMax;
    for (let waitMs = 5; !this.#isSilent(); waitMs = Math.min(waitMs * 2, 40)) {
      const look = await this.#orSilent(this.#shared.look(symbol, this.#deps.now() - ageMax, token));
      if (look === null) break;
      switch (look.is) {
        case 'quote':
          return this.#cached(this.#keep(await this.#checked(symbol, look.text)));
        case 'yours':
          return this.#fetchForAll(symbol, user, token);
        case 'failed':
          throw new QuoteError('quote_unavailable', `no price of ${symbol}: the feed did not answer`);
        case 'asked_by_another':
          if (performance.now() > giveUpAt)
            throw new QuoteError('quote_unavailable', `no price of ${symbol}: another process asks for too long`);
          await sleep(waitMs);
      }
    }
    const near = this.#near.get(symbol);
    if (near && this.#isYoung(near.quote, ageMax)) return this.#cached(near.quote);
    return this.#hit(symbol, user);
  }

  async #fetchForAll(symbol: string, user: string, token: string): Promise<Quoted> {
    const release = this.#shared.hold(symbol, token);
    try {
      const quoted = await this.#hit(symbol, user);
      await this.#orSilent(this.#shared.keep(quoted.quote, token));
      return quoted;
    } catch (error) {
      await this.#orSilent(this.#shared.failed(symbol, token));
      throw error;
    } finally {
      release();
    }
  }

  /** Asks the feed; the only place that does. */
  async #hit(symbol: string, user: string): Promise<Quoted> {
    const { feed, keys, now, serverKeys, onHit } = this.#deps;
    let answer;
    try {
      answer = await feed.ask(symbol, user);
    } catch (error) {
      if (!(error instanceof FeedFailed)) throw error;
      this.#counts.failures += 1;
      throw new QuoteError('quote_unavailable', `no price of ${symbol}: ${error.message}`);
    }
    const at = now();
    const { priceE5Sek, serverAt, serverKey } = answer;
    // A server's clock is not ours: ages count from the arrival, and its time is kept beside.
    const sealed = { symbol, priceE5Sek, user, at };
    if (serverKeys && !serverKeys.verify({ ...sealed, at: serverAt ?? at }, serverKey ?? ''))
      throw this.#invalid(symbol, 'feed');
    const cryptokey = keys.sign(sealed);
    const quote = { ...sealed, cryptokey, serverAt: serverAt ?? at, serverKey: serverKey ?? cryptokey };
    this.#counts.hits += 1;
    this.#keep(quote);
    onHit?.(quote);
    return { quote, isHit: true };
  }

  async #checked(symbol: string, text: string): Promise<Quote> {
    const quote = quoteOfText(text, symbol);
    if (quote !== null && this.#deps.keys.verify(quote, quote.cryptokey)) return quote;
    await this.#orSilent(this.#shared.drop(symbol, text));
    throw this.#invalid(symbol, 'cache');
  }

  #invalid(symbol: string, from: 'cache' | 'feed'): QuoteError {
    this.#counts.invalid += 1;
    this.#deps.onInvalid?.({ symbol, from });
    return new QuoteError('quote_invalid', `the quote of ${symbol} from the ${from} has a bad key`);
  }

  #keep(quote: Quote): Quote {
    // The oldest goes first: a symbol that is asked for moves to the end.
    this.#near.delete(quote.symbol);
    if (this.#near.size >= symbolsKept) this.#near.delete(this.#near.keys().next().value!);
    this.#near.set(quote.symbol, { quote, seenAt: performance.now() });
    return quote;
  }

  #cached(quote: Quote): Quoted {
    this.#counts.cacheHits += 1;
    return { quote, isHit: false };
  }

  #isYoung = ({ at }: Quote, ageMax: number): boolean => this.#deps.now() - at <= ageMax;
  #isSilent = (): boolean => performance.now() < this.#silentUntil;

  /** Null: Redis is silent, and left alone for a while. */
  async #orSilent<T>(work: Promise<T>): Promise<T | null> {
    try {
      return await work;
    } catch (error) {
      if (!(error instanceof RedisSilent)) throw error;
      this.#silentUntil = performance.now() + silenceMs;
      return null;
    }
  }
}
