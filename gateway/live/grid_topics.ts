/** The topics `tree:<site>`, `station:<id>` and `charger:<id>`: their keys, and the values of them, out of the grid. */
import type { LiveEvent } from '../schema/live.ts';
import { may } from '../auth/rights.ts';
import { deviceCommandView, liveCommandsMax } from './device_commands.ts';
import type { Grid, GridTopic } from './grid.ts';
import type { Position, Topic, TopicListener, TopicSource, Viewer } from './source.ts';
import { chargerNode, chargerView, connectorView, siteNode, stationNode, stationView } from './views.ts';

type GridTopicName = Topic & { kind: GridTopic };
const commandKey = (command: string) => `command:${command}`;
const samplesKey = (connector: number) => `samples/${connector}`;

export class GridTopics implements TopicSource {
  readonly #grid: Grid;

  constructor(grid: Grid) {
    this.#grid = grid;
  }

  /** A site's journal partition is that of everything in it. */
  position(topic: Topic): Position | undefined {
    const site = this.#grid.siteOf(gridTopic(topic).kind, topic.id);
    return site === undefined ? undefined : this.#grid.positionOf(site);
  }

  keysSince(topic: Topic, sequence: number): string[] | undefined {
    const { kind, id } = gridTopic(topic);
    if (sequence >= 0 && !this.#canResume(topic, sequence)) return undefined;
    switch (kind) {
      case 'station':
        return stationKeys(this.#grid, id, sequence);
      case 'tree':
        return treeKeys(this.#grid, id, sequence);
      case 'charger':
        return [
          'charger',
          ...this.#grid.samples.since(id, sequence).map(samplesKey),
          ...commandKeys(this.#grid, id, sequence),
        ];
      default:
        return kind satisfies never;
    }
  }

  eventsSince(topic: Topic, sequence: number): { event: LiveEvent; sequence: number }[] | undefined {
    if (!this.#canResume(topic, sequence)) return undefined;
    if (topic.kind !== 'station') return [];
    return this.#grid.prices
      .since(topic.id, sequence)
      ?.map(({ price, sequence }) => ({ event: { kind: 'price', price }, sequence }));
  }

  valueOf(topic: Topic, key: string, now: number, { roles }: Viewer): unknown {
    const { kind, id } = gridTopic(topic);
    const grid = this.#grid;
    switch (kind) {
      case 'station': {
        if (key !== 'station') return connectorOf(grid, id, key, now);
        const station = grid.station(id);
        return station && stationView(grid, station, now, roles);
      }
      case 'tree':
        return nodeOf(grid, id, key, now, may(roles, 'view_charger'));
      case 'charger': {
        if (key.startsWith(commandKey(''))) {
          const command = grid.command(key.slice(commandKey('').length));
          return command?.context.charger === id ? deviceCommandView(command) : undefined;
        }
        if (key !== 'charger') return grid.samples.of(id, Number(key.slice(samplesKey(0).length - 1)));
        const charger = grid.charger(id);
        return charger && chargerView(grid, charger, now, roles);
      }
      default:
        return kind satisfies never;
    }
  }

  listen(listener: TopicListener): () => void {
    return this.#grid.listen({
      touched: (touches) => listener.touched(touches),
      price: (price, at) => listener.event('station', price.station, { kind: 'price', price }, at.sequence),
    });
  }

  #canResume(topic: Topic, sequence: number): boolean {
    const at = this.position(topic);
    const { kind, id } = gridTopic(topic);
    return at !== undefined && this.#grid.canResume(kind, id, { ...at, sequence });
  }
}

function gridTopic(topic: Topic): GridTopicName {
  const { kind } = topic;
  if (kind !== 'tree' && kind !== 'station' && kind !== 'charger') throw new Error(`${topic.name} is none of the grid`);
  return { ...topic, kind };
}

function connectorOf(grid: Grid, station: string, key: string, now: number): unknown {
  const slash = key.lastIndexOf('/');
  const charger = grid.charger(key.slice(0, slash));
  if (charger?.context.station !== station) return undefined;
  return connectorView(grid, charger, Number(key.slice(slash + 1)), now);
}

function nodeOf(grid: Grid, site: string, key: string, now: number, chargers: boolean): unknown {
  const id = key.slice(key.indexOf(':') + 1);
  if (key.startsWith('site:')) {
    const found = grid.site(id);
    return found && siteNode(grid, found, now);
  }
  if (key.startsWith('station:')) {
    const station = grid.station(id);
    if (station?.context.site !== site) return undefined;
    const node = stationNode(grid, station, now);
    // Which of its chargers is the worst would name one.
    return chargers ? node : { ...node, worst: null };
  }
  const charger = grid.charger(id);
  return charger?.context.site === site ? chargerNode(charger, now) : undefined;
}

const commandKeys = (grid: Grid, charger: string, since: number): string[] =>
  grid
    .commandsOf(charger)
    .slice(0, liveCommandsMax)
    .filter(({ sequence }) => sequence > since)
    .map(({ id }) => commandKey(id));

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
