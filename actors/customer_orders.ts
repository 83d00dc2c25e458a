/**
 * Orders on energy of a station: held at the price of a slot for 60 s, then committed, cancelled or expired, each alone.
 * Committing cannot fail for want of money or energy, because holding has set them aside.
 */
import type { ActorEvent, Decision } from './actor.ts';
import { floorWh, postedWh, remainingWh, withPower } from './battery.ts';
import { priceInForce, priceKeptMs, type PriceInForce } from './board.ts';
import { finish, flow, giveBack } from './customer_battery.ts';
import { Draft, holdsUntil, type CustomerFacts } from './customer_draft.ts';
import { buyPrice, sellPrice } from './fees.ts';
import { hold } from './ledger.ts';
import { slotMs } from './load.ts';
import { reply } from './machine.ts';
import { amountOfOrder, heldOf, orderReply, withHeld } from './order.ts';
import type {
  HeldReply,
  OrderPickBody,
  OrderPlaceBody,
  OrderQuoteBody,
  OrderStopBody,
  QuoteReply,
} from './schema/customer_commands.ts';
import type { BoardState, CustomerState, OrderState } from './schema/customer_entities.ts';
import type { Refused } from './refusals.ts';

/** Held and committed together. */
export const openOrdersMax = 32;

export interface OrderFacts extends CustomerFacts {
  board: BoardState | null;
}

export function quote(
  _customer: CustomerState,
  { now, body, facts }: ActorEvent<OrderQuoteBody, OrderFacts>,
): Decision<CustomerState> {
  const price = priceInForce(facts.board, body.station, null, now);
  if ('refuse' in price) return price;
  const answer: QuoteReply = {
    station: price.station,
    slot: price.slot,
    producedAt: price.slot * slotMs,
    validUntil: price.slot * slotMs + priceKeptMs,
    tier: price.tier,
    importOpen: price.importOpen,
    buyE5SekPerKwh: buyPrice(price.priceE5SekPerKwh),
    sellE5SekPerKwh: sellPrice(price.priceE5SekPerKwh),
  };
  return { outputs: [reply(answer)] };
}

/** Above the floor, not set aside for sales. */
export const freeWhOf = ({ wh, capacityWh }: CustomerState): number => Math.max(0, wh.available - floorWh(capacityWh));
/** For what is not bought yet. */
export function roomWhOf(customer: CustomerState): number {
  const comingWh = customer.orders.reduce((sum, order) => sum + (order.side === 'buy' ? remainingWh(order) : 0), 0);
  return Math.max(0, customer.capacityWh - postedWh(customer) - comingWh);
}

/** Room or energy for the order, after what is open already. */
export function batteryAllows(
  customer: CustomerState,
  { side, energyWh }: Pick<OrderState, 'side' | 'energyWh'>,
): Refused | null {
  if (side === 'sell') {
    const freeWh = freeWhOf(customer);
    return energyWh > freeWh ? { refuse: 'battery_low', detail: { freeWh } } : null;
  }
  const roomWh = roomWhOf(customer);
  return energyWh > roomWh ? { refuse: 'battery_full', detail: { roomWh } } : null;
}

/** The last öre may be spent; a customer who is below the limit already holds nothing more. */
export function moneyAllows({ sek, creditLimitE5Sek }: CustomerState, heldE5Sek: number): Refused | null {
  const freeE5Sek = sek.available + creditLimitE5Sek;
  if (heldE5Sek <= Math.max(0, freeE5Sek)) return null;
  const detail = { availableE5Sek: sek.available, neededE5Sek: heldE5Sek };
  return { refuse: freeE5Sek < 0 ? 'credit_used_up' : 'insufficient_funds', detail };
}

/** An order at a price in force, held from now on; what it holds is not posted yet. */
export function newOrder(
  customer: CustomerState,
  { self, now }: ActorEvent<unknown>,
  side: OrderState['side'],
  energyWh: number,
  { site, station, slot, priceE5SekPerKwh }: Pick<PriceInForce, 'site' | 'station' | 'slot' | 'priceE5SekPerKwh'>,
): OrderState {
  return withHeld({
    order: `${self.id}-${customer.orderCount + 1}`,
    side,
    site,
    station,
    slot,
    energyWh,
    priceE5SekPerKwh: (side === 'buy' ? buyPrice : sellPrice)(priceE5SekPerKwh),
    held: 0,
    state: 'held',
    heldAt: now,
    expiresAt: holdsUntil(customer, now),
    committedAt: null,
    deliveredWh: 0,
    settledE5Sek: 0,
    powerW: null,
    flowWMs: 0,
  });
}

/** Why the order cannot be held. */
export function refusedOrder(customer: CustomerState, order: OrderState): Refused | null {
  if (customer.orders.length >= openOrdersMax) return { refuse: 'too_many_orders', detail: { max: openOrdersMax } };
  return batteryAllows(customer, order) ?? moneyAllows(customer, heldOf(order).sek);
}

/** Sets aside what it needs. */
export function holdOrder(draft: Draft, order: OrderState) {
  const held = heldOf(order);
  draft.customer = { ...draft.customer, orderCount: draft.customer.orderCount + 1 };
  draft.post('hold', order.order, [...hold('SEK', held.sek), ...hold('Wh', held.wh)]);
  draft.keep(order);
  draft.trade(order, 'held');
}

/** The price of the slot; a buy needs an open station. */
export function orderPrice(
  side: OrderState['side'],
  { station, slot }: Pick<OrderPlaceBody, 'station' | 'slot'>,
  { board }: OrderFacts,
  now: number,
): PriceInForce | Refused {
  const price = priceInForce(board, station, slot, now);
  if ('refuse' in price || side === 'sell' || price.importOpen) return price;
  return { refuse: 'station_capped', detail: { station } };
}

function place(
  side: OrderState['side'],
  customer: CustomerState,
  event: ActorEvent<OrderPlaceBody, OrderFacts>,
): Decision<CustomerState> {
  const { now, body, facts } = event;
  const price = orderPrice(side, body, facts, now);
  if ('refuse' in price) return price;
  const order = newOrder(customer, event, side, body.energyWh, price);
  const refused = refusedOrder(customer, order);
  if (refused) return refused;
  const draft = new Draft(customer, event);
  holdOrder(draft, order);
  const { energyWh, priceE5SekPerKwh, expiresAt, slot, station } = order;
  const answer: HeldReply = {
    order: order.order,
    side,
    station,
    slot,
    energyWh,
    priceE5SekPerKwh,
    amountE5Sek: amountOfOrder(order),
    expiresAt,
  };
  return draft.done(answer);
}
export const buy = (customer: CustomerState, event: ActorEvent<OrderPlaceBody, OrderFacts>) =>
  place('buy', customer, event);
export const sell = (customer: CustomerState, event: ActorEvent<OrderPlaceBody, OrderFacts>) =>
  place('sell', customer, event);

/** Why an order cannot be found: it has ended, or was never made. */
function missing(customer: CustomerState, customerId: string, order: string): Refused {
  const n = order.startsWith(`${customerId}-`) ? order.slice(customerId.length + 1) : '';
  const wasMade = /^[1-9]\d{0,15}$/.test(n) && Number(n) <= customer.orderCount;
  return { refuse: wasMade ? 'order_ended' : 'unknown_order', detail: { order } };
}

/** The order that is meant: by its id, or the newest of the side that is held. */
function picked(
  customer: CustomerState,
  { self, now, body: { side, order } }: ActorEvent<OrderPickBody>,
): OrderState | Refused {
  const isHeld = ({ state, expiresAt }: OrderState) => state === 'held' && now <= expiresAt;
  if (order === null)
    return (
      customer.orders.findLast((known) => known.side === side && isHeld(known)) ?? {
        refuse: 'nothing_pending',
        detail: { side },
      }
    );
  const known = customer.orders.find((candidate) => candidate.order === order);
  if (!known) return missing(customer, self.id, order);
  if (known.side !== side) return { refuse: 'unknown_order', detail: { order, side } };
  return isHeld(known) ? known : { refuse: 'nothing_pending', detail: { order } };
}

/** The hold loses its 60 s and waits for its turn in the queue of its side. */
export function commit(
  customer: CustomerState,
  event: ActorEvent<OrderPickBody, CustomerFacts>,
): Decision<CustomerState> {
  const order = picked(customer, event);
  if ('refuse' in order) return order;
  const draft = new Draft(customer, event);
  return draft.done(orderReply(deliver(draft, order), 'delivering'));
}

/** Puts an order, whose hold is posted, at the end of the queue of its side. */
export function deliver(draft: Draft, order: OrderState): OrderState {
  flow(draft);
  const committed: OrderState = { ...order, state: 'delivering', committedAt: draft.now };
  draft.keepLast(committed);
  draft.customer = withPower(draft.customer);
  draft.trade(committed, 'delivering');
  return committed;
}

export function cancel(
  customer: CustomerState,
  event: ActorEvent<OrderPickBody, CustomerFacts>,
): Decision<CustomerState> {
  const order = picked(customer, event);
  if ('refuse' in order) return order;
  const draft = new Draft(customer, event);
  giveBack(draft, order, 'release');
  draft.trade(order, 'cancelled');
  return draft.done(orderReply(order, 'cancelled'));
}

/** A held order that is stopped is cancelled: nothing of it has flowed. */
export function stop(
  customer: CustomerState,
  event: ActorEvent<OrderStopBody, CustomerFacts>,
): Decision<CustomerState> {
  const isMeant = ({ order }: OrderState) => order === event.body.order;
  const order = customer.orders.find(isMeant);
  if (!order) return missing(customer, event.self.id, event.body.order);
  if (order.state === 'held') {
    const body = { side: order.side, order: order.order };
    return cancel(customer, { ...event, body });
  }
  const draft = new Draft(customer, event);
  flow(draft);
  // What has flowed until now may have been all of it.
  const rest = draft.customer.orders.find(isMeant);
  if (!rest) {
    const { energyWh } = order;
    const whole = { ...order, deliveredWh: energyWh, settledE5Sek: amountOfOrder(order) };
    return draft.done(orderReply(whole, 'completed'));
  }
  const state = finish(draft, rest);
  draft.customer = withPower(draft.customer);
  return draft.done(orderReply(rest, state));
}
