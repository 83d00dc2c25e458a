/**
 * Who buys and sells: a wallet, a battery, orders, and the charging sessions of their tags. All money of a customer is in
 * this one state; the facets are `customer_wallet`, `customer_orders`, `customer_battery`, `customer_sessions`,
 * `customer_tags`.
 */
import { setup } from 'xstate';
import { decide, type ActorDefinition, type PartitionView } from './actor.ts';
import { watchAddress } from './addresses.ts';
import { boardOf } from './board.ts';
import { flowed, present, sample } from './customer_battery.ts';
import { expire } from './customer_holds.ts';
import { buy, cancel, commit, quote, sell, stop } from './customer_orders.ts';
import { fire } from './customer_reserves.ts';
import { creditHold, metered } from './customer_sessions.ts';
import { tagOwned, tagReleased } from './customer_tags.ts';
import { strangerActions, tradeActions, tradeCommands, tradeSchemas, type SummaryFacts } from './customer_trading.ts';
import { credit, deposit, open, openAgain, withdraw } from './customer_wallet.ts';
import type { DomainIndex } from './domain_index.ts';
import { positionId, stationOf, symbolOf } from './instrument.ts';
import { machineTypes } from './machine.ts';
import {
  CustomerCredit,
  CustomerDeposit,
  CustomerOpen,
  CustomerPresent,
  CustomerWithdraw,
  OrderBuy,
  OrderCancel,
  OrderCommit,
  OrderQuote,
  OrderSell,
  OrderStop,
  type OrderQuoteBody,
} from './schema/customer_commands.ts';
import { CustomerState, type AccountState, type BoardState } from './schema/customer_entities.ts';
import { CreditHold, CustomerSample, EnergyMetered, TagOwned, TagReleased } from './schema/customer_internal.ts';
import { TradeFire, type PositionState, type WatchState } from './schema/trading.ts';

/** Of a customer who has traded nothing; what states of version 1 do not have. */
export const tradingNothing = {
  reservedE5Sek: 0,
  reservedWh: 0,
  rules: null,
  held: [],
  positionCount: 0,
  orderTxns: [],
  expiredBuyAt: 0,
  expiredSellAt: 0,
} satisfies Partial<CustomerState>;

const initial: CustomerState = {
  name: '',
  createdAt: 0,
  presentUntil: 0,
  creditLimitE5Sek: 0,
  sek: { available: 0, pending: 0 },
  wh: { available: 0, pending: 0 },
  capacityWh: 0,
  sinceAt: 0,
  powerW: 0,
  orders: [],
  sessions: [],
  tags: [],
  credit: 'empty',
  orderCount: 0,
  batchCount: 0,
  drawCount: 0,
  ...tradingNothing,
};

export const customerMachine = setup({ types: machineTypes<CustomerState>() }).createMachine({
  id: 'customer',
  initial: 'absent',
  context: initial,
  states: {
    absent: {
      on: {
        'customer.open': { target: 'open', actions: decide(open) },
        'credit.hold': { target: 'open', actions: decide(creditHold) },
        'energy.metered': { target: 'open', actions: decide(metered) },
        'tag.owned': { target: 'open', actions: decide(tagOwned) },
        ...strangerActions,
      },
    },
    open: {
      on: {
        'customer.open': { actions: decide(openAgain) },
        'customer.deposit': { actions: decide(deposit) },
        'customer.withdraw': { actions: decide(withdraw) },
        'customer.credit': { actions: decide(credit) },
        'customer.present': { actions: decide(present) },
        'customer.sample': { actions: decide(sample) },
        'order.quote': { actions: decide(quote) },
        'order.buy': { actions: decide(buy) },
        'order.sell': { actions: decide(sell) },
        'order.commit': { actions: decide(commit) },
        'order.cancel': { actions: decide(cancel) },
        'order.stop': { actions: decide(stop) },
        'timer.expire': { actions: decide(expire) },
        'timer.flow': { actions: decide(flowed) },
        'credit.hold': { actions: decide(creditHold) },
        'energy.metered': { actions: decide(metered) },
        'tag.owned': { actions: decide(tagOwned) },
        'tag.released': { actions: decide(tagReleased) },
        'trade.fire': { actions: decide(fire) },
        ...tradeActions,
      },
    },
  },
});

const depositsE5Sek = (view: PartitionView): number =>
  view.get<AccountState>('account', 'SEK:deposits')?.context.balance ?? 0;

/** Positions are records of their own: looked up one by one, whichever a command comes to. */
function tradeFacts(view: PartitionView, customer: string, type: string, body: Record<string, unknown>) {
  const position: SummaryFacts['position'] = (instrument) =>
    view.get<PositionState>('position', positionId(customer, instrument))?.context;
  const facts = { partition: view.partition, position, board: null as BoardState | null };
  switch (type) {
    case 'trade.add':
      return { ...facts, depositsE5Sek: depositsE5Sek(view) };
    case 'trade.displaySummary': {
      const positions = () =>
        (view.index as DomainIndex).triggers
          .positionsOf(customer)
          .map((id) => view.get<PositionState>('position', id)!.context);
      return { ...facts, positions, mark: (instrument: string) => markOf(view, customer, instrument) };
    }
    default: {
      const station = typeof body['instrument'] === 'string' ? stationOf(body['instrument']) : null;
      return station === null ? facts : { ...facts, board: boardOf(view, station) };
    }
  }
}

/** The newest price of a symbol that was told to this partition. */
function markOf(view: PartitionView, customer: string, instrument: string): number | null {
  const feed = view.get<CustomerState>('customer', customer)?.context.rules?.feed ?? '';
  const { id } = watchAddress(view.partition, feed, instrument);
  return symbolOf(instrument) === null ? null : (view.get<WatchState>('watch', id)?.context.buyE5Sek ?? null);
}

export const customer: ActorDefinition = {
  kind: 'customer',
  version: 2,
  machine: customerMachine,
  context: CustomerState,
  commands: {
    'customer.open': CustomerOpen,
    'customer.deposit': CustomerDeposit,
    'customer.withdraw': CustomerWithdraw,
    'customer.credit': CustomerCredit,
    'customer.present': CustomerPresent,
    'customer.sample': CustomerSample,
    'order.quote': OrderQuote,
    'order.buy': OrderBuy,
    'order.sell': OrderSell,
    'order.commit': OrderCommit,
    'order.cancel': OrderCancel,
    'order.stop': OrderStop,
    'credit.hold': CreditHold,
    'energy.metered': EnergyMetered,
    'tag.owned': TagOwned,
    'tag.released': TagReleased,
    'trade.fire': TradeFire,
    ...tradeSchemas,
  },
  timers: ['expire', 'flow'],
  creates: ['customer.open', 'credit.hold', 'energy.metered', 'tag.owned', ...tradeCommands],
  migrate: { 1: (before) => ({ ...before, ...tradingNothing }) },
  facts: (view, self, type, body) => {
    const { partition } = view;
    if (type.startsWith('trade.') || type === 'timer.expire') return tradeFacts(view, self.id, type, body);
    switch (type) {
      case 'order.quote':
      case 'order.buy':
      case 'order.sell':
        return { partition, board: boardOf(view, (body as OrderQuoteBody).station) };
      case 'customer.deposit':
        return { partition, depositsE5Sek: depositsE5Sek(view) };
      default:
        return { partition };
    }
  },
};
