import { existsSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { customerAddress } from './addresses.ts';
import { outcomes, play, smallScript } from './testing_workload.ts';

const folder = new URL('../../shared/data/workloads/', import.meta.url);
const read = (name: string) => (existsSync(new URL(name, folder)) ? readFileSync(new URL(name, folder)) : null);

test.for([
  ['1userWorkLoad.txt', 'stack'],
  ['1userWorkLoad.txt', 'slot'],
  ['10User_testWorkLoad.txt', 'stack'],
  ['10User_testWorkLoad.txt', 'slot'],
] as const)(
  '%s with a %s of pending orders comes out exact to the cent',
  { timeout: 120_000 },
  ([file, rule], context) => {
    const script = read(file);
    if (!script) return context.skip(`${file} is not on this machine: the scripts lie beside the repository`);
    const { came, wanted } = outcomes(String(script), String(read('expected_outcomes.json')), file, rule);
    return expect(came).toEqual(wanted);
  },
);

test('a small script with a stack of pending orders comes out as worked out by hand', () => {
  const { world, ...outcome } = play(smallScript, 'stack');
  expect(outcome).toEqual({
    ok: {
      ...{ ADD: 1, BUY: 3, COMMIT_BUY: 2, SELL: 2, COMMIT_SELL: 1, CANCEL_SELL: 1, CANCEL_BUY: 1 },
      ...{ SET_BUY_AMOUNT: 2, SET_BUY_TRIGGER: 1, SET_SELL_AMOUNT: 1, SET_SELL_TRIGGER: 1 },
      ...{ QUOTE: 1, DISPLAY_SUMMARY: 1, DUMPLOG: 1 },
    },
    errors: { SET_SELL_TRIGGER: 1, BUY: 2, CANCEL_BUY: 1 },
    cashCents: 4_900,
    stockCents: 1_100,
    pendingBuyCents: 0,
    pendingSellCents: 0,
    reservedBuyCents: 2_500,
    reservedSellCents: 1_500,
    totalCents: 10_000,
    openBuyTriggers: 0,
    openSellTriggers: 1,
  });
  // Everybody's log alone names nobody; who never paid in has no account.
  expect(world.get(customerAddress('book/bob'))).toBeUndefined();
  expect(world.get(customerAddress('book/-'))).toBeUndefined();
});

test('the same with one pending order per side: a new order takes the place of the old one', () => {
  const { ok, errors, cashCents, stockCents, totalCents } = play(smallScript, 'slot');
  expect(ok).toMatchObject({ BUY: 3, COMMIT_BUY: 1 });
  expect(errors).toMatchObject({ COMMIT_BUY: 1 });
  expect({ cashCents, stockCents, totalCents }).toEqual({ cashCents: 7_500, stockCents: 0, totalCents: 10_000 });
});
