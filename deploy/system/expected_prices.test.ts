/** The oracle of the system tests, on cases that can be worked out by hand: slot 100 begins at 1,200,000 ms. */
import { expect, test } from 'vitest';
import { expectedPrices, type PowerSample, type SessionMark } from './expected_prices.ts';

const station = { createdAt: 0, capacityW: 100_000, baseE5SekPerKwh: 100_000, ratedW: 11_000 };
const at = 1_200_000;

let sequence = 0;
const place = { charger: 'CP-1', connector: 1, transaction: 7 };
const mark = (state: SessionMark['state'], receivedAt: number): SessionMark => ({
  ...place,
  state,
  receivedAt,
  sequence: (sequence += 1),
  index: 0,
});
const sample = (receivedAt: number, powerW: number, sampledAt = receivedAt): PowerSample => ({
  ...place,
  sampledAt,
  receivedAt,
  powerW,
  sequence: (sequence += 1),
  index: 0,
});
const prices = (slots: number[], marks: SessionMark[], samples: PowerSample[]) =>
  expectedPrices(slots, station, marks, samples);

test('power acts from the log time of its sample to the next one and to the end of the session', () => {
  const marks = [mark('started', at), mark('ended', at + 9_000)];
  const samples = [sample(at + 3_000, 8_000), sample(at + 6_000, 4_000)];
  // 3 s at 0 W, 3 s at 8 kW, 3 s at 4 kW, 3 s without a session.
  expect(prices([101, 102], marks, samples)).toEqual([
    { slot: 101, loadW: 3_000, utilisationBp: 300, tier: 'normal', priceE5SekPerKwh: 100_000, importOpen: true },
    { slot: 102, loadW: 0, utilisationBp: 0, tier: 'normal', priceE5SekPerKwh: 100_000, importOpen: true },
  ]);
});

test('a sample counts from when the log had it, and one that is older than the last known changes nothing', () => {
  const samples = [sample(at, 6_000, at - 60_000), sample(at + 6_000, 12_000, at - 90_000)];
  expect(prices([101], [mark('started', at - 1)], samples)[0]).toMatchObject({ loadW: 6_000 });
});

test('an open session without sample counts as rated power after 30 s, later as its highest power', () => {
  const marks = [mark('started', at)];
  expect(prices([103, 104], marks, []).map(({ loadW }) => loadW)).toEqual([5_500, 11_000]);
  const samples = [sample(at, 9_000), sample(at + 10_000, 3_000)];
  // Silent from 40 s on: 4 s of slot 103 at 3 kW, 8 s at 9 kW.
  expect(prices([103, 104, 105], marks, samples).map(({ loadW }) => loadW)).toEqual([3_000, 7_000, 9_000]);
});

test('two intervals of a slow charger are no silence', () => {
  const samples = [sample(at, 5_000), sample(at + 40_000, 2_000)];
  // Silent between 30 and 40 s: two samples were needed to know the interval. Then not before 120 s.
  expect(prices([103, 104, 109, 111], [mark('started', at - 1)], samples).map(({ loadW }) => loadW)).toEqual([
    5_000, 3_000, 2_000, 5_000,
  ]);
});

test('tiers rise above 80, 100 and 120 % at once and fall two points below', () => {
  const bp = [8_000, 8_001, 7_801, 7_800, 10_000, 10_001, 9_801, 9_800, 12_000, 12_001, 11_801, 11_800, 13_000, 0];
  const samples = bp.map((u, i) => sample(at + i * 12_000, u * 10));
  const tiers = prices(
    bp.map((_, i) => 101 + i),
    [mark('started', at - 1)],
    samples,
  );
  expect(tiers.map(({ utilisationBp }) => utilisationBp)).toEqual(bp);
  expect(tiers.map(({ tier }) => tier)).toEqual([
    ...['normal', 'double', 'double', 'normal'],
    ...['double', 'triple', 'triple', 'double'],
    ...['triple', 'capped', 'capped', 'triple', 'capped', 'normal'],
  ]);
  expect(tiers.map(({ priceE5SekPerKwh }) => priceE5SekPerKwh / 100_000)).toEqual([
    1, 2, 2, 1, 2, 3, 3, 2, 3, 3, 3, 3, 3, 1,
  ]);
  expect(tiers.filter(({ importOpen }) => !importOpen)).toHaveLength(3);
});

test('power told together with a start counts from it on, whichever of both comes first in the record', () => {
  const together = { sequence: 9_000, receivedAt: at + 6_000 };
  const started = { ...mark('started', 0), ...together, index: 1 };
  const told = { ...sample(0, 8_000), ...together, sampledAt: at + 6_000, index: 0 };
  expect(prices([101], [started], [told])[0]).toMatchObject({ loadW: 4_000 });
  expect(prices([101], [{ ...started, index: 0 }], [{ ...told, index: 1 }])[0]).toMatchObject({ loadW: 4_000 });
});
