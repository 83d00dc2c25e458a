/** Forty minutes of the recorded day: from 104.9 % at 07:00 past the cap. GRIDTICK_TEST_MINUTES chooses another length. */
import { existsSync } from 'node:fs';
import { afterEach, expect, test, type TestContext } from 'vitest';
import { PlayedDay, recordedDay } from './played_day.ts';

const minutes = Number(process.env.GRIDTICK_TEST_MINUTES || 40);

const day = new PlayedDay();
afterEach((context: TestContext) => day.dispose(context.task.result?.state === 'fail'));

test.skipIf(!existsSync(recordedDay))(`the recorded 15 May 2019 from 07:00, ${minutes} min of it`, async () => {
  const { heard } = await day.playRecorded(minutes * 5);
  expect(heard).toHaveLength(minutes * 5);
});

test(`a generated day, ${minutes} min of it`, async () => {
  const { state } = await day.playGenerated(minutes * 5);
  expect(state.sessions.length).toBeGreaterThan(minutes * 10);
});
