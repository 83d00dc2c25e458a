/** The same over and over, every server among the killed. GRIDTICK_TEST_SEED and GRIDTICK_TEST_KILLS choose another run. */
import { afterEach, test, type TestContext } from 'vitest';
import { KilledDay } from './killed_day.ts';
import { allServersToo } from './kills.ts';

const seed = Number(process.env.GRIDTICK_TEST_SEED || Date.now() % 1_000_000);
const kills = Number(process.env.GRIDTICK_TEST_KILLS || 200);

const day = new KilledDay();
afterEach((context: TestContext) => day.dispose(context.task.result?.state === 'fail'));

test(`${kills} kill -9 under load, of every server and role, lose nothing and double nothing (seed ${seed})`, () =>
  day.play({ seed, kills, supervisors: Math.ceil(kills / 10), weights: allServersToo, minutes: Math.ceil(kills / 2) }));
