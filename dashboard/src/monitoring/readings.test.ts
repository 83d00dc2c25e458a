import { expect, test } from 'vitest';
import type { Sample } from '#gateway/schema/mod';
import { readings } from './readings.ts';

const sample = (measurand: string, value: string, unit: string, more: Partial<Sample> = {}): Sample => ({
  ...{ at: 1_000, measurand, phase: '', location: 'Outlet', context: 'Sample.Periodic', unit, value },
  ...more,
});

test('power, energy and the current of each phase are found, in the units of the screen', () => {
  const found = readings({
    samples: [
      sample('Current.Import', '15.9', 'A', { phase: 'L3' }),
      sample('Current.Import', '16.1', 'A', { phase: 'L1' }),
      sample('Energy.Active.Import.Register', '1234567', 'Wh'),
      sample('Power.Active.Import', '11040.0', 'W'),
      sample('Current.Import', '16', 'A', { phase: 'L2' }),
      sample('SoC', '57', 'Percent'),
    ],
  });
  expect(found.power).toMatchObject({ value: 11.04, unit: 'kW' });
  expect(found.energy).toMatchObject({ value: 1234.567, unit: 'kWh' });
  expect(found.current.map(({ phase, value }) => [phase, value])).toEqual([
    ['L1', 16.1],
    ['L2', 16],
    ['L3', 15.9],
  ]);
  expect(found.soc).toMatchObject({ value: 57, unit: '%' });
  expect(found.rest).toEqual([]);
});

test('a single-phase charger has one current; what nobody asked for is kept as further values', () => {
  const found = readings({
    samples: [
      sample('Current.Import', '32', 'A'),
      sample('Current.Import', '31', 'A', { location: 'Inlet' }),
      sample('Frequency', '50.01', ''),
    ],
  });
  expect(found.current.map(({ value }) => value)).toEqual([32]);
  expect(found.rest.map(({ measurand }) => measurand)).toEqual(['Frequency', 'Current.Import']);
  expect(found.power).toBeNull();
});
