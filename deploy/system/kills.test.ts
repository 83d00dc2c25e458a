/** Whatever is killed, and whenever: nothing that was answered is lost, nothing is there twice, every price is right. */
import { afterEach, test, type TestContext } from 'vitest';
import { KilledDay } from './killed_day.ts';
import { rolesOfTheCommit } from './kills.ts';

const seed = Number(process.env.GRIDTICK_TEST_SEED || Date.now() % 1_000_000);

const day = new KilledDay();
afterEach((context: TestContext) => day.dispose(context.task.result?.state === 'fail'));

test(`20 and more kill -9 under load lose nothing and double nothing (seed ${seed})`, () =>
  day.play({ seed, kills: 20, supervisors: 2, weights: rolesOfTheCommit, minutes: 5 }));
