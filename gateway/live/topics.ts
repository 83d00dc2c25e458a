/** Topics: their names, the right each needs, and the values of their keys. */
import type { Right } from '../auth/rights.ts';
import type { Role } from '../schema/sign_in.ts';
import type { Grid, TopicKind } from './grid.ts';
import { chargerNode, chargerView, connectorView, siteNode, stationNode, stationView } from './views.ts';

export interface Topic {
  kind: TopicKind;
  id: string;
  name: string;
}

/** Lists get new values at most four times a second, single things ten times. */
export const topicRules = {
  tree: { needs: 'view_site', everyMs: 250 },
  station: { needs: 'view_station', everyMs: 100 },
  charger: { needs: 'view_charger', everyMs: 100 },
} as const satisfies Record<TopicKind, { needs: Right; everyMs: number }>;

/** undefined: no such kind of topic. */
export function parseTopic(name: string): Topic | undefined {
  const colon = name.indexOf(':');
  const [kind, id] = [name.slice(0, colon), name.slice(colon + 1)];
  if (colon < 0 || id === '' || !Object.hasOwn(topicRules, kind)) return undefined;
  return { kind: kind as TopicKind, id, name };
}

/** The value of one key now; undefined: it is gone. */
export function valueOf(grid: Grid, topic: Topic, key: string, now: number, roles: readonly Role[]): unknown {
  switch (topic.kind) {
    case 'station':
      return stationValue(grid, topic.id, key, now, roles);
    case 'tree':
      return treeValue(grid, topic.id, key, now);
    case 'charger': {
      const charger = grid.charger(topic.id);
      return charger && chargerView(grid, charger, now, roles);
    }
    default:
      return topic.kind satisfies never;
  }
}

function stationValue(grid: Grid, id: string, key: string, now: number, roles: readonly Role[]): unknown {
  if (key === 'station') {
    const station = grid.station(id);
    return station && stationView(grid, station, now, roles);
  }
  const slash = key.lastIndexOf('/');
  const charger = grid.charger(key.slice(0, slash));
  return charger?.context.station === id ? connectorView(grid, charger, Number(key.slice(slash + 1)), now) : undefined;
}

function treeValue(grid: Grid, site: string, key: string, now: number): unknown {
  const id = key.slice(key.indexOf(':') + 1);
  if (key.startsWith('site:')) {
    const found = grid.site(id);
    return found && siteNode(grid, found, now);
  }
  if (key.startsWith('station:')) {
    const station = grid.station(id);
    return station?.context.site === site ? stationNode(grid, station, now) : undefined;
  }
  const charger = grid.charger(id);
  return charger?.context.site === site ? chargerNode(charger, now) : undefined;
}

/** All keys of a topic that changed after journal sequence `since` (-1: all). */
export function keysSince(grid: Grid, topic: Topic, since: number): string[] {
  switch (topic.kind) {
    case 'station':
      return stationKeys(grid, topic.id, since);
    case 'tree':
      return treeKeys(grid, topic.id, since);
    case 'charger':
      return ['charger'];
    default:
      return topic.kind satisfies never;
  }
}

function stationKeys(grid: Grid, id: string, since: number): string[] {
  const keys: string[] = [];
  let newest = grid.station(id)?.sequence ?? -1;
  for (const charger of grid.chargersOf(id)) {
    newest = Math.max(newest, charger.sequence);
    charger.context.connectors.forEach((c, i) => {
      const session = c.transaction > 0 ? (grid.session(c.transaction)?.sequence ?? -1) : -1;
      if (Math.max(charger.sequence, session) > since) keys.push(`${charger.id}/${i + 1}`);
    });
  }
  return newest > since ? ['station', ...keys] : keys;
}

function treeKeys(grid: Grid, id: string, since: number): string[] {
  const keys: string[] = [];
  let ofSite = grid.site(id)?.sequence ?? -1;
  for (const station of grid.stationsOf(id)) {
    let ofStation = station.sequence;
    const chargers: string[] = [];
    for (const charger of grid.chargersOf(station.id)) {
      ofStation = Math.max(ofStation, charger.sequence);
      if (charger.sequence > since) chargers.push(`charger:${charger.id}`);
    }
    if (ofStation > since) keys.push(`station:${station.id}`, ...chargers);
    ofSite = Math.max(ofSite, ofStation);
  }
  return ofSite > since ? [`site:${id}`, ...keys] : keys;
}
