/** For tests: prices without a site behind them, a customer who speaks to the domain, and what must hold after every step. */
import { accountAddress, boardAddress, customerAddress } from './addresses.ts';
import { batteryAt } from './battery.ts';
import { checkLegs } from './ledger.ts';
import { heldOf } from './order.ts';
import type { BalanceReply, HeldReply, OrderReply, QuoteReply } from './schema/customer_commands.ts';
import type { AccountState, BoardPrice, CustomerState, OrderState } from './schema/customer_entities.ts';
import type { PositionState } from './schema/trading.ts';
import type { TestWorld } from './testing.ts';

export const sekE5 = 100_000;

/** Tells every partition the price of a station in the slot that is running, as a site far away would. */
export function tellPrice(
  world: TestWorld,
  { station = 'nord-1', site = 'demo', priceE5SekPerKwh = 100_000, tier = 'normal' }: Partial<BoardPrice> = {},
) {
  const slot = Math.floor(world.now / 12_000);
  const price = { station, site, slot, priceE5SekPerKwh, tier, importOpen: tier !== 'capped' };
  for (const { partition } of world.partitions)
    world.ask(boardAddress(partition, farAway), 'board.slot', { slot, changed: [price] });
}
const farAway = 999;

export class TestCustomer {
  readonly world: TestWorld;
  readonly id: string;

  constructor(world: TestWorld, id = 'ada') {
    this.world = world;
    this.id = id;
    this.ask('customer.open', { name: id });
  }

  ask<Value>(type: string, body: object): Value {
    return this.world.ask<Value>(customerAddress(this.id), type, body);
  }
  /** The code of a refusal; a refusal that changed anything throws. */
  refused(type: string, body: object): string {
    const before = JSON.stringify(this.world.partitions.map((partition) => partition.images()));
    const events = this.world.events.length;
    const result = this.world.send(customerAddress(this.id), type, body);
    if (result.ok) throw new Error(`${type} was not refused`);
    const after = JSON.stringify(this.world.partitions.map((partition) => partition.images()));
    if (before !== after || this.world.events.length !== events)
      throw new Error(`${type} was refused and changed state`);
    return result.code;
  }

  get state(): CustomerState {
    return this.world.get<CustomerState>(customerAddress(this.id))!.context;
  }
  get sek() {
    return this.state.sek;
  }
  get energyWh() {
    return batteryAt(this.state, this.world.now).energyWh;
  }

  deposit(sek: number) {
    return this.ask<BalanceReply>('customer.deposit', { amountE5Sek: sek * sekE5 });
  }
  quote(station = 'nord-1') {
    return this.ask<QuoteReply>('order.quote', { station });
  }
  buy(energyWh: number, station = 'nord-1', slot: number | null = null) {
    return this.ask<HeldReply>('order.buy', { station, slot, energyWh });
  }
  sell(energyWh: number, station = 'nord-1', slot: number | null = null) {
    return this.ask<HeldReply>('order.sell', { station, slot, energyWh });
  }
  commit(side: 'buy' | 'sell', order: string | null = null) {
    return this.ask<OrderReply>('order.commit', { side, order });
  }
  cancel(side: 'buy' | 'sell', order: string | null = null) {
    return this.ask<OrderReply>('order.cancel', { side, order });
  }
  stop(order: string) {
    return this.ask<OrderReply>('order.stop', { order });
  }
  /** States of its trades, oldest first. */
  get trades() {
    return this.world.payloads('trade').filter(({ customer }) => customer === this.id);
  }
}

export const systemBalance = (world: TestWorld, ledger: string, name: string): number =>
  world.partitions.reduce(
    (sum, { partition }) =>
      sum + (world.get<AccountState>(accountAddress(partition, ledger, name))?.context.balance ?? 0),
    0,
  );

/** Batches that were looked at already. */
const checked = new WeakMap<TestWorld, { events: number; batches: Set<string> }>();

/** Throws when a book of any partition does not add up. */
export function checkBooks(world: TestWorld) {
  for (const partition of world.partitions) {
    const customers = partition.all<CustomerState>('customer');
    const accounts = partition.all<AccountState>('account');
    const sums = new Map<string, number>();
    const add = (ledger: string, amount: number) => sums.set(ledger, (sums.get(ledger) ?? 0) + amount);
    for (const { sek, wh, reservedE5Sek, reservedWh } of customers) {
      add('SEK', sek.available + sek.pending + reservedE5Sek);
      add('Wh', wh.available + wh.pending + reservedWh);
    }
    for (const { instrument, available, pending, reserved } of partition.all<PositionState>('position'))
      add(instrument.replace('symbol:', 'SHARE:'), available + pending + reserved);
    for (const { ledger, balance } of accounts) add(ledger, balance);
    for (const [ledger, sum] of sums) must(sum === 0, `Σ ${ledger} of partition ${partition.partition} is ${sum}`);
    for (const customer of customers) checkCustomer(customer, partition.now);
  }
  const { events, batches } = checked.get(world) ?? { events: 0, batches: new Set<string>() };
  for (const event of world.events.slice(events)) {
    if (event.kind !== 'ledger') continue;
    const { batch, customer, legs } = event.payload;
    checkLegs(legs);
    must(!batches.has(`${customer}|${batch}`), `batch ${batch} twice`);
    batches.add(`${customer}|${batch}`);
  }
  checked.set(world, { events: world.events.length, batches });
}

function checkCustomer(customer: CustomerState, now: number) {
  const sum = (of: (order: OrderState) => number) => customer.orders.reduce((total, order) => total + of(order), 0);
  const sessions = customer.sessions.reduce((total, { held }) => total + held, 0);
  const shares = customer.held.reduce((total, { side, held }) => total + (side === 'buy' ? held : 0), 0);
  must(
    customer.sek.pending === sum((order) => heldOf(order).sek) + sessions + shares,
    'money held is not what holds say',
  );
  must(customer.wh.pending === sum((order) => heldOf(order).wh), 'energy held is not what holds say');
  must(customer.wh.available >= 0 && customer.sek.pending >= 0, 'a balance is below zero');
  const { energyWh } = batteryAt(customer, now);
  must(energyWh >= 0 && energyWh <= customer.capacityWh, `the battery holds ${energyWh} Wh`);
  for (const side of ['buy', 'sell'] as const) {
    const running = customer.orders.filter((order) => order.side === side && order.powerW !== null);
    const committed = customer.orders.filter((order) => order.side === side && order.state === 'delivering');
    must(running.length === Math.min(1, committed.length), `${running.length} orders of side ${side} run`);
    must(committed.length === 0 || running[0] === committed[0], 'not the first committed order runs');
  }
}

function must(holds: boolean, what: string) {
  if (!holds) throw new Error(what);
}
