import { expect, test } from 'vitest';
import { slotAt, slotBegins } from './actor.ts';
import { batterySlot } from './battery_slot.ts';
import { batteryAt, chargeW, levelBp, nextBandWh } from './battery.ts';
import { partitionOf } from './partition_key.ts';
import { checkBooks, sekE5, systemBalance, tellPrice, TestCustomer } from './testing_customers.ts';
import { TestWorld } from './testing.ts';

const minute = 60_000;

function world() {
  const w = new TestWorld({ partitions: 2, now: Date.UTC(2026, 0, 5, 6, 0, 1) });
  tellPrice(w);
  const ada = new TestCustomer(w);
  ada.deposit(1_000);
  return { world: w, ada };
}

/** When a customer's battery is sampled next, after `ms`. */
const nextSampleAt = (customer: string, ms: number) => {
  const place = { partition: partitionOf(customer, 2), partitions: 2 };
  return slotBegins(batterySlot, place, slotAt(batterySlot, place, ms) + 1);
};

test('full power to 80 %, then less in bands that are exact at their ends', () => {
  expect([0, 50_000, 79_999].map((wh) => chargeW(wh, 100_000))).toEqual([11_000, 11_000, 11_000]);
  expect([80_000, 84_000, 88_000, 92_000, 96_000, 98_000, 99_000].map((wh) => chargeW(wh, 100_000))).toEqual([
    9_859, 7_647, 5_426, 3_174, 1_587, 793, 287,
  ]);
  expect([0, 80_000, 98_999, 99_000].map((wh) => nextBandWh(wh, 100_000))).toEqual([80_000, 84_000, 99_000, null]);
  expect(levelBp(50_999, 100_000)).toBe(5_099);
});

test('the bands follow the exponential: C / P_max · 0.2 · ln((1 − a) / (1 − b)) from a to b', () => {
  for (const [a, b] of [
    [0.8, 0.84],
    [0.88, 0.92],
    [0.98, 0.99],
  ] as const) {
    const hours = (100_000 / 11_000) * 0.2 * Math.log((1 - a) / (1 - b));
    const power = chargeW(Math.round(a * 100_000), 100_000);
    expect(((b - a) * 100_000) / power / hours).toBeCloseTo(1, 2);
  }
});

test('10 kWh take 54.5 min at 11 kW; samples 5 s apart rise by 15 or 16 Wh and never jump', () => {
  const { world: w, ada } = world();
  ada.ask('customer.present', { until: w.now + 120 * minute });
  ada.buy(10_000);
  ada.commit('buy');
  const startedAt = w.now;
  w.advance(60 * minute);
  const samples = w.payloads('battery').filter(({ at }) => at >= startedAt);
  expect(samples).toHaveLength(720);
  expect(samples[0]).toMatchObject({
    customer: 'ada',
    capacityWh: 100_000,
    powerW: 11_000,
    at: nextSampleAt('ada', startedAt),
  });
  const rises = samples.slice(1).map(({ energyWh }, i) => energyWh - samples[i]!.energyWh);
  const flowing = Math.floor((10_000 * 3_600) / 11 / 5_000);
  expect(new Set(rises.slice(0, flowing - 2))).toEqual(new Set([15, 16]));
  expect(rises.slice(flowing)).toSatisfy((late: number[]) => late.every((rise) => rise === 0));
  expect(samples.at(-1)).toMatchObject({ energyWh: 60_000, levelBp: 6_000, powerW: 0 });
  // 10,000 Wh × 3,600,000 ms / 11,000 W
  expect(w.payloads('trade').at(-1)).toMatchObject({ state: 'completed', at: startedAt + 3_272_728 });
});

test('between postings the energy follows from the state: a sample writes nothing', () => {
  const { world: w, ada } = world();
  ada.buy(10_000);
  ada.commit('buy');
  const startedAt = w.now;
  w.advance(10_999);
  const { writes } = w;
  const before = w.payloads('ledger').length;
  w.advanceTo(startedAt + 10_999);
  const last = w.payloads('battery').at(-1)!;
  expect(last.at).toBe(nextSampleAt('ada', startedAt) + 5_000);
  expect(last.energyWh).toBe(50_000 + Math.trunc((11_000 * (last.at - startedAt)) / 3_600_000));
  expect(batteryAt(ada.state, last.at).energyWh).toBe(last.energyWh);
  expect([w.writes, w.payloads('ledger').length]).toEqual([writes, before]);
});

test('what flows is posted at every border of 12 s, with its money, and nothing is lost between the postings', () => {
  const { world: w, ada } = world();
  ada.buy(1_000);
  ada.commit('buy');
  w.advance(6 * minute);
  const settlements = w.payloads('ledger').filter(({ kind }) => kind === 'settlement');
  const steps = settlements.map(({ legs }) => legs.find(({ account }) => account === 'transit')!.amount);
  expect(settlements.slice(0, -1).every(({ at }) => at % 12_000 === 0)).toBe(true);
  expect(steps.slice(0, 4)).toEqual([-33, -37, -36, -37]);
  expect(steps.reduce((sum, step) => sum + step, 0)).toBe(-1_000);
  expect(systemBalance(w, 'SEK', 'revenue')).toBe(100_000);
  expect(ada.state.wh).toEqual({ available: 51_000, pending: 0 });
  checkBooks(w);
});

test('above 80 % it takes longer, and the last Wh arrive', () => {
  const { world: w, ada } = world();
  ada.buy(50_000);
  ada.commit('buy');
  const startedAt = w.now;
  const reached = (energyWh: number) => {
    while (ada.energyWh < energyWh) w.advance(1_000);
    return (w.now - startedAt) / 3_600_000;
  };
  expect(reached(80_000)).toBeCloseTo(30 / 11, 3);
  expect(ada.state.powerW).toBe(9_859);
  expect(reached(99_000)).toBeCloseTo((30 + 20 * Math.log(20)) / 11, 2);
  expect(ada.state.powerW).toBe(287);
  w.advance(4 * 3_600_000);
  expect(ada.energyWh).toBe(100_000);
  expect(ada.trades.at(-1)!.state).toBe('completed');
  checkBooks(w);
}, 30_000);

test('orders of a side are served in the order of their commits, both sides at once', () => {
  const { world: w, ada } = world();
  for (const wh of [1_000, 2_000]) ada.buy(wh);
  ada.sell(3_000);
  ada.commit('buy', 'ada-2');
  ada.commit('buy', 'ada-1');
  const power = () => Object.fromEntries(ada.state.orders.map(({ order, powerW }) => [order, powerW]));
  expect(power()).toEqual({ 'ada-2': 11_000, 'ada-1': null, 'ada-3': null });
  ada.commit('sell');
  expect(power()).toEqual({ 'ada-2': 11_000, 'ada-1': null, 'ada-3': -11_000 });
  expect(ada.state.powerW).toBe(0);
  w.advance(12 * minute);
  expect(power()).toEqual({ 'ada-1': 11_000, 'ada-3': -11_000 });
  w.advance(10 * minute);
  expect(ada.trades.filter(({ state }) => state === 'completed').map(({ order }) => order)).toEqual([
    'ada-2',
    'ada-1',
    'ada-3',
  ]);
  expect(ada.state.wh).toEqual({ available: 50_000, pending: 0 });
  expect(ada.sek).toEqual({ available: 1_000 * sekE5, pending: 0 });
  checkBooks(w);
});

test('an order that is stopped settles what has flowed and gives the rest back', () => {
  const { world: w, ada } = world();
  ada.buy(10_000);
  ada.commit('buy');
  w.advance(30 * minute);
  expect(ada.stop('ada-1')).toEqual({
    order: 'ada-1',
    side: 'buy',
    state: 'partial',
    energyWh: 10_000,
    deliveredWh: 5_500,
    settledE5Sek: 550_000,
  });
  expect(ada.sek).toEqual({ available: 1_000 * sekE5 - 550_000, pending: 0 });
  expect(ada.energyWh).toBe(55_500);
  expect(ada.state.powerW).toBe(0);
  w.advance(30 * minute);
  expect(ada.energyWh).toBe(55_500);
  expect(ada.refused('order.stop', { order: 'ada-1' })).toBe('order_ended');
  checkBooks(w);
});

test('an order that is stopped before anything flowed is void, a held one is cancelled, the next one runs', () => {
  const { world: w, ada } = world();
  ada.sell(1_000);
  ada.sell(1_000);
  ada.sell(1_000);
  ada.commit('sell', 'ada-1');
  ada.commit('sell', 'ada-2');
  expect(ada.stop('ada-1')).toMatchObject({ state: 'void', deliveredWh: 0 });
  expect(ada.state.orders.find(({ order }) => order === 'ada-2')!.powerW).toBe(-11_000);
  expect(ada.stop('ada-3').state).toBe('cancelled');
  w.advance(10 * minute);
  expect(ada.state.wh).toEqual({ available: 49_000, pending: 0 });
  checkBooks(w);
});

test('whoever was seen until then is sampled until then, and with energy moving for as long as it moves', () => {
  const { world: w, ada } = world();
  const bob = new TestCustomer(w, 'bob');
  bob.deposit(10);
  const sampled = (customer: string) => w.payloads('battery').filter((sample) => sample.customer === customer).length;
  w.advance(minute);
  expect([sampled('ada'), sampled('bob')]).toEqual([0, 0]);
  ada.ask('customer.present', { until: w.now + minute });
  expect(ada.ask('customer.present', { until: w.now })).toEqual({ until: w.now + minute });
  tellPrice(w);
  bob.buy(110);
  bob.commit('buy');
  const startedAt = w.now;
  w.advance(10 * minute);
  // 110 Wh at 11 kW flow for 36 s.
  const bobs = Math.ceil((startedAt + 36_000 - nextSampleAt('bob', startedAt)) / 5_000);
  expect([sampled('ada'), sampled('bob')]).toEqual([12, bobs]);
  expect([7, 8]).toContain(bobs);
});
