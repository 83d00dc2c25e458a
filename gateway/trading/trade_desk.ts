/**
 * Where trading commands get their quotes before they go to their customer, who knows no feed and no secret.
 *
 * T1 A price comes from a feed of this process, never from who sends the command.
 * T2 A command whose quote cannot be had goes to its customer without one, who refuses it: so the trade log has it, too.
 * T3 A hit is told to the ticker of its symbol once somebody can have armed a trigger on that feed.
 * T4 A quote server is asked only when the installation is set to it: no command makes a gateway connect anywhere.
 */
import { randomUUID } from 'node:crypto';
import type { Redis } from 'ioredis';
import type { Logger } from 'pino';
import { tickerAddress } from '#actors/addresses';
import { symbolOf } from '#actors/instrument';
import { token } from '#actors/schema/subjects';
import type { SymbolQuote } from '#actors/schema/trading';
import { ConfigError } from '#engine/config/config';
import type { Door } from '#engine/log/mod';
import { Cryptokeys, maxAgeMs, openFeed, parseFeed, parseSecrets, QuoteError, QuoteService } from '../quotes/mod.ts';
import type { Quote, QuoteFeed } from '../quotes/mod.ts';

export interface TradeDeskOptions {
  door: Pick<Door, 'append'>;
  redis: Redis;
  /** The log's clock, unix ms. */
  now(): number;
  log: Pick<Logger, 'warn'>;
  config: { quoteFeed: string; quoteSecrets: string };
}

/** What a quote is wanted for. */
export interface Wanted {
  /** As actors name it; of a station none is needed. */
  instrument: string;
  /** For whom the feed is asked. */
  user: string;
}

export interface WantedFrom {
  /** Word of a feed; '' is the installation's own. */
  feed: string;
  /** Whether triggers fire by it. */
  triggers: boolean;
}

interface OpenFeed {
  service: QuoteService;
  feed: QuoteFeed;
  isTold: boolean;
}

/** Feeds beside the installation's own; the one that was opened first makes room. */
const feedsMax = 64;
/** What a feed takes of a name; any customer's can be written so. */
const feedUserChars = 160;

export class TradeDesk {
  readonly #options: TradeDeskOptions;
  readonly #keys: Cryptokeys;
  /** Before the names in Redis: who has a secret of its own shares nothing. */
  readonly #alone: string;
  readonly #feeds = new Map<string, OpenFeed>();

  /** @throws {ConfigError} when feed or secrets of the settings are none */
  constructor(options: TradeDeskOptions) {
    this.#options = options;
    const { quoteFeed, quoteSecrets } = options.config;
    this.#alone = quoteSecrets === '' ? `${randomUUID()}:` : '';
    this.#keys =
      quoteSecrets === '' ? new Cryptokeys({ keyId: 'own', secret: randomUUID() }) : parseSecrets(quoteSecrets);
    parseFeed(quoteFeed);
    this.#open('');
  }

  /** Why the feed is not asked by this desk; null: it is. */
  feedRefused(word: string): string | null {
    if (word === '' || word === this.#options.config.quoteFeed) return null;
    try {
      if (parseFeed(word).kind !== 'tcp') return null;
      return 'of quote servers, only the one is asked that the installation is set to (GRIDTICK_QUOTE_FEED)';
    } catch (error) {
      if (error instanceof ConfigError) return error.message;
      throw error;
    }
  }

  /** Null: there is none, or none is needed. Ask {@link feedRefused} first. */
  async quote({ instrument, user }: Wanted, { feed: word, triggers }: WantedFrom): Promise<SymbolQuote | null> {
    const symbol = symbolOf(instrument);
    if (symbol === null) return null;
    const open = this.#feeds.get(word) ?? this.#open(word);
    open.isTold ||= triggers;
    try {
      const { quote, isHit } = await open.service.quote({
        symbol,
        user: token(user).slice(0, feedUserChars),
        maxAgeMs: maxAgeMs.order,
      });
      return { priceE5Sek: quote.priceE5Sek, at: quote.at, user: quote.user, key: quote.cryptokey, hit: isHit };
    } catch (error) {
      if (error instanceof QuoteError) return null;
      throw error;
    }
  }

  async close(): Promise<void> {
    await Promise.all([...this.#feeds.values()].map(({ feed }) => feed.close()));
  }

  #open(word: string): OpenFeed {
    const { now, redis, log, config } = this.#options;
    const oldest = [...this.#feeds.keys()][1];
    if (this.#feeds.size > feedsMax && oldest !== undefined) {
      void this.#feeds.get(oldest)!.feed.close();
      this.#feeds.delete(oldest);
    }
    const feed = openFeed(word === '' ? config.quoteFeed : word, now);
    const open: OpenFeed = {
      feed,
      isTold: false,
      service: new QuoteService({
        feed,
        keys: this.#keys,
        redis,
        now,
        feedName: `${this.#alone}${word}`,
        onHit: (quote) => open.isTold && this.#tell(word, quote),
        onInvalid: (about) => log.warn({ event: 'quote_invalid', feed: word, ...about }, 'a quote with a bad key'),
      }),
    };
    this.#feeds.set(word, open);
    return open;
  }

  #tell(feed: string, { symbol, priceE5Sek, at }: Quote): void {
    const body = { feed, symbol, priceE5Sek, at };
    this.#options.door
      .append({ id: null, to: tickerAddress(feed, symbol), type: 'ticker.quote', body, fact: true })
      // The next quote of the symbol tells it again.
      .catch((error: unknown) => this.#options.log.warn({ event: 'quote_untold', symbol, err: error }, 'quote untold'));
  }
}
