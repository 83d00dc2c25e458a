import { fireEvent, render, screen } from '@testing-library/svelte';
import { createRawSnippet } from 'svelte';
import { expect, test, vi } from 'vitest';
import type { TreeNode } from '#gateway/schema/live';
import { aPrice } from '../live/a_price.ts';
import Card from './Card.svelte';
import { freshness, refusedState, type CardState } from './card_state.ts';
import ConnectorGrid from './ConnectorGrid.svelte';
import Gauge from './Gauge.svelte';
import LoadTree from './LoadTree.svelte';
import PriceTable from './PriceTable.svelte';
import { bandOf } from './tier.ts';

const children = createRawSnippet(() => ({ render: () => '<p>values</p>' }));
const card = (state: CardState) => render(Card, { title: 'Load', state, children });

test('the gauge says in words what it shows', () => {
  render(Gauge, { liveW: 125_100, capacityW: 138_000, meanBp: 7_960 });
  const name = screen.getByRole('img').getAttribute('aria-label');
  expect(name).toBe('Load 90.7 % of capacity: 125.1 kW of 138.0 kW. in the double band.');
});

test('a load that is not known is not shown as zero', () => {
  const { container } = render(Gauge, { liveW: null, capacityW: null, meanBp: null });
  expect(screen.getByRole('img').getAttribute('aria-label')).toContain('not known');
  expect(container.querySelector('.figure')?.textContent).toBe('—%');
});

test('bands end at 80, 100 and 120 %, and the boundary belongs to the lower one', () => {
  expect([8_000, 8_001, 10_000, 10_001, 12_000, 12_001].map(bandOf)).toEqual([
    ...['normal', 'double', 'double', 'triple', 'triple', 'capped'],
  ]);
});

test('a stale card keeps its values and says how old they are', () => {
  card(freshness({ offline: false, at: 100_000, now: 131_000, staleAfterMs: 24_000 }));
  expect(screen.getByText('31 s ago')).toBeTruthy();
  expect(screen.getByText('values')).toBeTruthy();
});

test('at 24 s a value is not stale; offline wins over stale', () => {
  const at = { at: 100_000, staleAfterMs: 24_000 };
  expect(freshness({ ...at, offline: false, now: 124_000 })).toEqual({ state: 'live' });
  expect(freshness({ ...at, offline: true, now: 199_000 })).toEqual({ state: 'offline' });
});

test('a refusal shows its words, its code and the reference to quote', () => {
  const retry = vi.fn();
  card(refusedState({ ok: false, code: 'history_unavailable', correlation: 'c-81f' }, retry));
  expect(screen.getByText(/The history store does not answer/)).toBeTruthy();
  expect(screen.getByText('history_unavailable')).toBeTruthy();
  expect(screen.getByText('c-81f')).toBeTruthy();
  screen.getByRole('button', { name: 'Try again' }).click();
  expect(retry).toHaveBeenCalledOnce();
  expect(screen.queryByText('values')).toBeNull();
});

test('without the right it says which one is needed', () => {
  card(refusedState({ ok: false, code: 'role_missing', detail: { right: 'view_station' } }, () => {}));
  expect(screen.getByText(/the right to view stations/)).toBeTruthy();
});

test('what is missing is named beside what came', () => {
  card({ state: 'partial', missing: 'Older prices could not be loaded', retry: () => {} });
  expect(screen.getByText('Older prices could not be loaded')).toBeTruthy();
  expect(screen.getByText('values')).toBeTruthy();
});

test('rows of the price table do not move under the pointer; new prices wait behind a pill', async () => {
  const user = { enter: (node: Element) => node.dispatchEvent(new Event('pointerenter')) };
  const { rerender, container } = render(PriceTable, { prices: [aPrice(10)], now: 125_000, tintFrom: 10 });
  const slots = () =>
    [...container.querySelectorAll('[data-slot]')].map((row) => Number(row.getAttribute('data-slot')));
  user.enter(screen.getByRole('group'));
  await rerender({ prices: [aPrice(10), aPrice(11)], now: 137_000, tintFrom: 10 });
  expect(slots()).toEqual([10]);
  screen.getByRole('button', { name: '1 new price' }).click();
  await rerender({});
  expect(slots()).toEqual([11, 10]);
});

test('connectors say their state in words, those of OCPP 2.0.1 too, and a silent meter says so', () => {
  const connector = {
    ...{ charger: 'CP-0001', connector: 1, station: 'nord-1', online: true, status: 'Charging', errorCode: 'NoError' },
    ...{ statusAt: 1, w: 7_400, at: 100_000, intervalMs: 10_000, transaction: 7, tag: '…007', startAt: 10_000 },
    energyWh: 6_123,
  };
  const away = { ...connector, charger: 'CP-0002', online: false, transaction: null };
  const inUse = { ...connector, charger: 'CP-0003', status: 'Occupied' };
  const full = { ...inUse, charger: 'CP-0004', w: 0 };
  const { container } = render(ConnectorGrid, { connectors: [connector, away, inUse, full], now: 131_000 });
  const row = (id: string) => container.querySelector(`[data-connector="${id}"]`)?.textContent?.replace(/\s+/g, ' ');
  expect(row('CP-0001/1')).toMatch(/Charging.*7\.4.*6\.12.*0:02.*…007.*silent 31 s/);
  expect(row('CP-0002/1')).toContain('Offline');
  expect(row('CP-0003/1')).toContain('Charging');
  expect(row('CP-0004/1')).toContain('In use');
});

test('of a tree of hundreds only what is near is in the document, and keys reach the rest', async () => {
  const node = (kind: TreeNode['kind'], id: string, parent: string | null): [string, TreeNode] => [
    `${kind}:${id}`,
    {
      ...{ kind, id, name: id, parent, loadW: null, liveW: 0, limitW: null, utilisationBp: null, stale: false },
      ...{ counts: { Available: 1 }, health: 'ok', worst: null },
    },
  ];
  const chargers = Array.from({ length: 300 }, (_, i) => node('charger', `CP-${i}`, 'station:Nord'));
  const nodes = [node('site', 'Hafen', null), node('station', 'Nord', 'site:Hafen'), ...chargers];
  render(LoadTree, { nodes, filter: '', hrefOf: () => null, open: () => undefined });
  const rows = () => screen.getAllByRole('treeitem').map((row) => row.getAttribute('data-node'));
  expect(rows()).toEqual(['site:Hafen', 'station:Nord']);
  const press = (key: string) => fireEvent.keyDown(document.querySelector('[role=treeitem][tabindex="0"]')!, { key });
  await press('ArrowDown');
  await press('ArrowRight');
  await expect.poll(() => rows().length).toBeGreaterThan(20);
  expect(rows().length).toBeLessThan(80);
  expect(rows()).not.toContain('charger:CP-299');
  await press('End');
  await expect.poll(() => document.activeElement?.getAttribute('data-node')).toBe('charger:CP-299');
  expect(document.activeElement?.getAttribute('aria-posinset')).toBe('300');
  expect(rows()).not.toContain('charger:CP-0');
});
