import fc from 'fast-check';
import { expect, test } from 'vitest';
import { accountAddress, customerAddress, nameAddress } from './addresses.ts';
import { carried } from './balances.ts';
import type { AccountState, CustomerState } from './schema/customer_entities.ts';
import { checkBooks, sekE5, systemBalance, TestCustomer } from './testing_customers.ts';
import { demoSite, TestWorld, type TestCharger } from './testing.ts';

const customers = ['ada', 'bob', 'eve'];
const stations = ['nord-1', 'syd-1'];

type Deed =
  | { customer: string; type: string; body: object }
  | { advanceMs: number }
  | { relays: number }
  | { charger: 'start' | 'meter' | 'stop'; energyWh: number };

// Mostly one of them, so that what they do meets.
const customer = fc.constantFrom('ada', 'ada', 'ada', 'bob', 'eve');
const does = <Body extends object>(type: string, body: fc.Arbitrary<Body>) =>
  fc.record({ customer, type: fc.constant(type), body });
const amountE5Sek = fc.oneof(fc.integer({ min: 1, max: 100 * sekE5 }), fc.constantFrom(1, sekE5, 1_000_000_000));
const energyWh = fc.oneof(fc.integer({ min: 1, max: 3_000 }), fc.constantFrom(1, 37, 10_000));
const side = fc.constantFrom('buy', 'sell');
const orderId = fc.tuple(customer, fc.integer({ min: 1, max: 6 })).map(([id, n]) => `${id}-${n}`);
const order = fc.option(orderId, { freq: 2 });
const newest = fc.constant(null);
const placed = fc.record({ station: fc.constantFrom(...stations), slot: fc.constant(null), energyWh });

const deed: fc.Arbitrary<Deed> = fc.oneof(
  { weight: 2, arbitrary: does('customer.deposit', fc.record({ amountE5Sek })) },
  { weight: 1, arbitrary: does('customer.withdraw', fc.record({ amountE5Sek })) },
  { weight: 1, arbitrary: does('customer.credit', fc.record({ limitE5Sek: fc.constantFrom(0, 1, 20 * sekE5) })) },
  { weight: 1, arbitrary: does('customer.open', fc.constant({ name: 'again' })) },
  { weight: 5, arbitrary: does('order.buy', placed) },
  { weight: 4, arbitrary: does('order.sell', placed) },
  { weight: 10, arbitrary: does('order.commit', fc.record({ side, order: newest })) },
  { weight: 4, arbitrary: does('order.commit', fc.record({ side, order })) },
  { weight: 2, arbitrary: does('order.cancel', fc.record({ side, order })) },
  { weight: 2, arbitrary: does('order.stop', fc.record({ order: orderId })) },
  {
    weight: 4,
    arbitrary: fc.record({ charger: fc.constantFrom('start', 'meter', 'meter', 'stop'), energyWh: fc.nat(2_000) }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      advanceMs: fc.oneof(
        fc.constantFrom(1, 2_999, 3_000, 5_000, 11_999, 12_000),
        fc.integer({ min: 1, max: 20_000 }),
        fc.constantFrom(59_999, 60_000, 60_001, 600_000),
      ),
    }),
  },
  { weight: 3, arbitrary: fc.record({ relays: fc.integer({ min: 1, max: 30 }) }) },
);
/** Said once, twice or three times in a row. */
const deeds = fc.array(fc.tuple(deed, fc.constantFrom(1, 1, 1, 2, 3)), { minLength: 10, maxLength: 80, size: 'max' });

/** Sites with chargers, a tag of ada's, and customers of whom one is rich and one has nothing. */
class Play {
  readonly world = new TestWorld({ partitions: 4 });
  readonly #charger: TestCharger;
  #transaction: number | null = null;
  #registerWh = 0;

  constructor() {
    const { world } = this;
    [this.#charger] = demoSite(world, { site: 'north', station: 'nord-1', capacityW: 40_000 }) as [TestCharger];
    demoSite(world, {
      site: 'south',
      station: 'syd-1',
      capacityW: 12_000,
      baseE5SekPerKwh: 33_333,
      tags: 0,
      chargers: 0,
    });
    const [ada, bob] = customers.map((id) => new TestCustomer(world, id));
    ada!.deposit(200);
    bob!.deposit(5);
    const card = { customer: 'ada', group: null, status: 'Accepted', expiresAt: null };
    world.ask(nameAddress('tag', 'TAG-1'), 'tag.put', card);
    this.#charger.connect();
    world.advance(12_000);
  }

  perform(deed: Deed) {
    if ('advanceMs' in deed) this.world.advance(deed.advanceMs);
    else if ('relays' in deed) this.world.deliverRelays(deed.relays);
    else if ('charger' in deed) this.#charge(deed.charger, deed.energyWh);
    else this.world.send(customerAddress(deed.customer), deed.type, deed.body);
  }

  #charge(what: 'start' | 'meter' | 'stop', energyWh: number) {
    if (what === 'start') {
      this.#transaction ??= this.#charger.start({ meterStartWh: this.#registerWh }).transaction;
    } else if (this.#transaction !== null) {
      this.#registerWh += energyWh;
      if (what === 'meter') this.#charger.meter(this.#transaction, { w: 11_000, wh: this.#registerWh });
      else this.unplug();
    }
  }
  unplug() {
    if (this.#transaction !== null) this.#charger.stop(this.#transaction, { meterStopWh: this.#registerWh });
    this.#transaction = null;
  }
}

/** What is under way between partitions is what their transit accounts miss. */
function checkTransit(world: TestWorld) {
  const underWayWh = world.relays
    .flatMap((command) => [...(carried(command) ?? [])])
    .reduce((sum, [, amount]) => sum + amount, 0);
  const transitWh = systemBalance(world, 'Wh', 'transit');
  if (transitWh + underWayWh !== 0) throw new Error(`transit ${transitWh}, under way ${underWayWh}`);
}

/** Every balance again from the events alone. */
function checkHistory(world: TestWorld) {
  const sums = new Map<string, number>();
  for (const { customer: id, legs } of world.payloads('ledger')) {
    for (const { ledger, account, amount, balance } of legs) {
      if (id === null || !account.startsWith('customer:')) continue;
      const name = `${ledger}:${account}`;
      sums.set(name, (sums.get(name) ?? 0) + amount);
      if (balance !== sums.get(name)) throw new Error(`${name}: ${balance} told, ${sums.get(name)} by its legs`);
    }
  }
  for (const id of customers) {
    const { sek, wh } = world.get<CustomerState>(customerAddress(id))!.context;
    const of = (ledger: string, account: string) => sums.get(`${ledger}:customer:${id}:${account}`) ?? 0;
    expect(sek).toEqual({ available: of('SEK', 'available'), pending: of('SEK', 'pending') });
    expect(wh).toEqual({ available: of('Wh', 'available'), pending: of('Wh', 'pending') });
  }
}

test('whatever customers do, when and how often: every book adds up after every step', () => {
  fc.assert(
    fc.property(deeds, fc.boolean(), (plan, relaysWait) => {
      const play = new Play();
      const { world } = play;
      world.relaysWait = relaysWait;
      for (const [what, times] of plan) {
        for (let n = 0; n < times; n++) play.perform(what);
        checkBooks(world);
        checkTransit(world);
      }
      checkHistory(world);
      // In the end nothing is on its way, and what stations gave is what batteries got.
      play.unplug();
      world.relaysWait = false;
      world.deliverRelays();
      for (let hour = 0; hour < 30 && !idle(world); hour++) world.advance(3_600_000);
      expect(idle(world)).toBe(true);
      checkBooks(world);
      expect(systemBalance(world, 'Wh', 'transit')).toBe(0);
      const of = (names: string[]) => names.reduce((sum, name) => sum + systemBalance(world, 'Wh', name), 0);
      const storedWh = customers.reduce((sum, id) => sum + stateOf(world, id).wh.available, 0);
      const gaveWh = -of(stations.map((id) => `station:${id}:inventory`));
      expect(storedWh + of(['delivered'])).toBe(customers.length * 50_000 + gaveWh);
    }),
    { numRuns: 15 },
  );
}, 300_000);

const stateOf = (world: TestWorld, id: string) => world.get<CustomerState>(customerAddress(id))!.context;
const idle = (world: TestWorld) =>
  customers.every((id) => stateOf(world, id).orders.length === 0 && stateOf(world, id).powerW === 0);

test('what stations draw for orders is what the orders draw, however words overtake each other in time', () => {
  fc.assert(
    fc.property(deeds, (plan) => {
      const play = new Play();
      const { world } = play;
      for (const [what] of plan) {
        world.relaysWait = !('advanceMs' in what);
        play.perform(what);
      }
      world.relaysWait = false;
      world.deliverRelays();
      for (const [site, station] of [
        ['north', 'nord-1'],
        ['south', 'syd-1'],
      ] as const) {
        const drawnW = world.get<{ draws: { powerW: number } }>({ kind: 'station', key: site, id: station })!.context
          .draws;
        const ordersW = customers
          .flatMap((id) => stateOf(world, id).orders)
          .reduce((sum, known) => sum + (known.station === station ? (known.powerW ?? 0) : 0), 0);
        expect(drawnW.powerW).toBe(ordersW);
      }
    }),
    { numRuns: 20 },
  );
}, 300_000);

test('system accounts are one per partition and come into being with their first posting', () => {
  const world = new TestWorld({ partitions: 4 });
  new TestCustomer(world, 'ada').deposit(1);
  const home = world.partitionOf('ada').partition;
  for (const { partition } of world.partitions) {
    const account = world.get<AccountState>(accountAddress(partition, 'SEK', 'deposits'));
    expect(account?.context.balance).toBe(partition === home ? -sekE5 : undefined);
  }
});
