import { expect, test } from 'vitest';
import { churn } from './churn.ts';

const seeds = Number(process.env['GRIDTICK_SIM_CHURN'] ?? 20);
const from = Number(process.env['GRIDTICK_SIM_FROM'] ?? 1);

test(
  `in ${seeds} worlds engines come, go, die and lose sight of each other: every command is applied once, every partition is served at the end`,
  { timeout: 120_000 },
  async () => {
    const totals = { epochs: 0, given: 0, superseded: 0 };
    for (let seed = from; seed < from + seeds; seed++) {
      const report = await churn(seed);
      expect(report.problems, `seed ${seed}: run again with GRIDTICK_SIM_FROM=${seed} GRIDTICK_SIM_CHURN=1`).toEqual(
        [],
      );
      for (const name of ['epochs', 'given', 'superseded'] as const) totals[name] += report[name];
    }
    // A world in which nothing changes hands would prove nothing.
    if (seeds < 20) return;
    expect(totals.given).toBeGreaterThan(seeds);
    expect(totals.superseded).toBeGreaterThan(seeds / 2);
  },
);
