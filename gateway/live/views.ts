/** Entities as people see them. Pure: the grid, the moment, and the roles of the one who looks. */
import type { ChargerState, ConnectorState, SessionState, SiteState, StationState } from '#actors/schema/entities';
import type { Tier } from '#actors/schema/events';
import { actionsFor } from '../auth/rights.ts';
import type { Charger, Connector, Site, Station } from '../schema/grid.ts';
import type { Health, TreeNode } from '../schema/live.ts';
import type { Role } from '../schema/sign_in.ts';
import type { Grid, GridEntity } from './grid.ts';

/** A slot price lapses 24 s after the start of its slot. */
const priceValidMs = 24_000;
const wMsPerWh = 3_600_000;

/** The whole value needs a right of its own, and that look is audited; screens get this. */
export const maskTag = (tag: string): string => `…${tag.slice(-3)}`;

/** Power in force: after too long a silence the assumed power counts. */
const powerNow = (c: ConnectorState, now: number): number =>
  c.silentFromMs !== null && now >= c.silentFromMs ? c.silentW : c.powerW;

const powerOf = (c: GridEntity<ChargerState>, now: number): number =>
  c.context.connectors.reduce((sum, connector) => sum + powerNow(connector, now), 0);

/** Energy of an open session so far: what its registers gained; of a charger without any, the integral of power. */
function energySoFar(s: SessionState): number {
  if (s.registers === 0) return Math.floor(s.integralWMs / wMsPerWh);
  return s.segmentsWh + (s.registerWh ?? 0) - (s.segmentFromWh ?? 0);
}

export function connectorView(
  grid: Grid,
  charger: GridEntity<ChargerState>,
  connector: number,
  now: number,
): Connector | undefined {
  const c = charger.context.connectors[connector - 1];
  if (c === undefined) return undefined;
  const session = c.transaction > 0 ? grid.session(c.transaction)?.context : undefined;
  return {
    charger: charger.id,
    connector,
    station: charger.context.station,
    online: charger.context.online,
    status: c.status,
    errorCode: c.errorCode,
    statusAt: c.statusAt,
    w: powerNow(c, now),
    at: c.lastSampleAt,
    intervalMs: session?.intervalMs ?? null,
    transaction: c.transaction > 0 ? c.transaction : null,
    tag: session === undefined ? null : maskTag(session.tag),
    startAt: session?.startAt ?? null,
    energyWh: session === undefined ? null : energySoFar(session),
  };
}

export function chargerView(
  grid: Grid,
  charger: GridEntity<ChargerState>,
  now: number,
  roles: readonly Role[],
): Charger {
  const c = charger.context;
  return {
    charger: charger.id,
    site: c.site,
    station: c.station,
    state: charger.value as Charger['state'],
    online: c.online,
    lastHeardAt: c.lastHeardAt > 0 ? c.lastHeardAt : null,
    protocol: c.connection?.protocol ?? null,
    vendor: c.vendor,
    model: c.model,
    firmware: c.firmware,
    ratedW: c.ratedW,
    w: powerOf(charger, now),
    connectors: c.connectors.map((_, i) => connectorView(grid, charger, i + 1, now) as Connector),
    actions: actionsFor('charger', roles),
  };
}

/** Chargers, and the virtual batteries of orders that run. */
const livePower = (grid: Grid, { id, context }: GridEntity<StationState>, now: number): number =>
  grid.chargersOf(id).reduce((sum, charger) => sum + powerOf(charger, now), context.draws.powerW);

export function stationView(
  grid: Grid,
  station: GridEntity<StationState>,
  now: number,
  roles: readonly Role[],
): Station {
  const s = station.context;
  return {
    station: station.id,
    site: s.site,
    name: s.name,
    capacityW: s.capacityW,
    baseE5SekPerKwh: s.baseE5SekPerKwh,
    tier: station.value === 'unpriced' ? null : (station.value as Tier),
    slot: s.slot,
    producedAt: s.producedAt,
    validUntil: s.producedAt === null ? null : s.producedAt + priceValidMs,
    priceE5SekPerKwh: s.priceE5SekPerKwh,
    importOpen: s.importOpen,
    utilisationBp: s.utilisationBp,
    loadW: s.loadW,
    stale: s.stale,
    liveW: livePower(grid, station, now),
    actions: actionsFor('station', roles),
  };
}

export function siteView(grid: Grid, site: GridEntity<SiteState>, now: number, roles: readonly Role[]): Site {
  const s = site.context;
  const stations = grid.stationsOf(site.id);
  return {
    site: site.id,
    name: s.name,
    timeZone: s.timeZone,
    capacityW: s.capacityW,
    slot: s.slot,
    loadW: s.loadW,
    stale: s.stale,
    liveW: stations.reduce((sum, station) => sum + livePower(grid, station, now), 0),
    stations: stations.map(({ id, context }) => ({ station: id, name: context.name, capacityW: context.capacityW })),
    actions: actionsFor('site', roles),
  };
}

// --- the load tree ---------------------------------------------------------------------------------------------------

const order: Health[] = ['ok', 'warn', 'offline', 'fault'];
const amber = ['SuspendedEV', 'SuspendedEVSE', 'Unavailable'];

/** The word a connector is counted under. OCPP 2.0.1 says only `Occupied`: one that draws power in a session charges. */
function stateWord(charger: ChargerState, c: ConnectorState, now: number): string {
  if (!charger.online) return 'Offline';
  if (c.status === 'Occupied' && c.transaction > 0 && powerNow(c, now) > 0) return 'Charging';
  return c.status === '' ? 'Unknown' : c.status;
}

const healthOf = (word: string): Health =>
  word === 'Faulted' ? 'fault' : word === 'Offline' ? 'offline' : amber.includes(word) ? 'warn' : 'ok';

/** The worse of two; of equals the first, so that the worst child does not flicker. */
const worse = (a: Health, b: Health): Health => (order.indexOf(b) > order.indexOf(a) ? b : a);

function gather(children: { key: string; node: Pick<TreeNode, 'counts' | 'health'> }[], own: Health) {
  const counts: Record<string, number> = {};
  let health: Health = 'ok';
  let worst: string | null = null;
  for (const { key, node } of children) {
    for (const [word, n] of Object.entries(node.counts)) counts[word] = (counts[word] ?? 0) + n;
    if (worse(health, node.health) !== health) [health, worst] = [node.health, key];
  }
  return { counts, health: worse(health, own), worst };
}

export function chargerNode(charger: GridEntity<ChargerState>, now: number): TreeNode {
  const c = charger.context;
  const counts: Record<string, number> = {};
  let health: Health = 'ok';
  for (const connector of c.connectors) {
    const word = stateWord(c, connector, now);
    counts[word] = (counts[word] ?? 0) + 1;
    health = worse(health, healthOf(word));
  }
  const liveW = powerOf(charger, now);
  return {
    kind: 'charger',
    id: charger.id,
    name: charger.id,
    parent: `station:${c.station}`,
    loadW: null,
    liveW,
    limitW: c.ratedW,
    utilisationBp: ratioBp(liveW, c.ratedW),
    stale: c.connectors.some((k) => k.silentFromMs !== null && now >= k.silentFromMs),
    counts,
    health,
    worst: null,
  };
}

export function stationNode(grid: Grid, station: GridEntity<StationState>, now: number): TreeNode {
  const s = station.context;
  const children = grid.chargersOf(station.id).map((c) => ({ key: `charger:${c.id}`, node: chargerNode(c, now) }));
  return {
    kind: 'station',
    id: station.id,
    name: s.name,
    parent: `site:${s.site}`,
    loadW: s.loadW,
    liveW: livePower(grid, station, now),
    limitW: s.capacityW,
    utilisationBp: s.utilisationBp,
    stale: s.stale,
    ...gather(children, station.value === 'capped' || station.value === 'triple' ? 'warn' : 'ok'),
  };
}

export function siteNode(grid: Grid, site: GridEntity<SiteState>, now: number): TreeNode {
  const s = site.context;
  const children = grid
    .stationsOf(site.id)
    .map((station) => ({ key: `station:${station.id}`, node: stationNode(grid, station, now) }));
  return {
    kind: 'site',
    id: site.id,
    name: s.name,
    parent: null,
    loadW: s.loadW,
    liveW: children.reduce((sum, { node }) => sum + node.liveW, 0),
    limitW: s.capacityW,
    utilisationBp: s.loadW === null || s.capacityW === null ? null : ratioBp(s.loadW, s.capacityW),
    stale: s.stale,
    ...gather(children, 'ok'),
  };
}

/** Rounded up, like every utilisation. */
const ratioBp = (w: number, limitW: number): number => Math.ceil((w * 10_000) / limitW);
