/**
 * Orders on energy of a station: held at the price of a slot for 60 s, then committed, cancelled or expired, each alone.
 * Committing cannot fail for want of money or energy, because holding has set them aside.
 */
import type { ActorEvent, Decision } from './actor.ts';
import { floorWh, postedWh, remainingWh, withPower } from './battery.ts';
import { priceInForce, priceKeptMs } from './board.ts';
import { finish, flow, giveBack } from './customer_battery.ts';
import { Draft, holdMs, type CustomerFacts } from './customer_draft.ts';
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
import type { RefusalCode } from './refusals.ts';

/** Held and committed together. */
export const openOrdersMax = 32;

export interface OrderFacts extends CustomerFacts {
  board: BoardState | null;
}
type Refused = { refuse: RefusalCode; detail: Record<string, unknown> };

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

/** Room or energy for the order, after what is open already. */
function batteryAllows(customer: CustomerState, { side, energyWh }: OrderState): Refused | null {
  if (side === 'sell') {
    const freeWh = Math.max(0, customer.wh.available - floorWh(customer.capacityWh));
    return energyWh > freeWh ? { refuse: 'battery_low', detail: { freeWh } } : null;
  }
  const comingWh = customer.orders.reduce((sum, order) => sum + (order.side === 'buy' ? remainingWh(order) : 0), 0);
  const roomWh = Math.max(0, customer.capacityWh - postedWh(customer) - comingWh);
  return energyWh > roomWh ? { refuse: 'battery_full', detail: { roomWh } } : null;
}

/** The last öre may be spent; a customer who is below the limit already holds nothing more. */
function moneyAllows({ sek, creditLimitE5Sek }: CustomerState, heldE5Sek: number): Refused | null {
  const freeE5Sek = sek.available + creditLimitE5Sek;
  if (heldE5Sek <= Math.max(0, freeE5Sek)) return null;
  const detail = { availableE5Sek: sek.available, neededE5Sek: heldE5Sek };
  return { refuse: freeE5Sek < 0 ? 'credit_used_up' : 'insufficient_funds', detail };
}

function place(
  side: OrderState['side'],
  customer: CustomerState,
  event: ActorEvent<OrderPlaceBody, OrderFacts>,
): Decision<CustomerState> {
  const { self, now, body, facts } = event;
  const price = priceInForce(facts.board, body.station, body.slot, now);
  if ('refuse' in price) return price;
  if (side === 'buy' && !price.importOpen) return { refuse: 'station_capped', detail: { station: body.station } };
  if (customer.orders.length >= openOrdersMax) return { refuse: 'too_many_orders', detail: { max: openOrdersMax } };
  const order = withHeld({
    order: `${self.id}-${customer.orderCount + 1}`,
    side,
    site: price.site,
    station: price.station,
    slot: price.slot,
    energyWh: body.energyWh,
    priceE5SekPerKwh: (side === 'buy' ? buyPrice : sellPrice)(price.priceE5SekPerKwh),
    held: 0,
    state: 'held',
    heldAt: now,
    expiresAt: now + holdMs,
    committedAt: null,
    deliveredWh: 0,
    settledE5Sek: 0,
    powerW: null,
    flowWMs: 0,
  });
  const held = heldOf(order);
  const refused = batteryAllows(customer, order) ?? moneyAllows(customer, held.sek);
  if (refused) return refused;
  const draft = new Draft(customer, event);
  draft.customer = { ...customer, orderCount: customer.orderCount + 1 };
  draft.post('hold', order.order, [...hold('SEK', held.sek), ...hold('Wh', held.wh)]);
  draft.keep(order);
  draft.trade(order, 'held');
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
  flow(draft);
  const committed: OrderState = { ...order, state: 'delivering', committedAt: event.now };
  draft.keepLast(committed);
  draft.customer = withPower(draft.customer);
  draft.trade(committed, 'delivering');
  return draft.done(orderReply(committed, 'delivering'));
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

/** Each hold expires alone; older ones that are still young enough stay. */
export function expire(
  customer: CustomerState,
  event: ActorEvent<Record<string, unknown>, CustomerFacts>,
): Decision<CustomerState> {
  const draft = new Draft(customer, event);
  for (const order of customer.orders) {
    if (order.state !== 'held' || event.now <= order.expiresAt) continue;
    giveBack(draft, order, 'expiry');
    draft.trade(order, 'expired');
  }
  return draft.done();
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
