import { expect, test } from 'vitest';
import type { OrderView } from '#gateway/schema/mod';
import { latestSteps, totalOf } from './latest_steps.ts';
import { pickWh, ticketView, type Situation } from './ticket.ts';

const quote = {
  ...{ station: 'nord-1', slot: 12, producedAt: 144_000, validUntil: 168_000, tier: 'double' as const },
  ...{ importOpen: true, buyE5SekPerKwh: 260_000, sellE5SekPerKwh: 195_000 },
};
const situation = (changes: Partial<Situation> = {}): Situation => ({
  ...{ side: 'buy', typed: '10', offline: false, now: 150_000, stationPriceE5: 200_000, orders: [] },
  quote: { state: 'known', quote },
  wallet: { availableE5Sek: 10_000_000, heldE5Sek: 0, creditLimitE5Sek: 0 },
  battery: { energyWh: 50_000, capacityWh: 100_000, levelBp: 5_000, powerW: 0, at: 150_000 },
  ...changes,
});
const view = (changes: Partial<Situation> = {}) => ticketView(situation(changes));
const order = (side: 'buy' | 'sell', energyWh: number, deliveredWh = 0): OrderView => ({
  ...{ order: `a-${energyWh}`, side, state: 'delivering', site: 'demo', station: 'nord-1', slot: 1, energyWh },
  ...{ priceE5SekPerKwh: 1, amountE5Sek: 1, deliveredWh, settledE5Sek: 0, heldAt: 0, expiresAt: 0, committedAt: 0 },
});

test('the total is what the server will hold; what is on top of the price of the station is fees and taxes', () => {
  expect(view()).toMatchObject({ state: 'open', energyE5Sek: 2_000_000, feeE5Sek: 600_000, totalE5Sek: 2_600_000 });
  expect(view({ side: 'sell' })).toMatchObject({ energyE5Sek: 2_000_000, feeE5Sek: 50_000, totalE5Sek: 1_950_000 });
});

test('buying is bounded by money or by room, whichever is less, after what is open', () => {
  expect(view()).toMatchObject({ bound: 'money', mostWh: 38_461, problem: null });
  expect(view({ typed: '38.462' })).toMatchObject({ problem: 'above_bound' });
  expect(view({ typed: '38,461' })).toMatchObject({ problem: null });
  const orders = [order('buy', 40_000, 10_000)];
  expect(view({ orders })).toMatchObject({ bound: 'room', mostWh: 20_000 });
  const wallet = { availableE5Sek: -100_000, heldE5Sek: 0, creditLimitE5Sek: 360_000 };
  expect(view({ wallet })).toMatchObject({ bound: 'money', mostWh: 1_000 });
});

test('selling is bounded by what is stored above the floor, after what is open', () => {
  const orders = [order('sell', 10_000, 4_000)];
  expect(view({ side: 'sell', orders })).toMatchObject({ bound: 'stored', mostWh: 24_000 });
});

test.each([
  ['offline', { offline: true }],
  ['lapsed', { now: 168_000 }],
  ['no_account', { wallet: undefined }],
  ['no_price', { quote: { state: 'loading' as const } }],
  ['capped', { quote: { state: 'known' as const, quote: { ...quote, importOpen: false } } }],
])('the ticket is shut: %s', (why, changes) => {
  expect(view(changes)).toMatchObject({ state: 'shut', shut: { why } });
});

test('above the cap selling stays open, and a price is good until the very moment it lapses', () => {
  const capped = { state: 'known' as const, quote: { ...quote, importOpen: false } };
  expect(view({ side: 'sell', quote: capped }).state).toBe('open');
  expect(view({ now: 167_999 }).state).toBe('open');
});

test('why there is no price is what the server said', () => {
  const refused = { ok: false as const, code: 'quote_stale' as const };
  expect(view({ quote: { state: 'refused', refused } })).toMatchObject({
    shut: { why: 'no_price', code: 'quote_stale' },
  });
});

test('quick picks are round below the whole, and never more than what is possible', () => {
  expect([25, 50, 75, 100].map((percent) => pickWh(38_461, percent))).toEqual([9_610, 19_230, 28_840, 38_461]);
  expect(pickWh(7, 50)).toBe(3);
});

test('a row per order, with what became of it and what it cost in the end', () => {
  const step = (id: string, state: 'held' | 'expired' | 'partial', at: number) => ({
    ...order('buy', 10_000, 2_000),
    ...{ order: id, state, at, customer: 'ann', amountE5Sek: 1_000, settledE5Sek: 200 },
  });
  const rows = latestSteps([
    step('b', 'partial', 4),
    step('a', 'expired', 3),
    step('b', 'held', 2),
    step('a', 'held', 1),
  ]);
  expect(rows.map((row) => [row.order, row.state, totalOf(row)])).toEqual([
    ['b', 'partial', 200],
    ['a', 'expired', 0],
  ]);
});
