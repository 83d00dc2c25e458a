/**
 * Whoever dies, and at which step between hold, commit, relay and post: no öre and no Wh is lost or doubled, a caller who asks
 * again under the same id is told the same, and every Wh that a car drew is billed once.
 */
import { afterAll, beforeAll, test } from 'vitest';
import { Random } from '#gateway/simulator/random';
import { MoneyRun, nameOf, someCases } from './money_cases.ts';

const seed = Number(process.env.GRIDTICK_TEST_SEED || Date.now() % 1_000_000);
const random = new Random(`money ${seed}`);
const run = new MoneyRun(random);
beforeAll(() => run.open(), 120_000);
afterAll(() => run.close());

test.each(someCases(random, 2).map((one) => [nameOf(one), one] as const))(
  `%s: money and energy are where they belong (seed ${seed})`,
  (_name, one) => run.play(one),
);

test('at rest every customer owns what answers and meters say; streams and ClickHouse tell every posting once', () =>
  run.atRest());
