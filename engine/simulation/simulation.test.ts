import { expect, test } from 'vitest';
import { findMutation, mutations, type MutationName } from './mutations.ts';
import { executeAgain, simulate } from './simulation.ts';

const seeds = Number(process.env['GRIDTICK_SIM_SEEDS'] ?? 500);
const from = Number(process.env['GRIDTICK_SIM_FROM'] ?? 1);
/** Of so many worlds one is executed again at its end; all of a few. */
const againEvery = seeds < 5 ? 1 : 10;

test(
  `${seeds} faulty worlds keep every promise: nothing acknowledged lost, nothing doubled, one outcome per command, and again the same`,
  { timeout: 300_000 },
  async () => {
    const totals = {
      epochs: 0,
      snapshots: 0,
      doubled: 0,
      deaths: 0,
      sleeps: 0,
      lostTails: 0,
      clockJumps: 0,
      fullDisks: 0,
    };
    let refused = 0;
    for (let seed = from; seed < from + seeds; seed++) {
      const { problems, figures, log } = await simulate(seed);
      expect(problems, `seed ${seed}: npm run sim -- --from ${seed} --seeds 1 --trace`).toEqual([]);
      for (const name of Object.keys(totals) as (keyof typeof totals)[]) totals[name] += figures[name];
      if (seed % againEvery !== 0) continue;
      const again = await executeAgain(log);
      expect(again.problems, `seed ${seed}, executed again`).toEqual([]);
      refused += again.refused;
    }
    // Worlds in which nothing happens would prove nothing.
    expect(totals.epochs).toBeGreaterThan(seeds * 3);
    if (seeds < 100) return;
    expect(totals.doubled).toBeGreaterThan(seeds * 2);
    for (const name of ['snapshots', 'deaths', 'sleeps', 'clockJumps', 'fullDisks'] as const)
      expect(totals[name], name).toBeGreaterThan(seeds / 5);
    expect(totals.lostTails).toBeGreaterThan(seeds / 50);
    expect(refused).toBeGreaterThan(seeds / 100);
  },
);

/** Worlds until one notices, with room: the first that do are far below. */
const budgets: Record<MutationName, number> = {
  cas: 60,
  writer_watermark: 30,
  id_ring: 30,
  post_commit_release: 5,
  timer_generation: 30,
};

test.each(Object.keys(budgets) as MutationName[])('without %s the worlds turn red', async (name) => {
  const { seed, problem } = await findMutation(name, 1, budgets[name]);
  expect(seed, mutations[name].missing).not.toBeNull();
  expect(problem).not.toMatch(/come to rest|could not finish/);
});
