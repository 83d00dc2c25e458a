/**
 * Who buys and sells: a wallet, a battery, orders, and the charging sessions of their tags. All money of a customer is in
 * this one state; the facets are `customer_wallet`, `customer_orders`, `customer_battery`, `customer_sessions`,
 * `customer_tags`.
 */
import { setup } from 'xstate';
import { decide, type ActorDefinition, type PartitionView } from './actor.ts';
import { boardOf } from './board.ts';
import { flowed, present, sample } from './customer_battery.ts';
import { buy, cancel, commit, expire, quote, sell, stop } from './customer_orders.ts';
import { creditHold, metered } from './customer_sessions.ts';
import { tagOwned, tagReleased } from './customer_tags.ts';
import { credit, deposit, open, openAgain, withdraw } from './customer_wallet.ts';
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
import { CustomerState, type AccountState } from './schema/customer_entities.ts';
import { CreditHold, CustomerSample, EnergyMetered, TagOwned, TagReleased } from './schema/customer_internal.ts';

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
      },
    },
  },
});

const depositsE5Sek = (view: PartitionView): number =>
  view.get<AccountState>('account', 'SEK:deposits')?.context.balance ?? 0;

export const customer: ActorDefinition = {
  kind: 'customer',
  version: 1,
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
  },
  timers: ['expire', 'flow'],
  creates: ['customer.open', 'credit.hold', 'energy.metered', 'tag.owned'],
  facts: (view, _self, type, body) => {
    const { partition } = view;
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
