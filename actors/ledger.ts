/**
 * Double entry in integers. A batch is a list of legs that commit all or none.
 *
 * 1. Per ledger the legs of a batch sum to 0, so the balances of a partition do at every record.
 * 2. `pending` is never negative and is the sum of the open holds of its party.
 * 3. `available` stays at or above minus the credit limit, except by postings of kind `metered` (energy already taken);
 *    what only gives back may leave it below.
 * 4. An amount is rounded half to even once, when it is posted; what the rounded parts of a split do not add up to is a leg
 *    of its own, on `rounding`.
 */
import type { Component } from './fees.ts';
import type { Balance } from './schema/customer_entities.ts';
import type { Ledger } from './schema/events.ts';
import { divideHalfEven, safe } from './units.ts';

export type LedgerName = Ledger['legs'][number]['ledger'];
export type BatchKind = Ledger['kind'];

/** `account`: the party's own `available` or `pending`, else a system account of the party's partition. */
export interface Leg {
  ledger: LedgerName;
  account: string;
  amount: number;
}

export interface Party {
  sek: Balance;
  wh: Balance;
  creditLimitE5Sek: number;
}

/** A bug: the command that tried it fails as a whole. */
export class LedgerError extends Error {
  override readonly name = 'LedgerError';
}

/** `price × energy`, in 10⁻⁵ SEK. */
export function amountOf(priceE5SekPerKwh: number, energyWh: number): number {
  const product = priceE5SekPerKwh * energyWh;
  // Nearly every product is exact as it is; `%` of two integers always is.
  if (!Number.isSafeInteger(product)) return safe(divideHalfEven(BigInt(priceE5SekPerKwh) * BigInt(energyWh), 1_000n));
  const rest = product % 1_000;
  const towardsZero = (product - rest) / 1_000;
  const roundsAway = Math.abs(rest) > 500 || (Math.abs(rest) === 500 && towardsZero % 2 !== 0);
  return roundsAway ? towardsZero + Math.sign(rest) : towardsZero + 0;
}

/** What a delivery that goes on from `beforeWh` to `afterWh` adds: all such parts together are the amount of the whole. */
export const partOf = (priceE5SekPerKwh: number, beforeWh: number, afterWh: number): number =>
  amountOf(priceE5SekPerKwh, afterWh) - amountOf(priceE5SekPerKwh, beforeWh);

/** A leg per component for `total`, of which each gets what `amount` says; the remainder goes to `rounding`. */
export function split(
  total: number,
  components: readonly Component[],
  amount: (priceE5SekPerKwh: number) => number,
): Leg[] {
  const legs = components.map(({ account, priceE5SekPerKwh }) => sek(account, amount(priceE5SekPerKwh)));
  return [...legs, sek('rounding', total - legs.reduce((sum, leg) => sum + leg.amount, 0))];
}

// Subtraction and negation may give −0, which no post-image holds: adding 0 makes it 0.
export const sek = (account: string, amount: number): Leg => ({ ledger: 'SEK', account, amount: amount + 0 });
export const wh = (account: string, amount: number): Leg => ({ ledger: 'Wh', account, amount: amount + 0 });
/** From free to set aside; a negative amount gives back. */
export const hold = (ledger: LedgerName, amount: number): Leg[] => [
  { ledger, account: 'available', amount: -amount + 0 },
  { ledger, account: 'pending', amount: amount + 0 },
];

/** Invariant 1. Throws {@link LedgerError}. */
export function checkLegs(legs: readonly Pick<Leg, 'ledger' | 'amount'>[]) {
  const sums = { SEK: 0, Wh: 0 };
  for (const { ledger, amount } of legs) sums[ledger] = safe(sums[ledger] + amount);
  for (const [ledger, sum] of Object.entries(sums))
    if (sum !== 0) throw new LedgerError(`the legs of a batch in ${ledger} sum to ${sum}`);
}

/** One leg per account, in order of first use, without those that come to nothing. */
export function gathered(legs: readonly Leg[]): Leg[] {
  const byAccount = new Map<string, Leg>();
  for (const leg of legs) {
    const name = `${leg.ledger}:${leg.account}`;
    const before = byAccount.get(name);
    byAccount.set(name, before ? { ...leg, amount: safe(before.amount + leg.amount) } : leg);
  }
  return [...byAccount.values()].filter(({ amount }) => amount !== 0);
}

export const isOwn = ({ account }: Leg): boolean => account === 'available' || account === 'pending';

const sumOf = (legs: readonly Leg[], ledger: LedgerName, account: string): number =>
  legs.reduce((sum, leg) => (leg.ledger === ledger && leg.account === account ? sum + leg.amount : sum), 0);

function moved(before: Balance, legs: readonly Leg[], ledger: LedgerName, floor: number): Balance {
  const available = sumOf(legs, ledger, 'available');
  const pending = sumOf(legs, ledger, 'pending');
  if (available === 0 && pending === 0) return before;
  const after = { available: safe(before.available + available), pending: safe(before.pending + pending) };
  if (after.pending < 0) throw new LedgerError(`${ledger}: pending would be ${after.pending}`);
  if (available < 0 && after.available < floor)
    throw new LedgerError(`${ledger}: available would be ${after.available}, below ${floor}`);
  return after;
}

/** The party after a batch; invariants 1–3. Throws {@link LedgerError}. */
export function posted<P extends Party>(party: P, kind: BatchKind, legs: readonly Leg[]): P {
  checkLegs(legs);
  const floorE5Sek = kind === 'metered' ? Number.MIN_SAFE_INTEGER : -party.creditLimitE5Sek;
  return { ...party, sek: moved(party.sek, legs, 'SEK', floorE5Sek), wh: moved(party.wh, legs, 'Wh', 0) };
}

/** The batch as integrators and the history see it. `party` after it. */
export function ledgerPayload(
  customer: string,
  party: Party,
  batch: Pick<Ledger, 'batch' | 'kind' | 'cause' | 'at'>,
  legs: readonly Leg[],
): Ledger {
  return {
    customer,
    ...batch,
    legs: legs.map((leg) => {
      const { ledger, account, amount } = leg;
      if (!isOwn(leg)) return { ledger, account, amount, balance: null };
      const balances = ledger === 'SEK' ? party.sek : party.wh;
      return {
        ledger,
        account: `customer:${customer}:${account}`,
        amount,
        balance: account === 'available' ? balances.available : balances.pending,
      };
    }),
  };
}
