import { expect, test } from 'vitest';
import type { TreeNode } from '#gateway/schema/live';
import { treeMove, treeRows } from './load_tree.ts';

const node = (kind: TreeNode['kind'], id: string, parent: string | null): [string, TreeNode] => [
  `${kind}:${id}`,
  {
    ...{ kind, id, name: id, parent, loadW: null, liveW: 0, limitW: null, utilisationBp: null, stale: false },
    ...{ counts: {}, health: 'ok', worst: null },
  },
];
const nodes = [
  node('charger', 'CP-10', 'station:Nord 1'),
  node('charger', 'CP-2', 'station:Nord 1'),
  node('site', 'Hafen', null),
  node('station', 'Süd 1', 'site:Hafen'),
  node('station', 'Nord 1', 'site:Hafen'),
];
const names = (rows: { node: TreeNode }[]) => rows.map((row) => row.node.name);

test('rows follow names, CP-2 before CP-10, whatever order nodes come in', () => {
  expect(names(treeRows(nodes, () => true))).toEqual(['Hafen', 'Nord 1', 'CP-2', 'CP-10', 'Süd 1']);
  expect(treeRows(nodes, () => true).map(({ level }) => level)).toEqual([1, 2, 3, 3, 2]);
});

test('each row knows its place among its siblings, whether or not all of them are in the document', () => {
  const places = treeRows(nodes, () => true).map(({ place, siblings }) => `${place}/${siblings}`);
  expect(places).toEqual(['1/1', '1/2', '1/2', '2/2', '2/2']);
});

test('what is folded is not shown', () => {
  expect(names(treeRows(nodes, (key) => key === 'site:Hafen'))).toEqual(['Hafen', 'Nord 1', 'Süd 1']);
});

test('a filter shows what matches and what is above it, also inside of what is folded', () => {
  expect(names(treeRows(nodes, () => false, 'cp-10'))).toEqual(['Hafen', 'Nord 1', 'CP-10']);
  expect(treeRows(nodes, () => false, 'nothing')).toEqual([]);
});

test('arrows walk, open and close as in every tree', () => {
  const open = treeRows(nodes, () => true);
  expect(treeMove(open, 'site:Hafen', 'ArrowDown')).toEqual({ focus: 'station:Nord 1' });
  expect(treeMove(open, 'site:Hafen', 'ArrowUp')).toBeNull();
  expect(treeMove(open, 'station:Nord 1', 'ArrowRight')).toEqual({ focus: 'charger:CP-2' });
  expect(treeMove(open, 'station:Nord 1', 'ArrowLeft')).toEqual({ close: 'station:Nord 1' });
  expect(treeMove(open, 'charger:CP-2', 'ArrowLeft')).toEqual({ focus: 'station:Nord 1' });
  expect(treeMove(open, 'charger:CP-2', 'End')).toEqual({ focus: 'station:Süd 1' });
  const folded = treeRows(nodes, () => false);
  expect(treeMove(folded, 'site:Hafen', 'ArrowRight')).toEqual({ open: 'site:Hafen' });
});

test('a letter jumps to the next name that begins with it', () => {
  const open = treeRows(nodes, () => true);
  expect(treeMove(open, 'site:Hafen', 'c')).toEqual({ focus: 'charger:CP-2' });
  expect(treeMove(open, 'charger:CP-2', 'c')).toEqual({ focus: 'charger:CP-10' });
  expect(treeMove(open, 'charger:CP-2', 'x')).toBeNull();
});
