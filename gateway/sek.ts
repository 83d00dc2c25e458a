/** SEK as decimal text, and integers of 10⁻⁵ SEK: both ways by digits alone, so no float is ever made of money. */

const form = /^(\d{1,15})(?:\.(\d{1,5}))?$/;

/** Integer of 10⁻⁵ SEK; null for a sign, an exponent, more than `decimalsMax` decimals, or what no integer holds exactly. */
export function e5OfSek(text: string, decimalsMax: 2 | 5): number | null {
  const [, kronor, decimals = ''] = form.exec(text) ?? [];
  if (kronor === undefined || decimals.length > decimalsMax) return null;
  const amount = Number(kronor) * 100_000 + Number(decimals.padEnd(5, '0'));
  return Number.isSafeInteger(amount) ? amount : null;
}

/**
 * Two decimals, or five where two would not be exact.
 * @example sekOfE5(27_683_000) === '276.83'; sekOfE5(-1) === '-0.00001'
 */
export function sekOfE5(amountE5: number): string {
  if (!Number.isSafeInteger(amountE5)) throw new RangeError(`not an amount in 10⁻⁵ SEK: ${amountE5}`);
  const digits = String(Math.abs(amountE5)).padStart(6, '0');
  const decimals = digits.slice(-5);
  const shown = decimals.endsWith('000') ? decimals.slice(0, 2) : decimals;
  return `${amountE5 < 0 ? '-' : ''}${digits.slice(0, -5)}.${shown}`;
}
