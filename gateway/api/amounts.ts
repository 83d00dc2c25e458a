/** SEK as people and programs write it, to integers of 10⁻⁵ SEK. No float is ever made of it. */
import { amountE5SekMax } from '#actors/schema/customer_commands';
import { Refused } from './refused.ts';

const form = /^(0|[1-9]\d{0,9})(?:\.(\d{1,2}))?$/;

/** Throws {@link Refused} `bad_amount`: no sign, no exponent, at most two decimals, from `minE5Sek` (default: more than 0) to 10⁹ SEK. */
export function amountE5Sek(text: string, minE5Sek = 1): number {
  const [, kronor, decimals = ''] = form.exec(text) ?? [];
  const amount = kronor === undefined ? NaN : Number(kronor) * 100_000 + Number(decimals.padEnd(2, '0')) * 1_000;
  if (!(amount >= minE5Sek && amount <= amountE5SekMax)) throw new Refused('bad_amount', { amount: text });
  return amount;
}
