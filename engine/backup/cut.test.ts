import fc from 'fast-check';
import { expect, test } from 'vitest';
import { closedBelow, type Passed } from './cut.ts';

test('ends that nothing passed between are a cut', () => {
  expect(
    closedBelow(
      [7, 9],
      [
        { made: [], applied: [] },
        { made: [], applied: [] },
      ],
    ),
  ).toEqual([7, 9]);
});

test('what a partition has applied and its sender has not decided is left out, and what followed from it as well', () => {
  const passed: Passed[] = [
    // Noted at 5; its record 6 made relay 3 to partition 1.
    { made: [[6, 1, 3]], applied: [] },
    { made: [[8, 2, 1]], applied: [[7, 0, 3]] },
    { made: [], applied: [[4, 1, 1]] },
  ];
  expect(closedBelow([5, 9, 4], passed)).toEqual([5, 6, 3]);
  expect(closedBelow([6, 9, 4], passed)).toEqual([6, 9, 4]);
});

test('of any business between three partitions the cut is closed, and none that is closed is newer', () => {
  // Each step: a partition decides, and perhaps applies a relay that is under way, and perhaps sends one.
  const steps = fc.array(fc.record({ p: fc.nat(2), take: fc.nat(3), to: fc.option(fc.nat(2)) }), { maxLength: 40 });
  fc.assert(
    fc.property(steps, fc.array(fc.nat(40), { minLength: 3, maxLength: 3 }), (all, noted) => {
      const passed: Passed[] = [0, 1, 2].map(() => ({ made: [], applied: [] }));
      const ends = [0, 0, 0];
      const sent = [0, 1, 2].map(() => [0, 0, 0]);
      const got = [0, 1, 2].map(() => [0, 0, 0]);
      for (const { p, take, to } of all) {
        const sequence = ++ends[p]!;
        const from = take % 3;
        if (take < 3 && sent[from]![p]! > got[p]![from]!) passed[p]!.applied.push([sequence, from, ++got[p]![from]!]);
        if (to !== null) passed[p]!.made.push([sequence, to, ++sent[p]![to]!]);
      }
      const wanted = ends.map((end, p) => Math.min(end, noted[p]!));
      const isClosed = (cut: number[]) =>
        passed.every(({ applied }, q) =>
          applied.every(
            ([at, p, relay]) =>
              at > cut[q]! || passed[p]!.made.some(([x, to, n]) => to === q && n === relay && x <= cut[p]!),
          ),
        );
      const cut = closedBelow(wanted, passed);
      expect(isClosed(cut)).toBe(true);
      let best = 0;
      for (let a = 0; a <= wanted[0]!; a++)
        for (let b = 0; b <= wanted[1]!; b++)
          for (let c = 0; c <= wanted[2]!; c++) if (isClosed([a, b, c])) best = Math.max(best, a + b + c);
      expect(cut[0]! + cut[1]! + cut[2]!).toBe(best);
    }),
    { numRuns: 60 },
  );
});
