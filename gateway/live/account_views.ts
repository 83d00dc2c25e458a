/** A customer's account as its owner sees it. Pure: the state and the moment. */
import { batteryAt } from '#actors/battery';
import { amountOf } from '#actors/ledger';
import type { CustomerState, OrderState } from '#actors/schema/customer_entities';
import type { BatteryNow, OrderView, Wallet } from '../schema/account.ts';

export const walletView = ({ sek, creditLimitE5Sek }: CustomerState): Wallet => ({
  availableE5Sek: sek.available,
  heldE5Sek: sek.pending,
  creditLimitE5Sek,
});

/** The battery at `now`, unix ms; never earlier than what it is reckoned from. */
export function batteryView(customer: CustomerState, now: number): BatteryNow {
  const at = Math.max(now, customer.sinceAt);
  const { energyWh, capacityWh, levelBp, powerW } = batteryAt(customer, at);
  return { energyWh, capacityWh, levelBp, powerW, at };
}

export const orderView = (o: OrderState): OrderView => ({
  order: o.order,
  side: o.side,
  state: o.state,
  site: o.site,
  station: o.station,
  slot: o.slot,
  energyWh: o.energyWh,
  priceE5SekPerKwh: o.priceE5SekPerKwh,
  amountE5Sek: amountOf(o.priceE5SekPerKwh, o.energyWh),
  deliveredWh: o.deliveredWh,
  settledE5Sek: o.settledE5Sek,
  heldAt: o.heldAt,
  expiresAt: o.expiresAt,
  committedAt: o.committedAt,
});
