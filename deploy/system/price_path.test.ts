/** A recorded day plays through the real doors, and every price is what the meters say, everywhere, in time. */
import { existsSync } from 'node:fs';
import { afterEach, expect, test, type TestContext } from 'vitest';
import { PlayedDay, recordedDay } from './played_day.ts';

const day = new PlayedDay();
afterEach((context: TestContext) => day.dispose(context.task.result?.state === 'fail'));

test.skipIf(!existsSync(recordedDay))(
  'the recorded 15 May 2019 from 07:00: each price comes every 12 s, equal on all doors and as its meters say',
  async () => {
    const { heard, state } = await day.playRecorded(5);
    expect(heard.map(({ capacityW }) => capacityW)).toEqual([195_000, 195_000, 195_000, 195_000, 195_000]);
    expect(state.figures.chargers).toHaveLength(52);
    // 31 cars at 07:00 draw 104.9 %.
    expect(new Set(heard.map(({ tier }) => tier))).toContain('triple');
  },
);

// Its sessions end, too; where the recorded day is at hand, the kills play the generated one.
test.runIf(!existsSync(recordedDay))('the generated twin of a recorded day: the same holds for it', async () => {
  const { state } = await day.playGenerated(6);
  expect(state.sessions.length).toBeGreaterThan(20);
});
