/** Every step between hold, commit, relay and post, with every process that can die then. GRIDTICK_TEST_SEED chooses passings. */
import { afterAll, beforeAll, test } from 'vitest';
import { Random } from '#gateway/simulator/random';
import { everyCase, MoneyRun, nameOf } from './money_cases.ts';

const seed = Number(process.env.GRIDTICK_TEST_SEED || Date.now() % 1_000_000);
const run = new MoneyRun(new Random(`money ${seed}`));
beforeAll(() => run.open(), 120_000);
afterAll(() => run.close());

test.each(everyCase.map((one) => [nameOf(one), one] as const))(
  `%s: money and energy are where they belong (seed ${seed})`,
  (_name, one) => run.play(one),
);

test('at rest every customer owns what answers and meters say; streams and ClickHouse tell every posting once', () =>
  run.atRest());
