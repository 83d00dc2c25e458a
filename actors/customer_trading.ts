/**
 * The sixteen day-trading commands as a customer takes them: each tells the trade log what was asked and how it ended, also
 * when it was refused, and a customer who has no account yet is an unknown user.
 */
import { decide, type ActorEvent, type Decision, type RuleAction } from './actor.ts';
import { batteryAt, floorBp } from './battery.ts';
import { priceInForce } from './board.ts';
import { rulesOf, type PositionFacts } from './customer_draft.ts';
import { allPending, place, quotedPrice, settle, type Say, type TradeFacts } from './customer_holds.ts';
import {
  cancelBuy,
  cancelSell,
  setBuyAmount,
  setBuyTrigger,
  setSellAmount,
  setSellTrigger,
} from './customer_reserves.ts';
import { balanceOf, depositRefused, opened, type WalletFacts } from './customer_wallet.ts';
import { buyPrice } from './fees.ts';
import { energyInstrument, stationOf } from './instrument.ts';
import { moneyOf, sek } from './ledger.ts';
import { slotMs } from './load.ts';
import { reply } from './machine.ts';
import type { CustomerState } from './schema/customer_entities.ts';
import {
  TradeAdd,
  TradeBuyAmount,
  TradeCancelAuto,
  TradeDumpLog,
  TradeNewest,
  TradePlace,
  TradeQuote,
  TradeSellAmount,
  TradeSummary,
  TradeTrigger,
  type PositionState,
  type SummaryReply,
  type SymbolQuote,
  type TradeAddBody,
  type TradeDumpLogBody,
  type TradeQuoteBody,
  type TradeQuoteReply,
  type TradeSummaryBody,
} from './schema/trading.ts';
import { tradeLogged, type CommandName, type TradeLog } from './trade_log.ts';

export interface SummaryFacts extends PositionFacts {
  /** Of the customer, by instrument. */
  positions(): PositionState[];
  mark(instrument: string): number | null;
}

/** Opens the account when there is none. */
function add(customer: CustomerState, event: ActorEvent<TradeAddBody, WalletFacts>, say: Say): Decision<CustomerState> {
  const { self, body, facts } = event;
  const { amountE5Sek } = body;
  if (self.key !== self.id)
    return { refuse: 'bad_request', detail: { path: '/to/key', rule: "a customer's key is its id" } };
  const takes = amountE5Sek <= 0 && rulesOf(customer).denomination === 'value' && customer.capacityWh > 0;
  if (amountE5Sek <= 0 && !(takes && customer.sek.available + amountE5Sek >= 0))
    return { refuse: 'bad_amount', detail: { amountE5Sek } };
  const refused = depositRefused(customer, amountE5Sek, facts.depositsE5Sek);
  if (refused) return refused;
  const isNew = customer.capacityWh === 0;
  const draft = opened(customer, event);
  if (isNew) draft.customer = { ...draft.customer, rules: body.rules ?? null };
  const kind = takes ? 'withdrawal' : 'deposit';
  say.batch = draft.post(kind, 'ADD', [sek('available', amountE5Sek), sek('deposits', -amountE5Sek)]);
  return draft.done(balanceOf(draft.customer));
}

function quote(customer: CustomerState, { body, facts, now }: ActorEvent<TradeQuoteBody, TradeFacts>) {
  const { instrument } = body;
  const station = stationOf(instrument);
  if (station === null) {
    const price = quotedPrice(customer, body.quote, now);
    if (typeof price !== 'number') return price;
    const { at, key } = body.quote!;
    const ageMs = Math.max(0, now - at);
    return answered({ instrument, priceE5Sek: price, at, ageMs, key, slot: null } satisfies TradeQuoteReply);
  }
  const price = priceInForce(facts.board, station, null, now);
  if ('refuse' in price) return price;
  const at = price.slot * slotMs;
  const priceE5Sek = buyPrice(price.priceE5SekPerKwh);
  const told: TradeQuoteReply = { instrument, priceE5Sek, at, ageMs: now - at, key: null, slot: price.slot };
  return answered(told);
}
const answered = (value: unknown): Decision<CustomerState> => ({ outputs: [reply(value)] });

const dumpLog = (_customer: CustomerState, { now }: ActorEvent<TradeDumpLogBody>) => answered({ at: now });

function summary(customer: CustomerState, { self, now, body, facts }: ActorEvent<TradeSummaryBody, SummaryFacts>) {
  const positions = body.brief ? [] : facts.positions();
  const { energyWh, levelBp } = customer.capacityWh > 0 ? batteryAt(customer, now) : { energyWh: 0, levelBp: 0 };
  const told: SummaryReply = {
    user: self.id,
    asOf: now,
    money: moneyOf(customer),
    holdings: positions.flatMap(({ instrument, available, pending, reserved }) =>
      available + pending + reserved === 0
        ? []
        : [{ instrument, available, pending, reserved, mark: facts.mark(instrument) }],
    ),
    battery: { wh: energyWh, bp: levelBp, floorBp },
    pending: allPending(self.id, customer),
    reserves: positions.flatMap(({ instrument, buy, sell }) => [
      ...(buy ? [{ side: 'buy' as const, instrument, amountE5Sek: buy.amountE5Sek, reserved: buy.amountE5Sek }] : []),
      ...(sell ? [{ side: 'sell' as const, instrument, amountE5Sek: sell.amountE5Sek, reserved: sell.units }] : []),
    ]),
    triggers: positions.flatMap(({ instrument, buy, sell }) =>
      [
        { side: 'buy' as const, auto: buy },
        { side: 'sell' as const, auto: sell },
      ].flatMap(({ side, auto }) => {
        if (!auto?.trigger) return [];
        const { priceE5Sek, armedAt } = auto.trigger;
        return [{ side, instrument, amountE5Sek: auto.amountE5Sek, priceE5Sek, armedAt }];
      }),
    ),
    deliveries: customer.orders
      .filter(({ state }) => state === 'delivering')
      .map(({ order, side, station, energyWh: wanted, deliveredWh, priceE5SekPerKwh }) => ({
        ...{ order, side, instrument: energyInstrument(station) },
        ...{ energyWh: wanted, deliveredWh, priceE5SekPerKwh },
      })),
  };
  return answered(told);
}

// eslint-disable-next-line @typescript-eslint/no-explicit-any
type TradeRule = (customer: CustomerState, event: ActorEvent<any, any>, say: Say) => Decision<CustomerState>;

const unknownUser: TradeRule = (_customer, { self }) => ({ refuse: 'unknown_user', detail: { user: self.id } });

/** Rules by command, with the schema of its body. `known`: only of a customer who has an account. */
const table = {
  'trade.add': { name: 'ADD', body: TradeAdd, rule: add, known: false },
  'trade.quote': { name: 'QUOTE', body: TradeQuote, rule: quote, known: false },
  'trade.buy': { name: 'BUY', body: TradePlace, rule: place('buy'), known: true },
  'trade.commitBuy': { name: 'COMMIT_BUY', body: TradeNewest, rule: settle('buy', 'commit'), known: true },
  'trade.cancelBuy': { name: 'CANCEL_BUY', body: TradeNewest, rule: settle('buy', 'cancel'), known: true },
  'trade.sell': { name: 'SELL', body: TradePlace, rule: place('sell'), known: true },
  'trade.commitSell': { name: 'COMMIT_SELL', body: TradeNewest, rule: settle('sell', 'commit'), known: true },
  'trade.cancelSell': { name: 'CANCEL_SELL', body: TradeNewest, rule: settle('sell', 'cancel'), known: true },
  'trade.setBuyAmount': { name: 'SET_BUY_AMOUNT', body: TradeBuyAmount, rule: setBuyAmount, known: true },
  'trade.setBuyTrigger': { name: 'SET_BUY_TRIGGER', body: TradeTrigger, rule: setBuyTrigger, known: true },
  'trade.cancelSetBuy': { name: 'CANCEL_SET_BUY', body: TradeCancelAuto, rule: cancelBuy, known: true },
  'trade.setSellAmount': { name: 'SET_SELL_AMOUNT', body: TradeSellAmount, rule: setSellAmount, known: true },
  'trade.setSellTrigger': { name: 'SET_SELL_TRIGGER', body: TradeTrigger, rule: setSellTrigger, known: true },
  'trade.cancelSetSell': { name: 'CANCEL_SET_SELL', body: TradeCancelAuto, rule: cancelSell, known: true },
  'trade.dumpLog': { name: 'DUMPLOG', body: TradeDumpLog, rule: dumpLog, known: true },
  'trade.displaySummary': { name: 'DISPLAY_SUMMARY', body: TradeSummary, rule: summary, known: false },
} as const satisfies Record<string, { name: CommandName; body: object; rule: TradeRule; known: boolean }>;
export type TradeCommand = keyof typeof table;
const commands = Object.keys(table) as TradeCommand[];

interface AnyBody {
  txn: number;
  instrument?: string;
  amountE5Sek?: number;
  priceE5Sek?: number;
  quote?: SymbolQuote | null;
  file?: string;
  all?: boolean;
}

/** The decision of a rule, behind the fact that the command was given. */
const logged =
  (command: CommandName, rule: TradeRule) =>
  (customer: CustomerState, event: ActorEvent): Decision<CustomerState> => {
    const { self, now } = event;
    const body = event.body as unknown as AnyBody;
    const say: Say = {};
    const decision = rule(customer, event, say);
    const log: TradeLog = { what: 'command', customer: self.id, at: now, txn: body.txn, command };
    const funds = body.amountE5Sek ?? body.priceE5Sek;
    if (body.instrument !== undefined) log.instrument = body.instrument;
    if (funds !== undefined) log.amountE5Sek = funds;
    if (body.file !== undefined) log.file = body.file;
    if (body.all) log.all = true;
    if (decision.refuse !== undefined) log.code = decision.refuse;
    else {
      if (say.batch) log.batch = say.batch;
      if (say.order) log.order = say.order;
      if (say.replaced !== undefined) log.replaced = say.replaced;
    }
    if (body.quote?.hit) log.quote = body.quote;
    const fact = tradeLogged(log);
    return decision.refuse === undefined
      ? { ...decision, outputs: [fact, ...(decision.outputs ?? [])] }
      : { ...decision, outputs: [fact] };
  };

const entries = <Value>(of: (command: TradeCommand) => Value) =>
  Object.fromEntries(commands.map((command) => [command, of(command)])) as Record<TradeCommand, Value>;

export const tradeSchemas = entries((command) => table[command].body);
/** Of a customer who has an account. */
export const tradeActions = entries((command): { actions: RuleAction } => ({
  actions: decide(logged(table[command].name, table[command].rule)),
}));
/** Of one who has none: whoever is unknown may ask, and pay in. */
export const strangerActions: Record<string, { actions: RuleAction; target?: string }> = {
  ...entries((command) => {
    const { name, known } = table[command];
    // The log of everybody is asked for by people who may have no account.
    const own: TradeRule = table[command].rule;
    const rule: TradeRule = (customer, event: ActorEvent<{ all?: boolean }>, say) =>
      (known && !event.body.all ? unknownUser : own)(customer, event, say);
    return { actions: decide(logged(name, rule)) };
  }),
  'trade.add': { target: 'open', ...tradeActions['trade.add'] },
};
export const tradeCommands: readonly TradeCommand[] = commands;
