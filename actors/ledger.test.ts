import fc from 'fast-check';
import { expect, test } from 'vitest';
import { divideHalfEven } from './units.ts';
import { buyComponents, buyPrice, demoFees, sellComponents, sellPrice, type Fees } from './fees.ts';
import {
  amountOf,
  checkLegs,
  gathered,
  hold,
  LedgerError,
  partOf,
  posted,
  sek,
  split,
  wh,
  type Party,
} from './ledger.ts';

const party: Party = {
  sek: { available: 1_000, pending: 200 },
  wh: { available: 50, pending: 0 },
  reservedE5Sek: 0,
  reservedWh: 0,
  creditLimitE5Sek: 300,
};

test.each([
  [100_000, 10_000, 1_000_000],
  [300_000, 10_000, 3_000_000],
  [1, 500, 0],
  [1, 501, 1],
  [3, 500, 2],
  [5, 500, 2],
  [-3, 500, -2],
  [-1, 499, 0],
  [999_999_999, 1_000_000_000, 999_999_999_000_000],
])('%i × %i Wh is %i: rounded half to even, once', (price, energyWh, amount) => {
  expect(amountOf(price, energyWh)).toBe(amount);
  expect(Object.is(amountOf(price, energyWh), -0)).toBe(false);
});

test('amounts are exact whatever the size of the product', () => {
  const half = (price: number, energyWh: number) => Number(divideHalfEven(BigInt(price) * BigInt(energyWh), 1_000n));
  const price = fc.oneof(fc.integer({ min: -2_000, max: 2_000 }), fc.integer({ min: -9_000_000, max: 9_000_000 }));
  const energyWh = fc.oneof(fc.integer({ min: 0, max: 5_000 }), fc.integer({ min: 0, max: 1_000_000_000 }));
  const same = (p: number, wh: number) => {
    expect(amountOf(p, wh)).toBe(half(p, wh));
  };
  fc.assert(fc.property(price, energyWh, same), { numRuns: 2_000 });
  for (const rest of [-1_001, -500, -1, 1, 499, 500, 501, 999]) same(1, 9_007_199_254_000_000 + rest);
});

test('however a delivery is cut, its parts add up to the rounded amount of the whole', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: -1_000_000, max: 1_000_000 }),
      fc.array(fc.integer({ min: 1, max: 500 }), { minLength: 1, maxLength: 30 }),
      (price, parts) => {
        let deliveredWh = 0;
        let sum = 0;
        for (const part of parts) sum += partOf(price, deliveredWh, (deliveredWh += part));
        expect(sum).toBe(amountOf(price, deliveredWh));
      },
    ),
  );
});

const anyFees: fc.Arbitrary<Fees> = fc.record({
  gridFeeE5SekPerKwh: fc.integer({ min: 0, max: 90_000 }),
  energyTaxE5SekPerKwh: fc.integer({ min: 0, max: 90_000 }),
  vatBp: fc.integer({ min: 0, max: 10_000 }),
  serviceFeeE5SekPerKwh: fc.integer({ min: 0, max: 50_000 }),
});
const anyTierPrice = fc.integer({ min: -200_000, max: 900_000 });

test('a price falls apart into the components that it was made from, to the unit', () => {
  fc.assert(
    fc.property(anyFees, anyTierPrice, (fees, tierPrice) => {
      const sum = (components: { priceE5SekPerKwh: number }[]) =>
        components.reduce((total, { priceE5SekPerKwh }) => total + priceE5SekPerKwh, 0);
      const buy = buyPrice(tierPrice, fees);
      expect(sum(buyComponents(buy, fees))).toBe(buy);
      const revenue = buyComponents(buy, fees).find(({ account }) => account === 'revenue');
      expect(revenue?.priceE5SekPerKwh ?? 0).toBe(tierPrice);
      const sell = sellPrice(tierPrice, fees);
      expect(sum(sellComponents(sell, fees)) + sell).toBe(0);
    }),
  );
});

test('without fees a price is the tier price, and buying costs what selling brings', () => {
  expect(buyPrice(200_000)).toBe(200_000);
  expect(sellPrice(200_000)).toBe(200_000);
  expect(buyComponents(200_000, demoFees)).toEqual([{ account: 'revenue', priceE5SekPerKwh: 200_000 }]);
});

test('what the rounded parts of a split do not add up to is a leg of its own', () => {
  const components = buyComponents(buyPrice(100_001, { ...demoFees, vatBp: 2_500 }), { ...demoFees, vatBp: 2_500 });
  const total = amountOf(125_001, 7);
  const legs = split(total, components, (price) => amountOf(price, 7));
  expect(legs).toEqual([sek('revenue', 700), sek('vat', 175), sek('rounding', 0)]);
  fc.assert(
    fc.property(anyFees, anyTierPrice, fc.integer({ min: 1, max: 100_000 }), (fees, tierPrice, energyWh) => {
      const price = buyPrice(tierPrice, fees);
      const amount = amountOf(price, energyWh);
      const parts = split(amount, buyComponents(price, fees), (part) => amountOf(part, energyWh));
      checkLegs([sek('pending', -amount), ...parts]);
      expect(Math.abs(parts.at(-1)!.amount)).toBeLessThanOrEqual(2);
    }),
  );
});

test('legs that do not come to 0 in each ledger are not posted', () => {
  expect(() => posted(party, 'deposit', [sek('available', 1), wh('available', -1)])).toThrow(LedgerError);
  expect(() => posted(party, 'deposit', [sek('available', 1), sek('deposits', -2)])).toThrow('sum to -1');
  expect(posted(party, 'deposit', [sek('available', 1), sek('deposits', -1)]).sek.available).toBe(1_001);
});

test('only what has been taken already may go below the credit limit', () => {
  const spend = (amount: number) => [sek('available', -amount), sek('revenue', amount)];
  expect(posted(party, 'withdrawal', spend(1_300)).sek.available).toBe(-300);
  expect(() => posted(party, 'withdrawal', spend(1_301))).toThrow(LedgerError);
  const below = posted(party, 'metered', spend(5_000));
  expect(below.sek.available).toBe(-4_000);
  expect(posted(below, 'release', hold('SEK', -200)).sek).toEqual({ available: -3_800, pending: 0 });
  expect(() => posted(below, 'hold', hold('SEK', 1))).toThrow(LedgerError);
});

test('no more is given back than is held, and no more energy is held than there is', () => {
  expect(() => posted(party, 'release', hold('SEK', -201))).toThrow('pending');
  expect(() => posted(party, 'hold', hold('Wh', 51))).toThrow('available');
});

test('legs on one account are one leg, and those that come to nothing are none', () => {
  expect(gathered([sek('available', 5), sek('pending', -5), sek('available', -2), sek('pending', 5)])).toEqual([
    sek('available', 3),
  ]);
});
