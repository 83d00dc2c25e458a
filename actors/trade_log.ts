/**
 * The trade log: what a dump is written from. Facts are recorded with the decision and published nowhere; the actor keeps none.
 *
 * 1. Every trading command that reached its customer is one `command`, refused ones too (`code`). It comes before the
 *    postings that it made, so it is followed by its `ledger` event in the same record when it has a `batch`.
 * 2. What the clock or a price does is a `system` fact: an expiry names the command BUY or SELL, a trigger that fired
 *    SET_BUY_TRIGGER or SET_SELL_TRIGGER, with the transaction number of the command that had set it.
 * 3. Available money changes by postings only: the leg `customer:<id>:available` in SEK of each `ledger` event is the
 *    transaction of the account, and belongs to the fact with the same `batch`; one without such a fact was made by other
 *    means (a deposit, delivered energy). The sum of the legs is what is available.
 * 4. A `quote` with `hit` was asked of the feed for this command.
 */
import Type, { type Static } from 'typebox';
import type { Output } from './actor.ts';
import { OrderFact, SymbolQuote } from './schema/trading.ts';

export const commandNames = [
  'ADD',
  'QUOTE',
  'BUY',
  'COMMIT_BUY',
  'CANCEL_BUY',
  'SELL',
  'COMMIT_SELL',
  'CANCEL_SELL',
  'SET_BUY_AMOUNT',
  'CANCEL_SET_BUY',
  'SET_BUY_TRIGGER',
  'SET_SELL_AMOUNT',
  'SET_SELL_TRIGGER',
  'CANCEL_SET_SELL',
  'DUMPLOG',
  'DISPLAY_SUMMARY',
] as const;
export type CommandName = (typeof commandNames)[number];

/** What is left out was not said, did not happen or is false. */
export const TradeLog = Type.Object(
  {
    what: Type.Enum(['command', 'system']),
    customer: Type.String(),
    at: Type.Integer({ description: "the log's time; unix ms, UTC" }),
    txn: Type.Integer({ description: 'transaction number, 1 or more' }),
    command: Type.Enum([...commandNames]),
    instrument: Type.Optional(Type.String({ description: 'symbol:<SYM> or energy:<station>' })),
    amountE5Sek: Type.Optional(
      Type.Integer({ description: 'funds of the command: an amount, or the price of a trigger; 10⁻⁵ SEK' }),
    ),
    file: Type.Optional(Type.String({ description: 'of DUMPLOG' })),
    all: Type.Optional(Type.Boolean({ description: "DUMPLOG of everybody's log: names no user" })),
    code: Type.Optional(Type.String({ description: 'why it was refused' })),
    batch: Type.Optional(Type.String({ description: 'the ledger batch that it made' })),
    order: Type.Optional(OrderFact),
    replaced: Type.Optional(Type.String({ description: 'order that this one took the place of' })),
    quote: Type.Optional(SymbolQuote),
  },
  { $id: 'TradeLog', additionalProperties: false },
);
export type TradeLog = Static<typeof TradeLog>;

/** It is published nowhere, so all have one subject. */
const subject = 'trade_log';

export const tradeLogged = (payload: TradeLog): Extract<Output, { type: 'emit' }> => ({
  type: 'emit',
  params: { kind: 'trade_log', subject, payload },
});
