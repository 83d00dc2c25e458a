/** The rows of a tree that are open to view, and what keys do among them. */
import type { TreeNode } from '#gateway/schema/live';

export interface TreeRow {
  key: string;
  node: TreeNode;
  /** 1 for a site. */
  level: number;
  /** Its place among its siblings, from 1, and how many there are. */
  place: number;
  siblings: number;
  hasChildren: boolean;
  open: boolean;
}

const collator = new Intl.Collator('en', { numeric: true });

/**
 * Visible rows in order. A filter shows every node whose name matches, together with what is above it; order follows
 * names only, so that rows stay where they are while values move.
 */
export function treeRows(
  nodes: Iterable<readonly [string, TreeNode]>,
  isOpen: (key: string) => boolean,
  filter = '',
): TreeRow[] {
  const children = new Map<string | null, [string, TreeNode][]>();
  for (const [key, node] of nodes) {
    const siblings = children.get(node.parent);
    if (siblings) siblings.push([key, node]);
    else children.set(node.parent, [[key, node]]);
  }
  for (const siblings of children.values()) siblings.sort(([, a], [, b]) => collator.compare(a.name, b.name));

  const wanted = filter.trim().toLowerCase();
  const walk = (parent: string | null, level: number): TreeRow[] => {
    const branches = (children.get(parent) ?? []).flatMap(([key, node]) => {
      const below = walk(key, level + 1);
      const matches = wanted === '' || node.name.toLowerCase().includes(wanted);
      if (!matches && below.length === 0) return [];
      const hasChildren = children.has(key);
      const open = hasChildren && (isOpen(key) || (wanted !== '' && below.length > 0));
      return [{ row: { key, node, level, hasChildren, open }, below: open ? below : [] }];
    });
    const siblings = branches.length;
    return branches.flatMap(({ row, below }, i) => [{ ...row, place: i + 1, siblings }, ...below]);
  };
  return walk(null, 1);
}

export type TreeMove = { focus: string } | { open: string } | { close: string } | null;

/** What an arrow, Home, End or a letter does from `key`; null: nothing. */
export function treeMove(rows: readonly TreeRow[], key: string, pressed: string): TreeMove {
  const at = rows.findIndex((row) => row.key === key);
  const row = rows[at];
  if (row === undefined) return null;
  const to = (index: number): TreeMove => {
    const target = rows[index];
    return target === undefined ? null : { focus: target.key };
  };
  switch (pressed) {
    case 'ArrowDown':
      return to(at + 1);
    case 'ArrowUp':
      return at === 0 ? null : to(at - 1);
    case 'Home':
      return to(0);
    case 'End':
      return to(rows.length - 1);
    case 'ArrowRight':
      if (row.hasChildren && !row.open) return { open: key };
      return row.hasChildren ? to(at + 1) : null;
    case 'ArrowLeft':
      if (row.open) return { close: key };
      return row.node.parent === null ? null : { focus: row.node.parent };
    default: {
      if (!/^\p{L}|\p{N}$/u.test(pressed) || pressed.length > 1) return null;
      const after = [...rows.slice(at + 1), ...rows.slice(0, at)];
      const found = after.find(({ node }) => node.name.toLowerCase().startsWith(pressed.toLowerCase()));
      return found === undefined ? null : { focus: found.key };
    }
  }
}
