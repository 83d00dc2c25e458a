/** What a ticket may do, and why not: pure, so that the button, its reason and the tests read one decision. */
import type { QuoteReply } from '#actors/schema/customer_commands';
import type { BatteryNow, OrderView, Wallet } from '#gateway/schema/mod';
import { aboveFloorWh } from '../parts/battery.ts';
import { affordableWh, cost, mostWh, readDecimal, type EntryProblem } from './amount.ts';
import type { QuoteState } from './quote_feed.svelte.ts';

export type Side = 'buy' | 'sell';

/** How long a hold lasts; only the ring needs it, `expiresAt` decides. */
export const holdMs = 60_000;
/** Commit ignores keys for so long after it appears, so a double Enter never buys. */
export const guardMs = 300;

export const priceOf = (quote: QuoteReply, side: Side): number =>
  side === 'buy' ? quote.buyE5SekPerKwh : quote.sellE5SekPerKwh;

/** Why nothing can be reserved now, whatever is typed. */
export type Shut =
  | { why: 'offline' }
  | { why: 'no_price'; code: 'quote_stale' | 'quote_unavailable' | null }
  | { why: 'lapsed'; forMs: number }
  | { why: 'capped' }
  | { why: 'no_account' };

export interface Situation {
  side: Side;
  typed: string;
  offline: boolean;
  now: number;
  quote: QuoteState;
  /** The price of the station itself; what is on top of it is fee and tax. */
  stationPriceE5: number | null;
  wallet: Wallet | undefined;
  battery: BatteryNow | undefined;
  orders: readonly OrderView[];
}

export type TicketView =
  | { state: 'shut'; shut: Shut; quote: QuoteReply | null }
  | {
      state: 'open';
      quote: QuoteReply;
      priceE5SekPerKwh: number;
      /** The most that can be reserved, and what sets it. */
      mostWh: number;
      bound: 'money' | 'room' | 'stored';
      problem: EntryProblem | 'above_bound' | null;
      energyWh: number | null;
      energyE5Sek: number | null;
      feeE5Sek: number | null;
      totalE5Sek: number | null;
    };

/** Energy of open orders of one side that has not flowed yet. */
export const openWh = (orders: readonly OrderView[], side: Side): number =>
  orders.filter((o) => o.side === side).reduce((sum, o) => sum + o.energyWh - o.deliveredWh, 0);

export function ticketView(situation: Situation): TicketView {
  const { side, typed, quote: asked, wallet, battery, orders, stationPriceE5 } = situation;
  const quote = asked.state === 'known' ? asked.quote : null;
  const shut = whyShut(situation);
  if (shut !== null || quote === null || wallet === undefined || battery === undefined)
    return { state: 'shut', shut: shut ?? { why: 'no_account' }, quote };

  const price = priceOf(quote, side);
  const room = Math.max(0, battery.capacityWh - battery.energyWh - openWh(orders, 'buy'));
  const stored = Math.max(0, aboveFloorWh(battery.energyWh, battery.capacityWh) - openWh(orders, 'sell'));
  const paid = affordableWh(wallet.availableE5Sek + wallet.creditLimitE5Sek, price);
  const [most, bound] =
    side === 'sell'
      ? ([stored, 'stored'] as const)
      : paid < room
        ? ([paid, 'money'] as const)
        : ([room, 'room'] as const);

  const entry = readDecimal(typed, 3, mostWh);
  const energyWh = entry.ok ? entry.units : null;
  const totalE5Sek = energyWh === null ? null : cost(energyWh, price);
  const energyE5Sek = energyWh === null ? null : cost(energyWh, stationPriceE5 ?? price);
  return {
    state: 'open',
    ...{ quote, priceE5SekPerKwh: price, mostWh: Math.min(most, mostWh), bound },
    problem: entry.ok ? (entry.units > most ? 'above_bound' : null) : entry.problem,
    ...{ energyWh, energyE5Sek, totalE5Sek },
    feeE5Sek: totalE5Sek === null || energyE5Sek === null ? null : Math.abs(totalE5Sek - energyE5Sek),
  };
}

function whyShut({ side, offline, now, quote, wallet }: Situation): Shut | null {
  if (offline) return { why: 'offline' };
  if (quote.state === 'refused') {
    const { code } = quote.refused;
    return { why: 'no_price', code: code === 'quote_stale' || code === 'quote_unavailable' ? code : null };
  }
  if (quote.state === 'loading') return { why: 'no_price', code: null };
  if (now >= quote.quote.validUntil) return { why: 'lapsed', forMs: now - quote.quote.validUntil };
  if (side === 'buy' && !quote.quote.importOpen) return { why: 'capped' };
  return wallet === undefined ? { why: 'no_account' } : null;
}

/** 25, 50, 75 or 100 % of the most that can be reserved, in whole 10 Wh where that leaves something. */
export function pickWh(most: number, percent: number): number {
  const wh = Math.floor((most * percent) / 100);
  return percent === 100 || wh < 10 ? wh : Math.floor(wh / 10) * 10;
}

export const isHeld = (order: OrderView): boolean => order.state === 'held';
