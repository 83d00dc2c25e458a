/** Integer units, branded where they are summed. Nothing past a parser or before a formatter is a float. */

export type Wh = number & { readonly unit: 'Wh' };
export type W = number & { readonly unit: 'W' };
export type MilliAmpere = number & { readonly unit: 'mA' };
/** 10⁻⁵ SEK, signed: prices go below zero. */
export type MilliOre = number & { readonly unit: 'milliöre' };
export type PricePerKwh = number & { readonly unit: 'milliöre/kWh' };
/** 10,000 = 100 %. */
export type Bp = number & { readonly unit: 'bp' };
/** Unix time or a span of it, ms UTC, from the log. */
export type Ms = number;

/** Refuses what a double cannot hold exactly. */
export function safe(value: number | bigint): number {
  const n = Number(value);
  if (!Number.isSafeInteger(n)) throw new RangeError(`not a safe integer: ${value}`);
  return n;
}

/** Division rounded half to even, exact for any size. */
export function divideHalfEven(numerator: bigint, denominator: bigint): bigint {
  if (denominator === 0n) throw new RangeError('division by zero');
  if (denominator < 0n) return divideHalfEven(-numerator, -denominator);
  const quotient = numerator / denominator;
  const remainder = numerator % denominator;
  const twice = (remainder < 0n ? -remainder : remainder) * 2n;
  const away = numerator < 0n ? -1n : 1n;
  if (twice > denominator || (twice === denominator && quotient % 2n !== 0n)) return quotient + away;
  return quotient;
}

/** Division rounded up, for non-negative numerators. */
export const divideUp = (numerator: bigint, denominator: bigint): bigint =>
  (numerator + denominator - 1n) / denominator;
