/**
 * Bodies of the commands that doors send to customers, and the values they get back. to: customer (key = id = the user's id).
 * Money is in 10⁻⁵ SEK, energy in Wh, times in unix ms, UTC.
 */
import Type, { type Static } from 'typebox';
import { Tier } from './events.ts';

const closed = { additionalProperties: false };
const id = (description: string) => Type.String({ minLength: 1, maxLength: 128, description });
/** 10⁹ SEK: far inside what a safe integer holds, whatever is multiplied with it. */
export const amountE5SekMax = 100_000_000_000_000;
/** 1 GWh. */
export const energyWhMax = 1_000_000_000;
const amount = (description: string) =>
  Type.Integer({ minimum: 1, maximum: amountE5SekMax, description: `${description}; 10⁻⁵ SEK` });
const energy = (description: string) =>
  Type.Integer({ minimum: 1, maximum: energyWhMax, description: `${description}; Wh` });

/** Opens the account: 0 SEK and a 100,000 Wh battery that holds 50,000 Wh. Again: ok, changes nothing. Reply `{ customer }`. */
export const CustomerOpen = Type.Object({ name: Type.String({ maxLength: 200 }) }, closed);

/** Reply: {@link BalanceReply}. */
export const CustomerDeposit = Type.Object({ amountE5Sek: amount('money that has been paid in') }, closed);
/** At most what is available. Reply: {@link BalanceReply}. */
export const CustomerWithdraw = Type.Object({ amountE5Sek: amount('money to pay out') }, closed);
/** How far below zero the available money may go; admins only. Reply: {@link BalanceReply}. */
export const CustomerCredit = Type.Object(
  { limitE5Sek: Type.Integer({ minimum: 0, maximum: amountE5SekMax, description: '10⁻⁵ SEK' }) },
  closed,
);
/** Signed in or connected until then: the battery is sampled every 5 s. Never earlier than it was. Reply `{ until }`. */
export const CustomerPresent = Type.Object({ until: Type.Integer({ description: 'unix ms, UTC' }) }, closed);

/** A read: the price in force at a station. Reply: {@link QuoteReply}; `unknown_station`, `quote_stale`. */
export const OrderQuote = Type.Object({ station: id('station') }, closed);

const inSlot = {
  station: id('station'),
  slot: Type.Union([Type.Integer({ minimum: 0 }), Type.Null()]),
};
/**
 * Holds money for energy at the price of a slot: the newest of the customer's partition, or the one before it for 3 s;
 * null = the newest. Reply: {@link HeldReply}.
 */
export const OrderBuy = Type.Object({ ...inSlot, energyWh: energy('energy to buy') }, closed);
/** Holds energy of the battery, to be sold at the price of a slot. Reply: {@link HeldReply}. */
export const OrderSell = Type.Object({ ...inSlot, energyWh: energy('energy to sell') }, closed);

const Side = Type.Enum(['buy', 'sell']);
const picked = { side: Side, order: Type.Union([id('order'), Type.Null()]) };
/** `order` null = the newest one of that side that is held. Reply: {@link OrderReply}. */
export const OrderCommit = Type.Object(picked, closed);
/** Gives back what is held. Reply: {@link OrderReply}. */
export const OrderCancel = Type.Object(picked, closed);
/** Ends a committed order early: what has flowed is settled, the rest goes back. Reply: {@link OrderReply}. */
export const OrderStop = Type.Object({ order: id('order') }, closed);

export const BalanceReply = Type.Object({
  availableE5Sek: Type.Integer(),
  heldE5Sek: Type.Integer(),
  creditLimitE5Sek: Type.Integer(),
});
export type BalanceReply = Static<typeof BalanceReply>;

export const QuoteReply = Type.Object({
  station: Type.String(),
  slot: Type.Integer(),
  producedAt: Type.Integer(),
  validUntil: Type.Integer(),
  tier: Tier,
  importOpen: Type.Boolean(),
  /** What 1 kWh costs to buy and brings when sold, all components included. */
  buyE5SekPerKwh: Type.Integer(),
  sellE5SekPerKwh: Type.Integer(),
});
export type QuoteReply = Static<typeof QuoteReply>;

export const HeldReply = Type.Object({
  order: Type.String(),
  side: Side,
  station: Type.String(),
  slot: Type.Integer(),
  energyWh: Type.Integer(),
  priceE5SekPerKwh: Type.Integer(),
  amountE5Sek: Type.Integer(),
  /** The last moment at which it can be committed. */
  expiresAt: Type.Integer(),
});
export type HeldReply = Static<typeof HeldReply>;

export const OrderStateName = Type.Enum(['held', 'cancelled', 'expired', 'delivering', 'completed', 'partial', 'void']);
export type OrderStateName = Static<typeof OrderStateName>;

export const OrderReply = Type.Object({
  order: Type.String(),
  side: Side,
  state: OrderStateName,
  energyWh: Type.Integer(),
  deliveredWh: Type.Integer(),
  settledE5Sek: Type.Integer(),
});
export type OrderReply = Static<typeof OrderReply>;

export type CustomerOpenBody = Static<typeof CustomerOpen>;
export type CustomerAmountBody = Static<typeof CustomerDeposit>;
export type CustomerCreditBody = Static<typeof CustomerCredit>;
export type CustomerPresentBody = Static<typeof CustomerPresent>;
export type OrderQuoteBody = Static<typeof OrderQuote>;
export type OrderPlaceBody = Static<typeof OrderBuy>;
export type OrderPickBody = Static<typeof OrderCommit>;
export type OrderStopBody = Static<typeof OrderStop>;
