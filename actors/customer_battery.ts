/**
 * Delivery of committed orders by the virtual battery: first committed, first served on each side, posted as it flows at the
 * price that was held. Until it is posted, what has flowed follows from the state.
 */
import type { ActorEvent, Decision } from './actor.ts';
import { batteryAt, flowChangesAt, flowedWh, isRunning, remainingWh, withPower, wMsPerWh } from './battery.ts';
import { stationAddress } from './addresses.ts';
import { buyComponents, sellComponents } from './fees.ts';
import { hold, partOf, sek, split, wh } from './ledger.ts';
import { Draft, type CustomerFacts } from './customer_draft.ts';
import type { CustomerPresentBody } from './schema/customer_commands.ts';
import type { CustomerState, OrderState } from './schema/customer_entities.ts';
import type { Battery } from './schema/events.ts';
import { subject } from './schema/subjects.ts';
import { heldOf, withHeld } from './order.ts';
import { reply } from './machine.ts';

/** A battery slot. */
export const batterySlotMs = 5_000;

/** Posts `energyWh` more of an order at its price and brings them to or from the station. */
function settle(draft: Draft, order: OrderState, energyWh: number) {
  if (energyWh === 0) return;
  const { side, priceE5SekPerKwh: price } = order;
  const deliveredWh = order.deliveredWh + energyWh;
  const part = (componentPrice: number) => partOf(componentPrice, order.deliveredWh, deliveredWh);
  const money = part(price);
  const after = withHeld({ ...order, deliveredWh, settledE5Sek: order.settledE5Sek + money });
  const isBuy = side === 'buy';
  const gain = isBuy ? -money : money;
  const held = heldOf(after).sek - heldOf(order).sek;
  const batch = draft.post('settlement', order.order, [
    sek('available', gain - held),
    sek('pending', held),
    ...split(-gain, isBuy ? buyComponents(price) : sellComponents(price), part),
    wh(isBuy ? 'available' : 'pending', isBuy ? energyWh : -energyWh),
    wh('transit', isBuy ? -energyWh : energyWh),
  ]);
  draft.send(stationAddress(order.site, order.station), 'station.deliver', {
    customer: draft.self.id,
    batch,
    energyWh: isBuy ? energyWh : -energyWh,
  });
  draft.keep(after);
}

/** What is still held goes back, and the order is gone. */
export function giveBack(draft: Draft, order: OrderState, kind: 'release' | 'expiry') {
  const held = heldOf(order);
  draft.post(kind, order.order, [...hold('SEK', -held.sek), ...hold('Wh', -held.wh)]);
  draft.drop(order);
}

/** Ends a committed order with what it has delivered. Returns its last state. */
export function finish(draft: Draft, order: OrderState): 'completed' | 'partial' | 'void' {
  const state = remainingWh(order) === 0 ? 'completed' : order.deliveredWh > 0 ? 'partial' : 'void';
  giveBack(draft, order, 'release');
  draft.trade(order, state);
  return state;
}

/** Posts what has flowed until now, ends what is complete, and gives the front of each queue its power. */
export function flow(draft: Draft) {
  for (;;) {
    const { customer } = draft;
    const changesAt = flowChangesAt(customer);
    const until = changesAt === null ? draft.now : Math.min(changesAt, draft.now);
    const elapsedMs = until - customer.sinceAt;
    for (const order of customer.orders.filter(isRunning)) {
      const energyWh = flowedWh(order, elapsedMs);
      const flowWMs = order.flowWMs + Math.abs(order.powerW) * elapsedMs - energyWh * wMsPerWh;
      settle(draft, { ...order, flowWMs }, energyWh);
      if (energyWh === 0) draft.keep({ ...order, flowWMs });
      const after = draft.customer.orders.find((known) => known.order === order.order)!;
      if (remainingWh(after) === 0) finish(draft, after);
    }
    draft.customer = withPower({ ...draft.customer, sinceAt: until });
    if (until >= draft.now) return;
  }
}

export function flowed(
  customer: CustomerState,
  event: ActorEvent<Record<string, unknown>, CustomerFacts>,
): Decision<CustomerState> {
  const draft = new Draft(customer, event);
  flow(draft);
  return draft.done();
}

/** Told again and again; what was said longest holds. */
export function present(customer: CustomerState, { body }: ActorEvent<CustomerPresentBody>): Decision<CustomerState> {
  if (body.until <= customer.presentUntil) return { outputs: [reply({ until: customer.presentUntil })] };
  return { context: { ...customer, presentUntil: body.until }, outputs: [reply({ until: body.until })] };
}

/** A sample of the battery: writes no state. */
export function sample(
  customer: CustomerState,
  { self, body: { slot, at } }: ActorEvent<{ slot: number; at: number }>,
): Decision<CustomerState> {
  const payload: Battery = { customer: self.id, slot, at, ...batteryAt(customer, at) };
  return { outputs: [{ type: 'emit', params: { kind: 'battery', subject: subject.battery(self.id), payload } }] };
}
