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

export type LedgerName = 'SEK' | 'Wh' | `SHARE:${string}`;
export type BatchKind = Ledger['kind'];

/** `account`: the party's own `available`, `pending` or `reserved`, else a system account of the party's partition. */
export interface Leg {
  ledger: LedgerName;
  account: string;
  amount: number;
}

export interface Party {
  sek: Balance;
  wh: Balance;
  creditLimitE5Sek: number;
  reservedE5Sek: number;
  reservedWh: number;
}

/** What a party owns in one ledger. */
export interface Owned {
  available: number;
  pending: number;
  reserved: number;
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
export const shareLedger = (symbol: string): LedgerName => `SHARE:${symbol}`;
/** Shares of a symbol. */
export const share = (symbol: string, account: string, amount: number): Leg => ({
  ledger: shareLedger(symbol),
  account,
  amount: amount + 0,
});
/** Who sells and buys the shares of a symbol, in money and in shares. */
export const marketOf = (symbol: string): string => `market:${symbol}`;
/** From free to set aside; a negative amount gives back. */
const setAside =
  (account: string) =>
  (ledger: LedgerName, amount: number): Leg[] => [
    { ledger, account: 'available', amount: -amount + 0 },
    { ledger, account, amount: amount + 0 },
  ];
export const hold = setAside('pending');
export const reserve = setAside('reserved');

/** Invariant 1. Throws {@link LedgerError}. */
export function checkLegs(legs: readonly { ledger: string; amount: number }[]) {
  // A batch has a few legs, so looking through them again is faster than a map.
  for (let i = 0; i < legs.length; i++) {
    const { ledger } = legs[i]!;
    if (legs.findIndex((leg) => leg.ledger === ledger) < i) continue;
    let sum = 0;
    for (let j = i; j < legs.length; j++) if (legs[j]!.ledger === ledger) sum = safe(sum + legs[j]!.amount);
    if (sum !== 0) throw new LedgerError(`the legs of a batch in ${ledger} sum to ${sum}`);
  }
}

/** One leg per account, in order of first use, without those that come to nothing. */
export function gathered(legs: readonly Leg[]): Leg[] {
  const all: Leg[] = [];
  for (const leg of legs) {
    const i = all.findIndex(({ ledger, account }) => ledger === leg.ledger && account === leg.account);
    if (i < 0) all.push(leg);
    else all[i] = { ...leg, amount: safe(all[i]!.amount + leg.amount) };
  }
  return all.some(({ amount }) => amount === 0) ? all.filter(({ amount }) => amount !== 0) : all;
}

export const isOwn = ({ account }: Leg): boolean =>
  account === 'available' || account === 'pending' || account === 'reserved';

/** What is owned in a ledger after the legs; `floor`: how far what is free may be taken down. Throws {@link LedgerError}. */
export function moved<O extends Owned>(before: O, legs: readonly Leg[], ledger: LedgerName, floor: number): O {
  let [available, pending, reserved] = [0, 0, 0];
  for (const leg of legs) {
    if (leg.ledger !== ledger) continue;
    if (leg.account === 'available') available += leg.amount;
    else if (leg.account === 'pending') pending += leg.amount;
    else if (leg.account === 'reserved') reserved += leg.amount;
  }
  if (available === 0 && pending === 0 && reserved === 0) return before;
  const after = {
    ...before,
    available: safe(before.available + available),
    pending: safe(before.pending + pending),
    reserved: safe(before.reserved + reserved),
  };
  if (after.pending < 0) throw new LedgerError(`${ledger}: pending would be ${after.pending}`);
  if (after.reserved < 0) throw new LedgerError(`${ledger}: reserved would be ${after.reserved}`);
  if (available < 0 && after.available < floor)
    throw new LedgerError(`${ledger}: available would be ${after.available}, below ${floor}`);
  return after;
}

const balanceOf = ({ available, pending }: Owned): Balance => ({ available, pending });
const ownedOf = ({ available, pending }: Balance, reserved: number): Owned => ({ available, pending, reserved });
export const moneyOf = (party: Pick<Party, 'sek' | 'reservedE5Sek'>): Owned => ownedOf(party.sek, party.reservedE5Sek);
export const energyOf = (party: Pick<Party, 'wh' | 'reservedWh'>): Owned => ownedOf(party.wh, party.reservedWh);

/** The party after a batch; invariants 1–3. Shares are in positions. Throws {@link LedgerError}. */
export function posted<P extends Party>(party: P, kind: BatchKind, legs: readonly Leg[]): P {
  checkLegs(legs);
  const floorE5Sek = kind === 'metered' ? Number.MIN_SAFE_INTEGER : -party.creditLimitE5Sek;
  const [money, energy] = [moneyOf(party), energyOf(party)];
  const [sekAfter, whAfter] = [moved(money, legs, 'SEK', floorE5Sek), moved(energy, legs, 'Wh', 0)];
  const after = { ...party };
  if (sekAfter !== money) {
    after.sek = balanceOf(sekAfter);
    after.reservedE5Sek = sekAfter.reserved;
  }
  if (whAfter !== energy) {
    after.wh = balanceOf(whAfter);
    after.reservedWh = whAfter.reserved;
  }
  return after;
}

/** The batch as integrators and the history see it. `owned`: what the party has in a ledger after it. */
export function ledgerPayload(
  customer: string,
  owned: (ledger: LedgerName) => Owned,
  batch: Pick<Ledger, 'batch' | 'kind' | 'cause' | 'at'>,
  legs: readonly Leg[],
): Ledger {
  return {
    customer,
    ...batch,
    legs: legs.map((leg) => {
      const { ledger, account, amount } = leg;
      if (!isOwn(leg)) return { ledger, account, amount, balance: null };
      const balance = owned(ledger)[account as keyof Owned];
      return { ledger, account: `customer:${customer}:${account}`, amount, balance };
    }),
  };
}
