/** Prices of symbols: feeds, keys, cache. */
export { Cryptokeys, parseSecrets } from './cryptokey.ts';
export { symbolForm, type QuoteFeed } from './feed.ts';
export { openFeed, parseFeed } from './feed_word.ts';
export type { Quote } from './quote.ts';
export { maxAgeMs, QuoteError, QuoteService, type Quoted, type QuoteStats } from './service.ts';
