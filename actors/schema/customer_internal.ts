/** Bodies of the commands by which customers, sites, tags and accounts deal with each other. Times are unix ms, UTC. */
import Type, { type Static } from 'typebox';
import { BoardPrice } from './customer_entities.ts';

const int = () => Type.Integer();
const str = () => Type.String();
const closed = { additionalProperties: false };

// --- ledger ---------------------------------------------------------------------------------------------------------

/** to: account (this partition). Adds `amount` (signed) to its balance; sent with the batch that its legs belong to. */
export const AccountPost = Type.Object({ ledger: str(), name: str(), amount: int() }, closed);

// --- prices ---------------------------------------------------------------------------------------------------------

/** to: exchange (this partition), after the stations of the slot. */
export const ExchangeTell = Type.Object({ slot: int() }, closed);
/** to: board in every partition. `changed`: stations whose price is not what was told before. */
export const BoardSlot = Type.Object({ slot: int(), changed: Type.Array(BoardPrice) }, closed);

// --- orders and the station -------------------------------------------------------------------------------------------

/**
 * to: station. The load that a customer's orders put on it from now on, W (a sell lowers it); 0 = none. `count` is dense
 * per customer, so that an older word never overrides a newer one.
 */
export const StationDraw = Type.Object({ customer: str(), powerW: int(), count: int() }, closed);
/** to: station. Energy that has gone between its inventory and a customer in another place: + to the customer. Wh. */
export const StationDeliver = Type.Object({ customer: str(), batch: str(), energyWh: int() }, closed);

// --- tags and sessions ------------------------------------------------------------------------------------------------

/** to: customer, from the tag's directory name: it is billed here from now on, or no longer. */
export const TagOwned = Type.Object({ tag: str() }, closed);
export const TagReleased = Type.Object({ tag: str() }, closed);
/** to: name of the tag, from the customer who pays for it. */
export const TagCredit = Type.Object({ customer: str(), credit: Type.Enum(['ok', 'empty']) }, closed);

/** to: customer. A session has begun under one of its tags. Answered by `credit.answered` to the session. */
export const CreditHold = Type.Object({ site: str(), station: str(), transaction: int(), tag: str() }, closed);
/** to: session. */
export const CreditAnswered = Type.Object({ granted: Type.Boolean() }, closed);

/** Energy between two samples at the price in force at the earlier one; several parts when the price changed meanwhile. */
export const MeteredPart = Type.Object({ energyWh: int(), priceE5SekPerKwh: int() }, closed);
export type MeteredPart = Static<typeof MeteredPart>;
/**
 * to: customer. What a session has drawn and not yet billed; `energyWh` of a part is negative when a late sample takes
 * something back. `final`: the session has ended, what is still held for it goes back.
 */
export const EnergyMetered = Type.Object(
  {
    site: str(),
    station: str(),
    charger: str(),
    transaction: int(),
    tag: str(),
    batch: str(),
    from: int(),
    to: int(),
    parts: Type.Array(MeteredPart),
    final: Type.Boolean(),
  },
  closed,
);

/** to: customer. A battery slot of 5 s: samples, changes nothing. */
export const CustomerSample = Type.Object({ slot: int(), at: int() }, closed);

export type AccountPostBody = Static<typeof AccountPost>;
export type BoardSlotBody = Static<typeof BoardSlot>;
export type StationDrawBody = Static<typeof StationDraw>;
export type StationDeliverBody = Static<typeof StationDeliver>;
export type CreditHoldBody = Static<typeof CreditHold>;
export type EnergyMeteredBody = Static<typeof EnergyMetered>;
