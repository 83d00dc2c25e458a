/** Decimals as people type them, and the arithmetic of a ticket: integers only, so that the screen and the ledger agree. */

export type EntryProblem = 'empty' | 'not_a_number' | 'grouping' | 'decimals' | 'zero' | 'too_much';
/** `units` are of 10^-digits; `text` is what was understood, with a dot. */
export type Entry = { ok: true; units: number; text: string } | { ok: false; problem: EntryProblem };

/** 10⁹ SEK in öre. */
export const mostOre = 100_000_000_000;
/** 1 GWh. */
export const mostWh = 1_000_000_000;

/**
 * Reads a positive decimal with a comma or a dot. Grouping marks are refused rather than guessed at: `1,234` and `1.234`
 * are the same number to some people and a thousand apart to others, so marks that could be either are one decimal mark.
 */
export function readDecimal(typed: string, digits: number, most: number): Entry {
  const text = typed.trim();
  if (text === '') return { ok: false, problem: 'empty' };
  if (/^\d[\d.,\s'’]*$/.test(text) && (/[\s'’]/.test(text) || (text.match(/[.,]/g) ?? []).length > 1))
    return { ok: false, problem: 'grouping' };
  const found = /^(\d+)(?:[.,](\d+))?$/.exec(text);
  if (found === null) return { ok: false, problem: 'not_a_number' };
  const [, whole = '', part = ''] = found;
  if (part.length > digits) return { ok: false, problem: 'decimals' };
  // Fifteen digits are exact in a double; what is longer is above every limit anyway.
  const joined = `${whole}${part.padEnd(digits, '0')}`.replace(/^0+(?=\d)/, '');
  const units = joined.length > 15 ? Infinity : Number(joined);
  if (units > most) return { ok: false, problem: 'too_much' };
  if (units === 0) return { ok: false, problem: 'zero' };
  return { ok: true, units, text: decimalText(units, digits) };
}

/** `10000, 2` → `100.00`, as the API wants amounts. */
export function decimalText(units: number, digits: number): string {
  const text = String(units).padStart(digits + 1, '0');
  return digits === 0 ? text : `${text.slice(0, -digits)}.${text.slice(-digits)}`;
}

/** Price × energy in 10⁻⁵ SEK, half to even, as the ledger rounds. */
export function cost(energyWh: number, priceE5SekPerKwh: number): number {
  const product = BigInt(energyWh) * BigInt(priceE5SekPerKwh);
  const sign = product < 0n ? -1n : 1n;
  const size = product * sign;
  const [whole, rest] = [size / 1_000n, size % 1_000n];
  const up = rest > 500n || (rest === 500n && whole % 2n === 1n);
  return Number((whole + (up ? 1n : 0n)) * sign);
}

/** The most energy that an amount pays for; everything up to `mostWh` when it costs nothing. */
export function affordableWh(amountE5Sek: number, priceE5SekPerKwh: number): number {
  if (amountE5Sek <= 0) return 0;
  if (priceE5SekPerKwh <= 0) return mostWh;
  let wh = Math.min(mostWh, Number((BigInt(amountE5Sek) * 1_000n) / BigInt(priceE5SekPerKwh)));
  // Rounding to even lets a little more be paid for, never less.
  while (wh < mostWh && cost(wh + 1, priceE5SekPerKwh) <= amountE5Sek) wh += 1;
  return wh;
}
