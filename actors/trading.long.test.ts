import { expect, test } from 'vitest';
import { checkBooks, sekE5 } from './testing_customers.ts';
import { checkPositions, TestTrader } from './testing_trading.ts';
import { TestWorld } from './testing.ts';

test('a cancel races a price 100,000 times: one of them wins, never both and never neither', () => {
  const world = new TestWorld();
  const ada = new TestTrader(world);
  ada.does('ADD', '1000000.00');
  ada.does('SET_BUY_AMOUNT', 'A', '1.00');
  ada.does('SET_BUY_TRIGGER', 'A', '1.00');
  let [fired, seed] = [0, 1];
  for (let n = 0; n < 100_000; n++) {
    seed = (seed * 48_271) % 2_147_483_647;
    const isFirst = seed % 2 === 0;
    world.advance(1);
    if (isFirst) ada.tick('A', sekE5);
    const cancelled = ada.send('CANCEL_SET_BUY', 'A').ok;
    if (!isFirst) ada.tick('A', sekE5);
    fired += isFirst ? 1 : 0;
    if (cancelled === isFirst || ada.shares('A').available !== fired)
      throw new Error(`round ${n}: cancelled ${cancelled}, ${ada.shares('A').available} shares after ${fired} fired`);
    ada.does('SET_BUY_AMOUNT', 'A', '1.00');
    ada.does('SET_BUY_TRIGGER', 'A', '1.00');
  }
  expect(ada.log.filter(({ what }) => what === 'system')).toHaveLength(fired);
  checkBooks(world);
  checkPositions(world);
});
