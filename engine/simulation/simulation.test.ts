import { expect, test } from 'vitest';
import { simulate } from './simulation.ts';

const seeds = Number(process.env['GRIDTICK_SIM_SEEDS'] ?? 500);
const from = Number(process.env['GRIDTICK_SIM_FROM'] ?? 1);

test(
  `${seeds} faulty worlds keep every promise: nothing acknowledged lost, nothing doubled, one outcome per command`,
  { timeout: 300_000 },
  async () => {
    const totals = { commands: 0, epochs: 0, records: 0, snapshots: 0 };
    for (let seed = from; seed < from + seeds; seed++) {
      const report = await simulate(seed);
      expect(report.problems, `seed ${seed}: run again with GRIDTICK_SIM_FROM=${seed} GRIDTICK_SIM_SEEDS=1`).toEqual(
        [],
      );
      for (const name of ['commands', 'epochs', 'records', 'snapshots'] as const) totals[name] += report[name];
    }
    // A world without kills or snapshots would prove nothing.
    expect(totals.epochs).toBeGreaterThan(seeds * 4);
    expect(totals.snapshots).toBeGreaterThan(seeds);
  },
);
