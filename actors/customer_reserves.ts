/**
 * Automatic orders: an amount that is set aside, and the price at which it is bought or sold. Prices fire them, never the
 * customer's own commands; firing takes the trigger away and posts in one step, so a cancelled one never fires and none
 * fires twice.
 *
 * A1 `reservedE5Sek` is the sum of the automatic buys; a position's `reserved` and `reservedWh` are the units of its armed
 *    automatic sells.
 * A2 A buy fires at its price or below, a sell at its price or above, at the price that has come; what a buy does not
 *    spend goes back in the same batch. Energy becomes an order that is delivered like any committed one.
 */
import type { ActorEvent, Decision } from './actor.ts';
import { priceInForce } from './board.ts';
import { flow } from './customer_battery.ts';
import { Draft, rulesOf, type PositionFacts } from './customer_draft.ts';
import { orderFact, postLegs, quotedPrice, roomFor, type Say, type TradeFacts } from './customer_holds.ts';
import { deliver, freeWhOf, newOrder, openOrdersMax, roomWhOf } from './customer_orders.ts';
import { sellPrice } from './fees.ts';
import { noPosition, stationOf, symbolOf, unitsFor, valueUnitE5Sek, whPerPrice } from './instrument.ts';
import { hold, reserve, sek, shareLedger, wh, type Leg } from './ledger.ts';
import { heldOf } from './order.ts';
import type { Refused } from './refusals.ts';
import type { CustomerState } from './schema/customer_entities.ts';
import type {
  AutoReply,
  OrderFact,
  PositionState,
  Side,
  TradeBuyAmountBody,
  TradeCancelAutoBody,
  TradeFireBody,
  TradeSellAmountBody,
  TradeTriggerBody,
  TriggerState,
} from './schema/trading.ts';
import { safe } from './units.ts';

type AutoEvent<Body> = ActorEvent<Body, TradeFacts>;

const buyReply = ({ instrument, buy }: PositionState): AutoReply => ({
  instrument,
  side: 'buy',
  amountE5Sek: buy?.amountE5Sek ?? 0,
  reserved: buy?.amountE5Sek ?? 0,
  triggerE5Sek: buy?.trigger?.priceE5Sek ?? null,
});
const sellReply = ({ instrument, sell }: PositionState): AutoReply => ({
  instrument,
  side: 'sell',
  amountE5Sek: sell?.amountE5Sek ?? 0,
  reserved: sell?.units ?? 0,
  triggerE5Sek: sell?.trigger?.priceE5Sek ?? null,
});
const noAmount = (instrument: string): Refused => ({ refuse: 'no_amount_set', detail: { instrument } });

const positionOf = (customer: CustomerState, { self, facts }: AutoEvent<unknown>, instrument: string): PositionState =>
  facts.position(instrument) ?? noPosition(self.id, instrument, rulesOf(customer));

/** An order on a station that nobody has heard of would wait for ever. */
function knownStation({ board }: TradeFacts, instrument: string): Refused | null {
  const station = stationOf(instrument);
  if (station === null || board?.prices.some((price) => price.station === station)) return null;
  return { refuse: 'unknown_station', detail: { station } };
}

/** Armed now; one that was armed before keeps its turn and only changes its price. */
function armed(draft: Draft, before: TriggerState | null, priceE5Sek: number, txn: number): TriggerState {
  if (before) return { ...before, priceE5Sek };
  const n = draft.customer.orderCount + 1;
  draft.customer = { ...draft.customer, orderCount: n };
  return { priceE5Sek, armedAt: draft.now, n, txn };
}

// --- buying ---------------------------------------------------------------------------------------------------------------

/** SET_BUY_AMOUNT: takes the place of the amount before it, and of its trigger. */
export function setBuyAmount(
  customer: CustomerState,
  event: AutoEvent<TradeBuyAmountBody>,
  say: Say,
): Decision<CustomerState> {
  const { instrument, amountE5Sek } = event.body;
  const position = positionOf(customer, event, instrument);
  const before = position.buy?.amountE5Sek ?? 0;
  const free = customer.sek.available + customer.creditLimitE5Sek + before;
  const refused = knownStation(event.facts, instrument) ?? roomFor(customer, event.facts, instrument);
  if (refused) return refused;
  if (amountE5Sek > free)
    return {
      refuse: 'insufficient_funds',
      detail: { availableE5Sek: customer.sek.available, neededE5Sek: amountE5Sek - before },
    };
  const draft = new Draft(customer, event);
  const after = { ...position, buy: { amountE5Sek, trigger: null } };
  draft.keepPosition(after);
  say.batch = postedBatch(draft, instrument, reserve('SEK', amountE5Sek - before));
  return draft.done(buyReply(after));
}

/** SET_BUY_TRIGGER. */
export function setBuyTrigger(customer: CustomerState, event: AutoEvent<TradeTriggerBody>): Decision<CustomerState> {
  const { instrument, priceE5Sek, txn } = event.body;
  const position = positionOf(customer, event, instrument);
  if (!position.buy) return noAmount(instrument);
  const draft = new Draft(customer, event);
  const after = { ...position, buy: { ...position.buy, trigger: armed(draft, position.buy.trigger, priceE5Sek, txn) } };
  draft.keepPosition(after);
  return draft.done(buyReply(after));
}

/** CANCEL_SET_BUY. */
export function cancelBuy(
  customer: CustomerState,
  event: AutoEvent<TradeCancelAutoBody>,
  say: Say,
): Decision<CustomerState> {
  const { instrument } = event.body;
  const position = positionOf(customer, event, instrument);
  if (!position.buy) return noAmount(instrument);
  const draft = new Draft(customer, event);
  const after = { ...position, buy: null };
  draft.keepPosition(after);
  say.batch = postedBatch(draft, instrument, reserve('SEK', -position.buy.amountE5Sek));
  return draft.done(buyReply(after));
}

// --- selling --------------------------------------------------------------------------------------------------------------

/** What can be sold beside what is set aside or pending: shares, or Wh above the floor of the battery. */
const freeUnits = (customer: CustomerState, { instrument, available }: PositionState): number =>
  symbolOf(instrument) === null ? freeWhOf(customer) : available;

const unitsAt = (customer: CustomerState, instrument: string, amountE5Sek: number, priceE5Sek: number): number =>
  symbolOf(instrument) === null
    ? unitsFor(amountE5Sek, priceE5Sek, 'units', whPerPrice)
    : unitsFor(amountE5Sek, priceE5Sek, rulesOf(customer).denomination);

/** From free to set aside for an automatic sell; a negative number gives back. */
function reserveUnits(instrument: string, units: number): Leg[] {
  const symbol = symbolOf(instrument);
  return reserve(symbol === null ? 'Wh' : shareLedger(symbol), units);
}

/** What one unit of a sell is worth now. */
function sellingPrice(customer: CustomerState, { body, facts, now }: AutoEvent<TradeSellAmountBody>): number | Refused {
  const station = stationOf(body.instrument);
  if (station === null) return quotedPrice(customer, body.quote, now);
  const price = priceInForce(facts.board, station, null, now);
  if ('refuse' in price) return price;
  const perKwh = sellPrice(price.priceE5SekPerKwh);
  return perKwh > 0
    ? perKwh
    : { refuse: 'quote_unavailable', detail: { rule: 'an amount is no energy at this price' } };
}

/** SET_SELL_AMOUNT: only noted; units are set aside when the trigger says how many. */
export function setSellAmount(
  customer: CustomerState,
  event: AutoEvent<TradeSellAmountBody>,
  say: Say,
): Decision<CustomerState> {
  const { instrument, amountE5Sek } = event.body;
  const price = sellingPrice(customer, event);
  if (typeof price !== 'number') return price;
  const position = positionOf(customer, event, instrument);
  const before = position.sell?.units ?? 0;
  const needed = unitsAt(customer, instrument, amountE5Sek, price);
  const available = freeUnits(customer, position) + before;
  if (available < needed) return { refuse: 'insufficient_holding', detail: { available, needed } };
  const refused = roomFor(customer, event.facts, instrument);
  if (refused) return refused;
  const draft = new Draft(customer, event);
  draft.keepPosition({ ...position, sell: { amountE5Sek, units: 0, trigger: null } });
  say.batch = postedBatch(draft, instrument, reserveUnits(instrument, -before));
  return draft.done(sellReply(draft.position(instrument)));
}

/** SET_SELL_TRIGGER: sets aside what the amount is at that price. */
export function setSellTrigger(
  customer: CustomerState,
  event: AutoEvent<TradeTriggerBody>,
  say: Say,
): Decision<CustomerState> {
  const { instrument, priceE5Sek, txn } = event.body;
  const position = positionOf(customer, event, instrument);
  if (!position.sell) return noAmount(instrument);
  const { amountE5Sek, units: before, trigger } = position.sell;
  const units = unitsAt(customer, instrument, amountE5Sek, priceE5Sek);
  const available = freeUnits(customer, position) + before;
  if (units < 1 || available < units)
    return { refuse: 'insufficient_holding', detail: { available, needed: Math.max(1, units) } };
  const draft = new Draft(customer, event);
  draft.keepPosition({ ...position, sell: { amountE5Sek, units, trigger: armed(draft, trigger, priceE5Sek, txn) } });
  say.batch = postedBatch(draft, instrument, reserveUnits(instrument, units - before));
  return draft.done(sellReply(draft.position(instrument)));
}

/** CANCEL_SET_SELL. */
export function cancelSell(
  customer: CustomerState,
  event: AutoEvent<TradeCancelAutoBody>,
  say: Say,
): Decision<CustomerState> {
  const { instrument } = event.body;
  const position = positionOf(customer, event, instrument);
  if (!position.sell) return noAmount(instrument);
  const draft = new Draft(customer, event);
  draft.keepPosition({ ...position, sell: null });
  say.batch = postedBatch(draft, instrument, reserveUnits(instrument, -position.sell.units));
  return draft.done(sellReply(draft.position(instrument)));
}

/** Posts what an automatic order sets aside or gives back. Null: nothing moved. */
function postedBatch(draft: Draft, instrument: string, legs: Leg[]): string | null {
  const moves = legs.filter(({ amount }) => amount !== 0);
  return moves.length === 0 ? null : draft.post('reserve', instrument, moves);
}

// --- firing ---------------------------------------------------------------------------------------------------------------

type FireEvent = ActorEvent<TradeFireBody, PositionFacts>;

/** Whether a price fires a trigger (A2). */
export const fires = (side: Side, triggerE5Sek: number, priceE5Sek: number): boolean =>
  side === 'buy' ? priceE5Sek <= triggerE5Sek : priceE5Sek >= triggerE5Sek;

/** A price has come that may fire the trigger of one side; what cannot be filled now stays armed. */
export function fire(customer: CustomerState, event: FireEvent): Decision<CustomerState> {
  const { instrument, side, priceE5Sek } = event.body;
  const position = event.facts.position(instrument);
  const auto = position?.[side];
  if (!position || !auto?.trigger || !fires(side, auto.trigger.priceE5Sek, priceE5Sek)) return {};
  const symbol = symbolOf(instrument);
  if (symbol === null) return fireEnergy(customer, event, position, auto.trigger);
  if (rulesOf(customer).denomination === 'value' && priceE5Sek !== valueUnitE5Sek) return {};
  const draft = new Draft(customer, event);
  const { n, txn } = auto.trigger;
  const units = side === 'buy' ? unitsAt(customer, instrument, auto.amountE5Sek, priceE5Sek) : position.sell!.units;
  const costE5Sek = safe(units * priceE5Sek);
  const order: OrderFact = {
    order: `${draft.self.id}-${n}`,
    side,
    instrument,
    state: 'posted',
    units,
    priceE5Sek,
    amountE5Sek: costE5Sek,
    expiresAt: draft.now,
  };
  const held = side === 'buy' ? auto.amountE5Sek : units;
  const legs = postLegs('reserved', { side, symbol, held, units }, costE5Sek);
  draft.keepPosition({ ...position, [side]: null });
  draft.telling(firedFact(order, auto.amountE5Sek, txn), () => draft.post('settlement', order.order, legs));
  return draft.done();
}

const firedFact = (order: OrderFact, amountE5Sek: number, txn: number) => ({
  txn,
  command: order.side === 'buy' ? ('SET_BUY_TRIGGER' as const) : ('SET_SELL_TRIGGER' as const),
  instrument: order.instrument,
  amountE5Sek,
  order,
});

/** The amount becomes an order that is delivered; what the battery has no room for is not bought. */
function fireEnergy(
  customer: CustomerState,
  event: FireEvent,
  position: PositionState,
  { txn }: TriggerState,
): Decision<CustomerState> {
  const { side, priceE5Sek, station } = event.body;
  if (!station || (side === 'buy' && !station.importOpen)) return {};
  const draft = new Draft(customer, event);
  // What has flowed until now has made room.
  flow(draft);
  if (draft.customer.orders.length >= openOrdersMax) return {};
  const amountE5Sek = position[side]!.amountE5Sek;
  const energyWh =
    side === 'sell'
      ? position.sell!.units
      : // At a price that is nothing or less, any amount buys what there is room for.
        Math.min(roomWhOf(draft.customer), unitsFor(amountE5Sek, Math.max(1, priceE5Sek), 'units', whPerPrice));
  if (energyWh < 1) return {};
  const order = {
    ...newOrder(draft.customer, event, side, energyWh, { ...station, priceE5SekPerKwh: 0 }),
    priceE5SekPerKwh: priceE5Sek,
    expiresAt: draft.now,
  };
  order.held = side === 'buy' ? heldOf(order).sek : heldOf(order).wh;
  const legs =
    side === 'buy'
      ? [
          sek('reserved', -amountE5Sek),
          sek('pending', heldOf(order).sek),
          sek('available', amountE5Sek - heldOf(order).sek),
        ]
      : [wh('reserved', -energyWh), wh('pending', energyWh), ...hold('SEK', heldOf(order).sek)];
  draft.customer = { ...draft.customer, orderCount: draft.customer.orderCount + 1 };
  draft.keepPosition({ ...position, [side]: null });
  draft.telling(firedFact(orderFact(order, 'delivering'), amountE5Sek, txn), () => {
    draft.post('hold', order.order, legs);
    draft.keep(order);
    deliver(draft, order);
  });
  return draft.done();
}
