/** Where prices of symbols come from. One answer is one hit, and hits cost money: `service.ts` asks as seldom as it may. */

/** Letters of a symbol, as in the request of a quote server. */
export const symbolForm = /^[A-Za-z]{1,3}$/;

export interface FeedAnswer {
  symbol: string;
  /** For whom it was asked. */
  user: string;
  /** 10⁻⁵ SEK per share, above 0. */
  priceE5Sek: number;
  /** What the feed's own clock said; null: it has none, and the time of arrival counts. */
  serverAt: number | null;
  /** The feed's own key under its answer; null: it signs nothing. */
  serverKey: string | null;
}

export interface QuoteFeed {
  /** As in the feed's word: `const:0.01`, `walk:7`, `tcp:host:4444`. */
  readonly name: string;
  /** @throws {FeedFailed} when there is no answer within the bounds of the feed */
  ask(symbol: string, user: string): Promise<FeedAnswer>;
  close(): Promise<void>;
}

/** `silent`: nobody answered in time; `wrong`: what was answered is no price for what was asked. */
export class FeedFailed extends Error {
  override readonly name = 'FeedFailed';
  readonly how: 'silent' | 'wrong';

  constructor(how: 'silent' | 'wrong', message: string) {
    super(message);
    this.how = how;
  }
}

/** The same price for everything, for ever. */
export function constFeed(priceE5Sek: number, name: string): QuoteFeed {
  return {
    name,
    ask: async (symbol, user) => ({ symbol, user, priceE5Sek, serverAt: null, serverKey: null }),
    async close() {},
  };
}
