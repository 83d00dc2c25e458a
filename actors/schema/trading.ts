/**
 * The day-trading commands: bodies, replies, and the states behind them. to: customer (key = id). Money is in 10⁻⁵ SEK, prices
 * in 10⁻⁵ SEK per share or per kWh, units are shares or Wh, times are unix ms, UTC. Every command carries `txn`, its number
 * in the script or the door, which goes into the trade log.
 */
import Type, { type Static } from 'typebox';
import { amountE5SekMax } from './customer_commands.ts';

const closed = { additionalProperties: false };
const int = () => Type.Integer();
const str = () => Type.String();
const nullable = <T extends Parameters<typeof Type.Union>[0][number]>(schema: T) => Type.Union([schema, Type.Null()]);

/** 10⁶ SEK. */
const priceE5SekMax = 100_000_000_000;
/** `symbol:ABC`, or `energy:<station>`. */
export const Instrument = Type.String({ pattern: '^(symbol:[A-Za-z]{1,3}|energy:.{1,128})$' });
export const Side = Type.Enum(['buy', 'sell']);
export type Side = Static<typeof Side>;

// --- rules of a book ----------------------------------------------------------------------------------------------------

/**
 * By which rules a customer trades symbols, fixed when it is opened: `value` counts in units of 0.01 SEK; `slot` lets a new
 * order replace the pending one of its side; `holdTimeoutMs` null: holds never expire; `feed`: whose quotes fire its triggers.
 */
export const BookRules = Type.Object(
  {
    denomination: Type.Enum(['units', 'value']),
    pendingRule: Type.Enum(['stack', 'slot']),
    holdTimeoutMs: nullable(Type.Integer({ minimum: 1, maximum: 86_400_000 })),
    triggers: Type.Boolean(),
    feed: Type.String({ maxLength: 128 }),
  },
  closed,
);
export type BookRules = Static<typeof BookRules>;

// --- states -------------------------------------------------------------------------------------------------------------

/** A pending order on a symbol: holds money (buy) or shares (sell) until it is committed, cancelled or expires. */
export const HeldState = Type.Object({
  /** Number of the order: its id is `<customer>-<n>`. */
  n: int(),
  side: Side,
  symbol: str(),
  units: int(),
  priceE5Sek: int(),
  /** Money of a buy, all that was named; shares of a sell. */
  held: int(),
  /** Named by the customer. */
  amountE5Sek: int(),
  txn: int(),
  /** The last moment at which it can be committed. */
  expiresAt: int(),
});
export type HeldState = Static<typeof HeldState>;

/** Armed since `armedAt`; at equal prices the older fires first, then the one with the smaller order number. */
export const TriggerState = Type.Object({ priceE5Sek: int(), armedAt: int(), n: int(), txn: int() });
export type TriggerState = Static<typeof TriggerState>;

/** Money set aside for an automatic buy. */
export const AutoBuyState = Type.Object({ amountE5Sek: int(), trigger: nullable(TriggerState) });
export type AutoBuyState = Static<typeof AutoBuyState>;
/** What an automatic sell shall come to; its units are set aside once it has a trigger. */
export const AutoSellState = Type.Object({ amountE5Sek: int(), units: int(), trigger: nullable(TriggerState) });
export type AutoSellState = Static<typeof AutoSellState>;

/**
 * Record: what a customer has of one instrument and wants to do with it. key = customer, id = `<customer>/<instrument>`.
 * Energy is in the battery, so there the units are 0. Dropped when nothing is left of it.
 */
export const PositionState = Type.Object({
  customer: str(),
  instrument: str(),
  available: int(),
  pending: int(),
  reserved: int(),
  buy: nullable(AutoBuyState),
  sell: nullable(AutoSellState),
  /** Whose quotes fire the triggers; null: none do. */
  feed: nullable(str()),
});
export type PositionState = Static<typeof PositionState>;

// --- what happened to an order -----------------------------------------------------------------------------------------

/** An order as a reply or the trade log tells it. `posted`: of a symbol, done; `delivering`: of a station, energy flows. */
export const OrderFact = Type.Object({
  order: str(),
  side: Side,
  instrument: str(),
  state: Type.Enum(['held', 'cancelled', 'expired', 'posted', 'delivering']),
  units: int(),
  priceE5Sek: int(),
  /** Held: the money named; posted: what it came to. */
  amountE5Sek: int(),
  expiresAt: int(),
});
export type OrderFact = Static<typeof OrderFact>;

// --- commands -----------------------------------------------------------------------------------------------------------

const txn = Type.Integer({ minimum: 1, description: 'transaction number' });
const amountE5Sek = Type.Integer({ minimum: 1, maximum: amountE5SekMax });
const anyAmountE5Sek = Type.Integer({ minimum: -amountE5SekMax, maximum: amountE5SekMax });
const priceE5Sek = Type.Integer({ minimum: 1, maximum: priceE5SekMax });

/**
 * A quote as the door got it; the key was verified there. `user`: for whom the feed made it; `hit`: the feed was asked for
 * this command, so it goes into the log.
 */
export const SymbolQuote = Type.Object(
  {
    priceE5Sek,
    at: Type.Integer({ minimum: 0, description: "the feed's time, unix ms" }),
    user: Type.String({ maxLength: 200 }),
    key: Type.String({ maxLength: 200 }),
    hit: Type.Boolean(),
  },
  closed,
);
export type SymbolQuote = Static<typeof SymbolQuote>;
/** Needed for a symbol; a station has the slot prices of its board. */
const quote = nullable(SymbolQuote);

/**
 * Opens the account by the rules given, or the usual ones; later ones are not heard. Above 0, but a book by value, which
 * repeats what others have done, also takes out what is there. Reply: `BalanceReply`.
 */
export const TradeAdd = Type.Object({ txn, amountE5Sek: anyAmountE5Sek, rules: Type.Optional(BookRules) }, closed);
/** A read. Reply: {@link TradeQuoteReply}; `quote_unavailable`, `quote_stale`. */
export const TradeQuote = Type.Object({ txn, instrument: Instrument, quote }, closed);
/** Holds money or units for an amount. `slot` of a station: as in `OrderBuy`. Reply: {@link OrderFact}. */
export const TradePlace = Type.Object(
  { txn, instrument: Instrument, amountE5Sek, quote, slot: nullable(Type.Integer({ minimum: 0 })) },
  closed,
);
/** The newest pending order of the side. Reply: {@link OrderFact}; `nothing_pending`, `expired`. */
export const TradeNewest = Type.Object({ txn }, closed);
/** Reply: {@link AutoReply}. */
export const TradeBuyAmount = Type.Object({ txn, instrument: Instrument, amountE5Sek }, closed);
export const TradeSellAmount = Type.Object({ txn, instrument: Instrument, amountE5Sek, quote }, closed);
export const TradeTrigger = Type.Object({ txn, instrument: Instrument, priceE5Sek }, closed);
export const TradeCancelAuto = Type.Object({ txn, instrument: Instrument }, closed);
/** Noted in the log, nothing else. `all`: the log of everybody, for which the door wants a role. Reply `{ at }`. */
export const TradeDumpLog = Type.Object({ txn, file: Type.String({ maxLength: 500 }), all: Type.Boolean() }, closed);
/** A read. `brief`: without positions. Reply: {@link SummaryReply}. */
export const TradeSummary = Type.Object({ txn, brief: Type.Boolean() }, closed);

export type TradeAddBody = Static<typeof TradeAdd>;
export type TradeQuoteBody = Static<typeof TradeQuote>;
export type TradePlaceBody = Static<typeof TradePlace>;
export type TradeNewestBody = Static<typeof TradeNewest>;
export type TradeBuyAmountBody = Static<typeof TradeBuyAmount>;
export type TradeSellAmountBody = Static<typeof TradeSellAmount>;
export type TradeTriggerBody = Static<typeof TradeTrigger>;
export type TradeCancelAutoBody = Static<typeof TradeCancelAuto>;
export type TradeDumpLogBody = Static<typeof TradeDumpLog>;
export type TradeSummaryBody = Static<typeof TradeSummary>;

// --- replies ------------------------------------------------------------------------------------------------------------

export const TradeQuoteReply = Type.Object({
  instrument: str(),
  /** Of a station: what buying costs. */
  priceE5Sek: int(),
  at: int(),
  ageMs: int(),
  key: nullable(str()),
  slot: nullable(int()),
});
export type TradeQuoteReply = Static<typeof TradeQuoteReply>;

/** The automatic order of an instrument and side as it is now. */
export const AutoReply = Type.Object({
  instrument: str(),
  side: Side,
  amountE5Sek: int(),
  /** Set aside: money of a buy, units of a sell. */
  reserved: int(),
  triggerE5Sek: nullable(int()),
});
export type AutoReply = Static<typeof AutoReply>;

const Triple = { available: int(), pending: int(), reserved: int() };
/** One consistent state of a customer. What was done before is in the history. */
export const SummaryReply = Type.Object({
  user: str(),
  asOf: int(),
  money: Type.Object(Triple),
  /** `mark`: the newest price of the instrument that this partition has heard of. */
  holdings: Type.Array(Type.Object({ instrument: str(), ...Triple, mark: nullable(int()) })),
  battery: Type.Object({ wh: int(), bp: int(), floorBp: int() }),
  /** Newest first. */
  pending: Type.Array(OrderFact),
  reserves: Type.Array(Type.Object({ side: Side, instrument: str(), amountE5Sek: int(), reserved: int() })),
  triggers: Type.Array(
    Type.Object({ side: Side, instrument: str(), amountE5Sek: int(), priceE5Sek: int(), armedAt: int() }),
  ),
  deliveries: Type.Array(
    Type.Object({
      order: str(),
      side: Side,
      instrument: str(),
      energyWh: int(),
      deliveredWh: int(),
      priceE5SekPerKwh: int(),
    }),
  ),
});
export type SummaryReply = Static<typeof SummaryReply>;

// --- prices that fire triggers ------------------------------------------------------------------------------------------

/** A station's part of a price: where, in which slot, and whether it may be bought. */
export const StationPart = Type.Object({ site: str(), station: str(), slot: int(), importOpen: Type.Boolean() });
export type StationPart = Static<typeof StationPart>;

/** to: ticker (key = id = `<feed>:<symbol>`), from whoever asked the feed: every partition hears of it. Older ones are ignored. */
export const TickerQuote = Type.Object(
  {
    feed: Type.String({ maxLength: 128 }),
    symbol: Type.String({ pattern: '^[A-Za-z]{1,3}$' }),
    priceE5Sek,
    at: Type.Integer({ minimum: 0 }),
  },
  closed,
);
/** to: watch of a partition, from a ticker or a board. What buying costs and selling brings. */
export const WatchPrice = Type.Object(
  {
    feed: str(),
    instrument: str(),
    buyE5Sek: int(),
    sellE5Sek: int(),
    at: int(),
    station: nullable(StationPart),
  },
  closed,
);
/** to: customer, from a watch: the trigger of this side may fire at this price. */
export const TradeFire = Type.Object(
  { instrument: str(), side: Side, priceE5Sek: int(), station: nullable(StationPart) },
  closed,
);
export type TickerQuoteBody = Static<typeof TickerQuote>;
export type WatchPriceBody = Static<typeof WatchPrice>;
export type TradeFireBody = Static<typeof TradeFire>;

/** value: `open`. The newest quote of a symbol, so that older ones are not told after it. */
export const TickerState = Type.Object({ priceE5Sek: int(), at: int() });
export type TickerState = Static<typeof TickerState>;

/**
 * The newest price of an instrument in one partition, and how far its triggers have been fired. value: `open`. key = `@<p>`,
 * id = `<feed>:<instrument>`.
 */
export const WatchState = Type.Object({
  feed: str(),
  instrument: str(),
  buyE5Sek: int(),
  sellE5Sek: int(),
  at: int(),
  station: nullable(StationPart),
  /** The last one that was told of this price, while there are more to tell: `[armedAt, n]`, customer. */
  after: nullable(Type.Object({ armedAt: int(), n: int(), customer: str() })),
});
export type WatchState = Static<typeof WatchState>;
