/** What is traded, how much of it an amount buys, and what a customer has of it. */
import { token } from './schema/subjects.ts';
import type { BookRules, PositionState } from './schema/trading.ts';

/** Shares of a symbol for each customer who trades nothing else. */
export const usualRules: BookRules = {
  denomination: 'units',
  pendingRule: 'stack',
  holdTimeoutMs: 60_000,
  triggers: true,
  feed: '',
};

/** By value a unit is 0.01 SEK, at the price of 0.01 SEK. */
export const valueUnitE5Sek = 1_000;
/** A price of energy is for so many of its units. */
export const whPerPrice = 1_000;

export const symbolInstrument = (symbol: string): string => `symbol:${symbol}`;
export const energyInstrument = (station: string): string => `energy:${station}`;
const after = (prefix: string) => (instrument: string) =>
  instrument.startsWith(prefix) ? instrument.slice(prefix.length) : null;
/** Null: the instrument is of the other kind. */
export const symbolOf = after('symbol:');
export const stationOf = after('energy:');

/**
 * How many units an amount buys at a price for `lot` of them, rounded down. The only place where books by units and books by
 * value differ.
 */
export function unitsFor(
  amountE5Sek: number,
  priceE5Sek: number,
  denomination: BookRules['denomination'],
  lot = 1,
): number {
  if (denomination === 'value') return Math.floor(amountE5Sek / valueUnitE5Sek);
  const product = amountE5Sek * lot;
  return Number.isSafeInteger(product)
    ? Math.floor(product / priceE5Sek)
    : Number((BigInt(amountE5Sek) * BigInt(lot)) / BigInt(priceE5Sek));
}

/** Names may hold a slash; behind the last one there is none. */
export const positionId = (customer: string, instrument: string): string => {
  const station = stationOf(instrument);
  return `${customer}/${station === null ? instrument : `energy:${token(station)}`}`;
};

/** Before anything has been done with it. `feed`: see {@link PositionState}. */
export const noPosition = (customer: string, instrument: string, { triggers, feed }: BookRules): PositionState => ({
  customer,
  instrument,
  available: 0,
  pending: 0,
  reserved: 0,
  buy: null,
  sell: null,
  feed: triggers ? feed : null,
});

export const isEmpty = ({ available, pending, reserved, buy, sell }: PositionState): boolean =>
  available === 0 && pending === 0 && reserved === 0 && buy === null && sell === null;
