/** A customer's account as its owner sees it; the same shapes on HTTP and on the live topic `me`. */
import Type, { type Static } from 'typebox';
import { OrderStateName } from '#actors/schema/customer_commands';
import { closed, nullable, unixMs } from './ref.ts';

const e5Sek = (description: string) => Type.Integer({ description: `${description}, 10⁻⁵ SEK` });
const wh = (description: string) => Type.Integer({ description: `${description}, Wh` });

export const Wallet = Type.Object(
  {
    availableE5Sek: e5Sek('free to spend or to pay out'),
    heldE5Sek: e5Sek('set aside for orders and charging sessions'),
    creditLimitE5Sek: e5Sek('how far below zero the available money may go'),
  },
  { $id: 'Wallet', ...closed },
);
export type Wallet = Static<typeof Wallet>;

/** The energy moves while `powerW` is not 0: it is what the battery holds at `at`. */
export const BatteryNow = Type.Object(
  {
    energyWh: wh('stored'),
    capacityWh: wh('room in all'),
    levelBp: Type.Integer({ description: 'energy / capacity in basis points, rounded down' }),
    powerW: Type.Integer({ description: '+ charging, − discharging' }),
    at: unixMs('of that energy'),
  },
  { $id: 'BatteryNow', ...closed },
);
export type BatteryNow = Static<typeof BatteryNow>;

/** An order that is open. What becomes of it after its end is in the trades. */
export const OrderView = Type.Object(
  {
    order: Type.String(),
    side: Type.Enum(['buy', 'sell']),
    state: OrderStateName,
    site: Type.String(),
    station: Type.String(),
    slot: Type.Integer({ description: 'whose price is held' }),
    energyWh: wh('ordered'),
    priceE5SekPerKwh: Type.Integer({ description: 'all components included' }),
    amountE5Sek: e5Sek('for all of the order at that price'),
    deliveredWh: wh('posted so far'),
    settledE5Sek: e5Sek('posted for that'),
    heldAt: unixMs('of the hold'),
    expiresAt: unixMs('the last moment at which a held order can be committed'),
    committedAt: nullable(unixMs('of the commit')),
  },
  { $id: 'OrderView', ...closed },
);
export type OrderView = Static<typeof OrderView>;
