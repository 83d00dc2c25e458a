/** Which connectors a node of the tree has, and which of them a filter leaves. */
import type { Connector } from '#gateway/schema/mod';
import type { TreeNode } from '#gateway/schema/live';
import { isInState } from '../parts/connector_state.ts';

/** Ids of the stations of a node, sorted; `key` is `site:<id>` or `station:<id>`. */
export function scopeOf(nodes: ReadonlyMap<string, TreeNode>, key: string | null): string[] {
  const node = key === null ? undefined : nodes.get(key);
  if (node === undefined || node.kind === 'charger') return [];
  if (node.kind === 'station') return [node.id];
  return [...nodes.values()]
    .flatMap(({ kind, id, parent }) => (kind === 'station' && parent === key ? [id] : []))
    .sort();
}

export interface FleetFilter {
  /** Part of a charger, a station's name, or a tag. */
  text: string;
  /** '' for all, `attention`, or a state. */
  state: string;
}

/** The order stays. */
export function matching(
  connectors: readonly Connector[],
  { text, state }: FleetFilter,
  stationNames: ReadonlyMap<string, string>,
): readonly Connector[] {
  const wanted = text.trim().toLowerCase();
  if (wanted === '' && state === '') return connectors;
  return connectors.filter((connector) => {
    if (!isInState(connector, state)) return false;
    const { charger, connector: n, station, tag } = connector;
    const words = `${charger}/${n}\n${stationNames.get(station) ?? station}\n${tag ?? ''}`;
    return words.toLowerCase().includes(wanted);
  });
}
