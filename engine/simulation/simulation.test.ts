import { expect, test } from 'vitest';
import { compileDomain } from '../partition/catalogue.ts';
import { replayPartition } from '../partition/replay.ts';
import { exitCodeOf, problemText } from '../partition/replay_verdict.ts';
import { simulate } from './simulation.ts';
import { storedPartition } from './stored.ts';
import { tallyDomain } from './tally.ts';

const seeds = Number(process.env['GRIDTICK_SIM_SEEDS'] ?? 500);
const from = Number(process.env['GRIDTICK_SIM_FROM'] ?? 1);
/** So many worlds are executed again at their end: one of them, all of a few. */
const replayedEvery = seeds < 5 ? 1 : 5;
const rules = { catalogue: compileDomain(tallyDomain), build: 'sim', clock: 'wall' } as const;

test(
  `${seeds} faulty worlds keep every promise: nothing acknowledged lost, nothing doubled, one outcome per command, and again the same`,
  { timeout: 300_000 },
  async () => {
    const totals = { commands: 0, epochs: 0, records: 0, snapshots: 0 };
    let refused = 0;
    for (let seed = from; seed < from + seeds; seed++) {
      const report = await simulate(seed);
      expect(report.problems, `seed ${seed}: run again with GRIDTICK_SIM_FROM=${seed} GRIDTICK_SIM_SEEDS=1`).toEqual(
        [],
      );
      for (const name of ['commands', 'epochs', 'records', 'snapshots'] as const) totals[name] += report[name];
      if (seed % replayedEvery !== 0) continue;
      const verdicts = await Promise.all(
        report.log.journals.map((_, p) => replayPartition(storedPartition(report.log, p), rules)),
      );
      const wrong = verdicts.flatMap(({ problems }) => problems.map(problemText));
      expect([wrong, exitCodeOf(verdicts)], `seed ${seed}, executed again`).toEqual([[], 0]);
      refused += verdicts.reduce((sum, verdict) => sum + verdict.refused, 0);
    }
    // A world without kills or snapshots would prove nothing.
    expect(totals.epochs).toBeGreaterThan(seeds * 4);
    expect(totals.snapshots).toBeGreaterThan(seeds);
    if (seeds >= 100) expect(refused).toBeGreaterThan(seeds / 10);
  },
);
