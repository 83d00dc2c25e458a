/** States of customers, ledger accounts and price boards, field by field in canonical order (the order of the post-image). */
import Type, { type Static } from 'typebox';
import { Tier } from './events.ts';
import { BookRules, HeldState } from './trading.ts';

const int = () => Type.Integer();
const str = () => Type.String();
const nullableInt = () => Type.Union([Type.Integer(), Type.Null()]);

/** What a party owns in one ledger: free, and set aside by holds. `pending` = sum of its open holds. */
export const Balance = Type.Object({ available: int(), pending: int() });
export type Balance = Static<typeof Balance>;

/** An order from its hold on; dropped once it has ended. */
export const OrderState = Type.Object({
  order: str(),
  side: Type.Enum(['buy', 'sell']),
  site: str(),
  station: str(),
  slot: int(),
  energyWh: int(),
  /** All components included; each is its own leg when it is posted. */
  priceE5SekPerKwh: int(),
  /** Still held: money of a buy (10⁻⁵ SEK), energy of a sell (Wh). */
  held: int(),
  state: Type.Enum(['held', 'delivering']),
  heldAt: int(),
  expiresAt: int(),
  committedAt: nullableInt(),
  /** Energy that has been posted, and the money for it. */
  deliveredWh: int(),
  settledE5Sek: int(),
  /** Power of its segment while it runs, W; waits in the queue of its side while null. */
  powerW: nullableInt(),
  /** What has flowed at `sinceAt` and is not a whole Wh yet, W·ms; 0 ≤ flowWMs < 3,600,000. */
  flowWMs: int(),
});
export type OrderState = Static<typeof OrderState>;

/** Money set aside for a charging session under one of the customer's tags. */
export const SessionHold = Type.Object({
  site: str(),
  transaction: int(),
  held: int(),
  billedWh: int(),
  billedE5Sek: int(),
});
export type SessionHold = Static<typeof SessionHold>;

/** value: `open`. id = key = the user's id. */
export const CustomerState = Type.Object({
  name: str(),
  createdAt: int(),
  /** Signed in or connected until then (log time). */
  presentUntil: int(),
  creditLimitE5Sek: int(),
  sek: Balance,
  wh: Balance,
  capacityWh: int(),
  /**
   * What the battery does since `sinceAt`: it then held the posted sum of `wh`, and `powerW` flows, + in, − out. Energy
   * between is derived (`storedWh`); it is posted in steps, and each posting begins a new segment.
   */
  sinceAt: int(),
  powerW: int(),
  orders: Type.Array(OrderState),
  sessions: Type.Array(SessionHold),
  /** Tags that are billed here, folded and sorted; their credit follows the wallet. */
  tags: Type.Array(str()),
  credit: Type.Enum(['ok', 'empty']),
  /** Counts orders: an order's id is `<customer>-<n>`. */
  orderCount: int(),
  /** Counts batches of postings: a batch's id is `<customer>:<n>`. */
  batchCount: int(),
  /** Counts words to stations about what its orders draw there. */
  drawCount: int(),
  /** Set aside for automatic orders, beside `sek` and `wh`. */
  reservedE5Sek: int(),
  reservedWh: int(),
  /** Null: the usual ones. */
  rules: Type.Union([BookRules, Type.Null()]),
  /** Pending orders on symbols, oldest first. */
  held: Type.Array(HeldState),
  /** Records of kind `position`. */
  positionCount: int(),
  /** Held orders on energy that a trading command made: `[n of the order, its transaction number, amount named]`. */
  orderTxns: Type.Array(Type.Array(int())),
  /** When a hold of that side expired last; 0 = never. */
  expiredBuyAt: int(),
  expiredSellAt: int(),
});
export type CustomerState = Static<typeof CustomerState>;

/**
 * A system account, one per partition, ledger (`SEK`, `Wh`, `SHARE:<symbol>`) and name; may be negative. value: `open`. key = `@<p>`,
 * id = `<ledger>:<name>`.
 */
export const AccountState = Type.Object({ ledger: Type.String(), name: str(), balance: int() });
export type AccountState = Static<typeof AccountState>;

/** The price of a station as other partitions know it. `slot` = since when it has been unchanged. */
export const BoardPrice = Type.Object({
  station: str(),
  site: str(),
  slot: int(),
  priceE5SekPerKwh: int(),
  tier: Tier,
  importOpen: Type.Boolean(),
});
export type BoardPrice = Static<typeof BoardPrice>;

/**
 * What one partition's stations cost, as brought to every partition once per slot. value: `open`. key = `@<p>`,
 * id = `<source partition>`. `previous` holds what the newest slot changed, as it was before.
 */
export const BoardState = Type.Object({
  slot: int(),
  /** Log time of arrival of the newest slot: the one before it is taken for 3 s. */
  arrivedAt: int(),
  previousSlot: int(),
  prices: Type.Array(BoardPrice),
  previous: Type.Array(BoardPrice),
});
export type BoardState = Static<typeof BoardState>;

/** Per partition with sites: what it told the others last. value: `open`. key = `@<p>`, id = `exchange@<p>`. */
export const ExchangeState = Type.Object({ slot: int(), told: Type.Array(BoardPrice) });
export type ExchangeState = Static<typeof ExchangeState>;

/** Record: price changes of a station within an hour, `[slot, price]` in order. key = site, id = `<station>/<hour>`. */
export const PriceHourState = Type.Object({ changes: Type.Array(Type.Array(int())) });
export type PriceHourState = Static<typeof PriceHourState>;
