/**
 * Pending orders of trading commands. BUY and SELL set money, shares or energy aside at a price that stays good until the
 * hold expires; COMMIT and CANCEL take the newest of their side, whatever its instrument (a stack), so the limits are
 * checked here and committing cannot fail. In a book with one pending order per side a new one takes the old one's place,
 * once its own check has passed.
 *
 * H1 `held` stands in order of time and `sek.pending` is what it, orders and sessions hold; a position's `pending` is what
 *    the held sells of its symbol hold.
 * H2 A symbol is posted at once, n × price; the rest of the money that was named goes back in the same batch.
 */
import type { ActorEvent, Decision } from './actor.ts';
import { giveBack } from './customer_battery.ts';
import { Draft, holdsUntil, positionsMax, rulesOf, type PositionFacts } from './customer_draft.ts';
import {
  deliver,
  holdOrder,
  moneyAllows,
  newOrder,
  orderPrice,
  refusedOrder,
  type OrderFacts,
} from './customer_orders.ts';
import { buyPrice, sellPrice } from './fees.ts';
import {
  energyInstrument,
  noPosition,
  stationOf,
  symbolInstrument,
  symbolOf,
  unitsFor,
  valueUnitE5Sek,
  whPerPrice,
} from './instrument.ts';
import { hold, marketOf, sek, share, shareLedger, type Leg } from './ledger.ts';
import { amountOfOrder } from './order.ts';
import type { Refused } from './refusals.ts';
import type { CustomerState, OrderState } from './schema/customer_entities.ts';
import type { HeldState, OrderFact, Side, SymbolQuote, TradeNewestBody, TradePlaceBody } from './schema/trading.ts';
import { safe } from './units.ts';

export type TradeFacts = OrderFacts & PositionFacts;
/** What a rule adds to the fact that the log tells of its command. */
export interface Say {
  batch?: string | null;
  order?: OrderFact;
  replaced?: string;
}

/** Pending orders on symbols at a time. */
export const heldMax = 256;
/** A quote older than this is refused. */
export const quoteKeptMs = 60_000;
/** For so long COMMIT and CANCEL say that a hold has expired, and not that there was none. */
const expiredKnownMs = 600_000;

/** The price of a symbol, when its quote may be used. A book by value knows one price only. */
export function quotedPrice(customer: CustomerState, quote: SymbolQuote | null, now: number): number | Refused {
  if (!quote) return { refuse: 'quote_unavailable', detail: { rule: 'an order on a symbol comes with a quote' } };
  if (now - quote.at > quoteKeptMs) return { refuse: 'quote_stale', detail: { at: quote.at, ageMsMax: quoteKeptMs } };
  if (rulesOf(customer).denomination === 'value' && quote.priceE5Sek !== valueUnitE5Sek)
    return { refuse: 'quote_unavailable', detail: { rule: 'a book by value has a price of 0.01 SEK' } };
  return quote.priceE5Sek;
}

const orderId = (customer: string, n: number): string => `${customer}-${n}`;
const numberOf = ({ order }: OrderState): number => Number(order.slice(order.lastIndexOf('-') + 1));

export const heldFact = (customer: string, held: HeldState, state: OrderFact['state'] = 'held'): OrderFact => {
  const { n, side, symbol, units, priceE5Sek, amountE5Sek, expiresAt } = held;
  const instrument = symbolInstrument(symbol);
  return { order: orderId(customer, n), side, instrument, state, units, priceE5Sek, amountE5Sek, expiresAt };
};
export const orderFact = (order: OrderState, state: OrderFact['state'] = 'held'): OrderFact => {
  const { side, station, energyWh: units, priceE5SekPerKwh: priceE5Sek, expiresAt } = order;
  const instrument = energyInstrument(station);
  return {
    order: order.order,
    side,
    instrument,
    state,
    units,
    priceE5Sek,
    amountE5Sek: amountOfOrder(order),
    expiresAt,
  };
};

/** What a symbol's hold sets aside, negated: gives back. */
const holdLegs = ({ side, symbol, held }: HeldState, sign: 1 | -1 = 1): Leg[] =>
  hold(side === 'buy' ? 'SEK' : shareLedger(symbol), sign * held);

// --- placing --------------------------------------------------------------------------------------------------------------

/** BUY, SELL. */
export const place =
  (side: Side) =>
  (customer: CustomerState, event: ActorEvent<TradePlaceBody, TradeFacts>, say: Say): Decision<CustomerState> => {
    const { instrument } = event.body;
    const symbol = symbolOf(instrument);
    return symbol === null
      ? placeEnergy(side, customer, event, say, stationOf(instrument)!)
      : placeSymbol(side, customer, event, say, symbol);
  };

function placeSymbol(
  side: Side,
  customer: CustomerState,
  event: ActorEvent<TradePlaceBody, TradeFacts>,
  say: Say,
  symbol: string,
): Decision<CustomerState> {
  const { body, facts, self, now } = event;
  const { amountE5Sek, instrument } = body;
  const price = quotedPrice(customer, body.quote, now);
  if (typeof price !== 'number') return price;
  const rules = rulesOf(customer);
  const poor = side === 'buy' ? moneyAllows(customer, amountE5Sek) : null;
  if (poor) return poor;
  const units = unitsFor(amountE5Sek, price, rules.denomination);
  if (units < 1) return { refuse: 'amount_too_small', detail: { priceE5Sek: price } };
  if (side === 'sell') {
    const { available } = facts.position(instrument) ?? noPosition(self.id, instrument, rules);
    if (available < units) return { refuse: 'insufficient_holding', detail: { available, needed: units } };
  }
  if (customer.held.length >= heldMax) return { refuse: 'too_many_orders', detail: { max: heldMax } };
  const refused = roomFor(customer, facts, instrument);
  if (refused) return refused;
  const draft = new Draft(customer, event);
  const freed = makeRoom(draft, side, say);
  const held: HeldState = {
    n: draft.customer.orderCount + 1,
    side,
    symbol,
    units,
    priceE5Sek: price,
    held: side === 'buy' ? amountE5Sek : units,
    amountE5Sek,
    txn: body.txn,
    expiresAt: holdsUntil(customer, now),
  };
  say.order = heldFact(self.id, held);
  say.batch = draft.post('hold', say.order.order, [...freed, ...holdLegs(held)]);
  const { customer: after } = draft;
  draft.customer = { ...after, orderCount: held.n, held: [...after.held, held] };
  return draft.done(say.order);
}

/** Instruments are bounded. */
export function roomFor(customer: CustomerState, facts: PositionFacts, instrument: string): Refused | null {
  // Each pending buy may become a position.
  const taken = customer.positionCount + customer.held.length;
  return taken >= positionsMax && !facts.position(instrument)
    ? { refuse: 'too_many_positions', detail: { max: positionsMax } }
    : null;
}

/** In a book with one pending order per side: takes away the old one. Returns the legs that give back what it held. */
function makeRoom(draft: Draft, side: Side, say: Say): Leg[] {
  if (rulesOf(draft.customer).pendingRule !== 'slot') return [];
  const old = newestPending(draft.customer, side, draft.now);
  if (!old) return [];
  if ('station' in old) {
    say.replaced = old.order;
    giveBack(draft, old, 'release');
    draft.trade(old, 'cancelled');
    return [];
  }
  say.replaced = orderId(draft.self.id, old.n);
  draft.customer = { ...draft.customer, held: draft.customer.held.filter((held) => held !== old) };
  return holdLegs(old, -1);
}

function placeEnergy(
  side: Side,
  customer: CustomerState,
  event: ActorEvent<TradePlaceBody, TradeFacts>,
  say: Say,
  station: string,
): Decision<CustomerState> {
  const { body, facts, now } = event;
  const { amountE5Sek, slot, txn } = body;
  const price = orderPrice(side, { station, slot }, facts, now);
  if ('refuse' in price) return price;
  const perKwh = (side === 'buy' ? buyPrice : sellPrice)(price.priceE5SekPerKwh);
  if (perKwh <= 0) return { refuse: 'quote_unavailable', detail: { rule: 'an amount buys no energy at this price' } };
  const poor = side === 'buy' ? moneyAllows(customer, amountE5Sek) : null;
  if (poor) return poor;
  const energyWh = unitsFor(amountE5Sek, perKwh, 'units', whPerPrice);
  if (energyWh < 1) return { refuse: 'amount_too_small', detail: { priceE5Sek: perKwh } };
  const order = newOrder(customer, event, side, energyWh, price);
  const refused = refusedOrder(customer, order);
  if (refused) return refused;
  const draft = new Draft(customer, event);
  const freed = makeRoom(draft, side, say);
  if (freed.length > 0) draft.post('release', say.replaced!, freed);
  holdOrder(draft, order);
  const n = numberOf(order);
  const known = draft.customer.orderTxns.filter(([other]) =>
    draft.customer.orders.some((open) => open.state === 'held' && numberOf(open) === other),
  );
  draft.customer = { ...draft.customer, orderTxns: [...known, [n, txn, amountE5Sek]] };
  say.order = orderFact(order);
  say.batch = lastBatch(draft, customer);
  return draft.done(say.order);
}

/** The batch of the command; null: none was posted. */
const lastBatch = ({ customer: { batchCount }, self }: Draft, before: CustomerState): string | null =>
  batchCount > before.batchCount ? `${self.id}:${batchCount}` : null;

// --- the newest one -------------------------------------------------------------------------------------------------------

export type Pending = HeldState | OrderState;

/** The newest pending order of a side that can still be committed. */
export function newestPending({ held, orders }: CustomerState, side: Side, now: number): Pending | null {
  const share = held.findLast((one) => one.side === side && now <= one.expiresAt);
  const energy = orders.findLast((one) => one.side === side && one.state === 'held' && now <= one.expiresAt);
  if (!share || !energy) return share ?? energy ?? null;
  return share.n > numberOf(energy) ? share : energy;
}

/** All of them, newest first. */
export const allPending = (customer: string, { held, orders }: CustomerState): OrderFact[] =>
  [
    ...held.map((one) => ({ n: one.n, fact: heldFact(customer, one) })),
    ...orders.filter(({ state }) => state === 'held').map((one) => ({ n: numberOf(one), fact: orderFact(one) })),
  ]
    .sort((a, b) => b.n - a.n)
    .map(({ fact }) => fact);

/** COMMIT_BUY, COMMIT_SELL, CANCEL_BUY, CANCEL_SELL. */
export const settle =
  (side: Side, how: 'commit' | 'cancel') =>
  (customer: CustomerState, event: ActorEvent<TradeNewestBody, TradeFacts>, say: Say): Decision<CustomerState> => {
    const { self, now } = event;
    const pending = newestPending(customer, side, now);
    if (!pending) {
      const expiredAt = side === 'buy' ? customer.expiredBuyAt : customer.expiredSellAt;
      const hasExpired = expiredAt > 0 && now - expiredAt <= expiredKnownMs;
      return hasExpired
        ? { refuse: 'expired', detail: { side, expiredAt } }
        : { refuse: 'nothing_pending', detail: { side } };
    }
    const draft = new Draft(customer, event);
    if ('station' in pending) {
      if (how === 'commit') say.order = orderFact(deliver(draft, pending), 'delivering');
      else {
        giveBack(draft, pending, 'release');
        draft.trade(pending, 'cancelled');
        say.order = orderFact(pending, 'cancelled');
        say.batch = lastBatch(draft, customer);
      }
      return draft.done(say.order);
    }
    const costE5Sek = safe(pending.units * pending.priceE5Sek);
    say.order = heldFact(self.id, how === 'commit' ? { ...pending, amountE5Sek: costE5Sek } : pending, stateAfter[how]);
    draft.customer = { ...customer, held: customer.held.filter((held) => held !== pending) };
    const legs = how === 'commit' ? postLegs('pending', pending, costE5Sek) : holdLegs(pending, -1);
    say.batch = draft.post(how === 'commit' ? 'settlement' : 'release', say.order.order, legs);
    return draft.done(say.order);
  };
const stateAfter = { commit: 'posted', cancel: 'cancelled' } as const;

/** What was set aside in `from` goes: money one way, shares the other, and back what is not needed of it (H2). */
export function postLegs(
  from: 'pending' | 'reserved',
  { side, symbol, held, units }: Pick<HeldState, 'side' | 'symbol' | 'held' | 'units'>,
  costE5Sek: number,
): Leg[] {
  const market = marketOf(symbol);
  return side === 'buy'
    ? [
        sek(from, -held),
        sek('available', held - costE5Sek),
        sek(market, costE5Sek),
        share(symbol, market, -units),
        share(symbol, 'available', units),
      ]
    : [share(symbol, from, -held), share(symbol, market, units), sek(market, -costE5Sek), sek('available', costE5Sek)];
}

// --- time -----------------------------------------------------------------------------------------------------------------

/** Each hold expires alone; those that are still young enough stay. */
export function expire(
  customer: CustomerState,
  event: ActorEvent<Record<string, unknown>, PositionFacts>,
): Decision<CustomerState> {
  const { now, self } = event;
  const draft = new Draft(customer, event);
  const expired = (side: Side) =>
    (draft.customer = { ...draft.customer, ...(side === 'buy' ? { expiredBuyAt: now } : { expiredSellAt: now }) });
  for (const order of customer.orders) {
    if (order.state !== 'held' || now <= order.expiresAt) continue;
    const [, txn, amountE5Sek] = customer.orderTxns.find(([n]) => n === numberOf(order)) ?? [];
    const end = () => {
      giveBack(draft, order, 'expiry');
      draft.trade(order, 'expired');
    };
    // What no trading command made is not in its log.
    if (txn === undefined || amountE5Sek === undefined) end();
    else draft.telling(expiryOf(orderFact(order, 'expired'), txn, amountE5Sek), end);
    expired(order.side);
  }
  // H1: the oldest stand first.
  const young = customer.held.findIndex(({ expiresAt }) => now <= expiresAt);
  const old = young < 0 ? customer.held : customer.held.slice(0, young);
  if (old.length > 0) draft.customer = { ...draft.customer, held: customer.held.slice(old.length) };
  for (const held of old) {
    const fact = heldFact(self.id, held, 'expired');
    draft.telling(expiryOf(fact, held.txn, held.amountE5Sek), () =>
      draft.post('expiry', fact.order, holdLegs(held, -1)),
    );
    expired(held.side);
  }
  return draft.done();
}

const expiryOf = (order: OrderFact, txn: number, amountE5Sek: number) => ({
  txn,
  command: order.side === 'buy' ? ('BUY' as const) : ('SELL' as const),
  instrument: order.instrument,
  amountE5Sek,
  order,
});
