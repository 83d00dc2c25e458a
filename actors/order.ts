/** What an order comes to and what it holds. */
import { amountOf } from './ledger.ts';
import type { OrderReply, OrderStateName } from './schema/customer_commands.ts';
import type { OrderState } from './schema/customer_entities.ts';

/** For all of it at the held price, 10⁻⁵ SEK. */
export const amountOfOrder = ({ priceE5SekPerKwh, energyWh }: OrderState): number =>
  amountOf(priceE5SekPerKwh, energyWh);

/**
 * What is set aside for the rest of it: money of a buy, energy of a sell. Below zero a price turns the money round, so
 * then a buy holds none and a sell holds what it will cost beside the energy.
 */
export function heldOf(order: OrderState): { sek: number; wh: number } {
  const rest = amountOfOrder(order) - order.settledE5Sek;
  return order.side === 'buy'
    ? { sek: Math.max(0, rest), wh: 0 }
    : { sek: Math.max(0, -rest), wh: order.energyWh - order.deliveredWh };
}

export const withHeld = (order: OrderState): OrderState => {
  const { sek, wh } = heldOf(order);
  return { ...order, held: order.side === 'buy' ? sek : wh };
};

export const orderReply = (
  { order, side, energyWh, deliveredWh, settledE5Sek }: OrderState,
  state: OrderStateName,
): OrderReply => ({ order, side, state, energyWh, deliveredWh, settledE5Sek });
