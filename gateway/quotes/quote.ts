/** A price of a symbol, with all that a trade and the dump must know of it. */
import type { Sealed } from './cryptokey.ts';

export interface Quote extends Sealed {
  /** Over the rest, by our own key. */
  cryptokey: string;
  /** What the quote server's clock said, ms, and the key it gave; of a built-in feed the same as ours. */
  serverAt: number;
  serverKey: string;
}

export const quoteTtlMs = 120_000;
/** Cost of a hit, 10⁻⁵ SEK. */
export const hitCostE5Sek = 5_000;

/** As Redis holds it: the time first, for the scripts there. */
export const quoteText = ({ at, ...rest }: Quote): string => `${at} ${JSON.stringify(rest)}`;

/** Null for what is no quote of this symbol. */
export function quoteOfText(text: string, symbol: string): Quote | null {
  const space = text.indexOf(' ');
  try {
    const rest = JSON.parse(text.slice(space + 1)) as Partial<Quote>;
    const quote = { ...rest, at: Number(text.slice(0, space)) } as Quote;
    const areWhole = [quote.at, quote.priceE5Sek, quote.serverAt].every(Number.isSafeInteger);
    const areTexts = [quote.user, quote.cryptokey, quote.serverKey].every((part) => typeof part === 'string');
    return areWhole && areTexts && quote.priceE5Sek > 0 && quote.symbol === symbol ? quote : null;
  } catch {
    return null;
  }
}
