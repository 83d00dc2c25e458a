/**
 * Any commands of customers in any order, asked again or not, while cars charge and engines die at any moment: what was
 * acknowledged is what everybody owns. Failing plans are shrunk to few deeds and crashes.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { simulateMoney, type Deed, type MoneyPlan } from './money.ts';
import { customers, stations } from './money_world.ts';

const customer = fc.constantFrom(...customers.slice(0, 4));
const side = fc.constantFrom('buy', 'sell');
const energyWh = fc.oneof(fc.integer({ min: 1, max: 90 }), fc.constantFrom(1, 90_000));
const amountE5Sek = fc.oneof(fc.integer({ min: 1, max: 60_000 }), fc.constantFrom(-5, 0, 1, 10_000_000));
const orderOf = (who: string) => fc.integer({ min: 1, max: 6 }).map((n) => `${who}-${n}`);

const given = customer.chain((who) => {
  const does = <Body extends Record<string, unknown>>(type: string, body: fc.Arbitrary<Body>) =>
    body.map((value) => ({ customer: who, type, body: value }));
  const picked = fc.record({ side, order: fc.option(orderOf(who), { freq: 2 }) });
  const placed = fc.record({ station: fc.constantFrom(...stations), slot: fc.constant(null), energyWh });
  return fc.oneof(
    { weight: 3, arbitrary: does('customer.deposit', fc.record({ amountE5Sek })) },
    { weight: 1, arbitrary: does('customer.withdraw', fc.record({ amountE5Sek })) },
    { weight: 4, arbitrary: does('order.buy', placed) },
    { weight: 3, arbitrary: does('order.sell', placed) },
    { weight: 7, arbitrary: does('order.commit', picked) },
    { weight: 2, arbitrary: does('order.cancel', picked) },
    { weight: 2, arbitrary: does('order.stop', fc.record({ order: orderOf(who) })) },
  );
});
const deed: fc.Arbitrary<Deed> = fc.record({
  given,
  again: fc.boolean(),
  waitMs: fc.oneof(
    { weight: 6, arbitrary: fc.constant(0) },
    { weight: 6, arbitrary: fc.integer({ min: 1, max: 2_000 }) },
    { weight: 1, arbitrary: fc.constantFrom(12_000, 59_999, 60_001) },
  ),
});
const plan: fc.Arbitrary<MoneyPlan> = fc.record({
  deeds: fc.array(deed, { minLength: 4, maxLength: 50, size: 'max' }),
  crashes: fc.array(fc.record({ afterMs: fc.integer({ min: 0, max: 90_000 }), zombie: fc.boolean() }), {
    maxLength: 12,
    size: 'max',
  }),
});

const numRuns = 10;
test('any commands, retries and crashes, across customers, stations and sessions: nothing is lost or doubled', async () => {
  const totals = { committed: 0, sessions: 0, epochs: 0 };
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 1_000_000 }), plan, async (seed, what) => {
      const { problems, fates, epochs, sessions } = await simulateMoney(seed, { plan: what });
      totals.committed += fates.committed;
      totals.epochs += epochs;
      totals.sessions += Object.values(sessions).reduce((sum, count) => sum + count, 0);
      expect(problems).toEqual([]);
    }),
    { numRuns },
  );
  expect(totals.committed).toBeGreaterThan(0);
  expect(totals.sessions).toBeGreaterThan(numRuns * 5);
  expect(totals.epochs).toBeGreaterThan(numRuns * 6 - 1);
}, 300_000);
