/** Exact sums per ledger: each amount is a safe integer, what many of them come to need not be. */
import type { Amounts } from '#actors/actor';

export class LedgerSums {
  readonly #sums = new Map<string, number | bigint>();

  /** @throws RangeError on what is no integer */
  add(ledger: string, amount: number | bigint): void {
    const before = this.#sums.get(ledger) ?? 0;
    if (typeof before === 'number' && typeof amount === 'number') {
      const sum = before + amount;
      if (Number.isSafeInteger(sum)) {
        this.#sums.set(ledger, sum);
        return;
      }
    }
    this.#sums.set(ledger, BigInt(before) + BigInt(amount));
  }

  addAll(amounts: Amounts): void {
    for (const [ledger, amount] of amounts) this.add(ledger, amount);
  }

  subtractAll(amounts: Amounts): void {
    for (const [ledger, amount] of amounts) this.add(ledger, -amount);
  }

  clear(): void {
    this.#sums.clear();
  }

  get(ledger: string): bigint {
    return BigInt(this.#sums.get(ledger) ?? 0);
  }

  /** Every ledger that was ever added to, by name. */
  *[Symbol.iterator](): Iterator<[ledger: string, sum: bigint]> {
    for (const [ledger, sum] of [...this.#sums].sort(([a], [b]) => (a < b ? -1 : 1))) yield [ledger, BigInt(sum)];
  }

  /** The first ledger that does not come to 0. */
  unbalanced(): [ledger: string, difference: bigint] | undefined {
    for (const [ledger, sum] of this.#sums) if (sum !== 0 && sum !== 0n) return [ledger, BigInt(sum)];
    return undefined;
  }
}
