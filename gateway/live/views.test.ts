import { expect, test } from 'vitest';
import type { ChargerState } from '#actors/schema/entities';
import type { GridEntity } from './grid.ts';
import { chargerNode } from './views.ts';

const connector = (status: string, transaction: number, powerW: number) => ({
  ...{ status, transaction, powerW, silentFromMs: null, silentW: 0 },
});
const charger = (online: boolean, connectors: ReturnType<typeof connector>[]) =>
  ({
    id: 'CP-1',
    context: { online, station: 'nord-1', ratedW: 22_000, connectors },
  }) as unknown as GridEntity<ChargerState>;

test('connectors of both versions are counted under what they do: one in use that draws power in a session charges', () => {
  const both = [connector('Charging', 7, 7_400), connector('Occupied', 8, 11_000), connector('Occupied', 9, 0)];
  expect(chargerNode(charger(true, both), 0).counts).toEqual({ Charging: 2, Occupied: 1 });
  expect(chargerNode(charger(true, [connector('Occupied', 0, 0), connector('', 0, 0)]), 0).counts).toEqual({
    Occupied: 1,
    Unknown: 1,
  });
});

test('of a charger that is away nobody knows what its connectors do', () => {
  const node = chargerNode(charger(false, [connector('Occupied', 8, 11_000)]), 0);
  expect(node).toMatchObject({ counts: { Offline: 1 }, health: 'offline' });
});
