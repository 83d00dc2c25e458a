/**
 * The load tree over the live entities: which chargers belong to which station and site, and which keys of which topics
 * a change touches. Values are computed from the entities when they are asked for, never stored twice.
 */
import type { DeviceCommandState } from '#actors/schema/device_commands';
import type { ChargerState, SessionState, SiteState, StationState } from '#actors/schema/entities';
import type { PublicEvent, Price } from '#actors/schema/events';
import { partitionOf } from '#actors/partition_key';
import { Children } from './children.ts';
import { byRequest } from './device_commands.ts';
import { PriceTail } from './price_tail.ts';
import { LatestSamples } from './samples.ts';
import type { JournalPosition } from './source.ts';

/** Kinds of entities the screens live from. */
export const gridKinds = ['site', 'station', 'charger', 'session', 'device_command', 'customer'] as const;

export interface GridEntity<C> {
  kind: string;
  id: string;
  value: string | null;
  context: C;
  partition: number;
  sequence: number;
}
export interface GridChange {
  kind: string;
  id: string;
  before: GridEntity<unknown> | undefined;
  after: GridEntity<unknown> | undefined;
  at: JournalPosition;
  /** The log's clock, unix ms. */
  now: number;
}

/** What the screens need of the replica of live state. */
export interface GridReplica {
  readonly ready: boolean;
  get<C>(kind: string, id: string): GridEntity<C> | undefined;
  all<C>(kind: string): Iterable<GridEntity<C>>;
  /** In journal order. */
  onChange(listener: (change: GridChange) => void): () => void;
  onEvents(listener: (events: PublicEvent[], at: JournalPosition) => void): () => void;
  /** Sequence of the last record applied. */
  position(partition: number): number;
}

export type GridTopic = 'tree' | 'station' | 'charger';
/** `keys` of the topic have new values, or are gone. */
interface Touch {
  kind: GridTopic;
  id: string;
  keys: string[];
}
export interface GridListener {
  touched(touches: Touch[]): void;
  price(price: Price, at: JournalPosition): void;
}

const connectorKeys = (charger: string, count: number) =>
  Array.from({ length: count }, (_, i) => `${charger}/${i + 1}`);

export class Grid {
  readonly replica: GridReplica;
  readonly partitions: number;
  readonly prices = new PriceTail();
  readonly samples = new LatestSamples();
  readonly #chargersOfStation = new Children();
  readonly #stationsOfSite = new Children();
  readonly #commandsOfCharger = new Children();
  /** By partition: older cursors cannot be resumed, because deletions and events before it are not known. */
  #floor: number[] | null = null;
  /** By `<topic>:<id>`: when something left it last. */
  readonly #removedAt = new Map<string, number>();
  readonly #listeners = new Set<GridListener>();
  readonly #stops: (() => void)[];

  constructor(replica: GridReplica, partitions: number) {
    this.replica = replica;
    this.partitions = partitions;
    this.#stops = [
      replica.onChange((change) => this.#changed(change)),
      replica.onEvents((events, at) => this.#events(events, at)),
    ];
  }

  /** Whether the replica holds everything; nothing else here may be asked before. */
  get ready(): boolean {
    if (this.#floor === null && this.replica.ready) this.#build();
    return this.replica.ready;
  }

  /** What the replica loaded came without changes, so the tree is gathered once when it is complete. */
  #build(): void {
    this.#floor = Array.from({ length: this.partitions }, (_, p) => this.replica.position(p));
    for (const station of this.replica.all<StationState>('station'))
      this.#stationsOfSite.add(station.context.site, station.id);
    for (const charger of this.replica.all<ChargerState>('charger'))
      this.#chargersOfStation.add(charger.context.station, charger.id);
    for (const command of this.replica.all<DeviceCommandState>('device_command'))
      this.#commandsOfCharger.add(command.context.charger, command.id);
  }

  close(): void {
    for (const stop of this.#stops) stop();
  }

  listen(listener: GridListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  site = (id: string) => this.replica.get<SiteState>('site', id);
  station = (id: string) => this.replica.get<StationState>('station', id);
  charger = (id: string) => this.replica.get<ChargerState>('charger', id);
  session = (transaction: number) => this.replica.get<SessionState>('session', String(transaction));

  sites(): GridEntity<SiteState>[] {
    return [...this.replica.all<SiteState>('site')].sort(byId);
  }
  stationsOf(site: string): GridEntity<StationState>[] {
    return present(this.#stationsOfSite.of(site), this.station);
  }
  chargersOf(station: string): GridEntity<ChargerState>[] {
    return present(this.#chargersOfStation.of(station), this.charger);
  }

  command = (id: string) => this.replica.get<DeviceCommandState>('device_command', id);
  /** All that are kept of a charger, newest first. */
  commandsOf(charger: string): GridEntity<DeviceCommandState>[] {
    return present(this.#commandsOfCharger.of(charger), this.command).sort(byRequest);
  }

  /** The site that a topic belongs to, which decides its partition; undefined: there is no such thing. */
  siteOf(topic: GridTopic, id: string): string | undefined {
    switch (topic) {
      case 'tree':
        return this.site(id)?.id;
      case 'station':
        return this.station(id)?.context.site;
      case 'charger':
        return this.charger(id)?.context.site;
      default:
        return topic satisfies never;
    }
  }

  positionOf(site: string): JournalPosition {
    const partition = partitionOf(site, this.partitions);
    return { partition, sequence: this.replica.position(partition) };
  }

  /** Whether all that changed in the topic after `sequence` is known. */
  canResume(topic: GridTopic, id: string, { partition, sequence }: JournalPosition): boolean {
    return (
      sequence >= (this.#floor?.[partition] ?? Infinity) &&
      sequence <= this.replica.position(partition) &&
      sequence >= (this.#removedAt.get(`${topic}:${id}`) ?? 0)
    );
  }

  #changed({ kind, id, before, after, at, now }: GridChange): void {
    if (this.#floor === null) return;
    const touches: Touch[] = [];
    switch (kind) {
      case 'site':
        touches.push({ kind: 'tree', id, keys: [`site:${id}`] });
        break;
      case 'station':
        this.#stationChanged(
          id,
          before?.context as StationState | undefined,
          after?.context as StationState | undefined,
          { ...at, now },
          touches,
        );
        break;
      case 'charger':
        this.#chargerChanged(
          id,
          before?.context as ChargerState | undefined,
          after?.context as ChargerState | undefined,
          at,
          touches,
        );
        break;
      case 'device_command': {
        const { charger } = (after ?? before)?.context as DeviceCommandState;
        if (after) this.#commandsOfCharger.add(charger, id);
        else {
          this.#commandsOfCharger.remove(charger, id);
          this.#removedAt.set(`charger:${charger}`, at.sequence);
        }
        touches.push({ kind: 'charger', id: charger, keys: [`command:${id}`] });
        break;
      }
      case 'session': {
        const { station, charger, connector } = (after ?? before)?.context as SessionState;
        touches.push({ kind: 'station', id: station, keys: [`${charger}/${connector}`] });
        touches.push({ kind: 'charger', id: charger, keys: ['charger'] });
        break;
      }
      default:
        return;
    }
    for (const listener of this.#listeners) listener.touched(touches);
  }

  #stationChanged(
    id: string,
    before: StationState | undefined,
    after: StationState | undefined,
    at: JournalPosition & { now: number },
    touches: Touch[],
  ): void {
    if (before !== undefined && before.site !== after?.site) {
      this.#stationsOfSite.remove(before.site, id);
      this.#removedAt.set(`tree:${before.site}`, at.sequence);
      touches.push({ kind: 'tree', id: before.site, keys: [`station:${id}`, `site:${before.site}`] });
    }
    if (after === undefined) return;
    this.#stationsOfSite.add(after.site, id);
    // A silent meter's assumed power comes into force by the clock, not by a change: the slot's change shows it.
    const silent = this.chargersOf(id).flatMap((c) =>
      c.context.connectors.flatMap((k, i) =>
        k.silentFromMs !== null && k.silentFromMs <= at.now ? [`${c.id}/${i + 1}`] : [],
      ),
    );
    touches.push({ kind: 'station', id, keys: ['station', ...silent] });
    touches.push({ kind: 'tree', id: after.site, keys: [`station:${id}`, `site:${after.site}`] });
  }

  #chargerChanged(
    id: string,
    before: ChargerState | undefined,
    after: ChargerState | undefined,
    at: JournalPosition,
    touches: Touch[],
  ): void {
    const above = (c: ChargerState) => [`charger:${id}`, `station:${c.station}`, `site:${c.site}`];
    if (
      before !== undefined &&
      (before.station !== after?.station || before.connectors.length > after.connectors.length)
    ) {
      if (before.station !== after?.station) this.#chargersOfStation.remove(before.station, id);
      this.#removedAt.set(`station:${before.station}`, at.sequence);
      this.#removedAt.set(`tree:${before.site}`, at.sequence);
      touches.push({
        kind: 'station',
        id: before.station,
        keys: ['station', ...connectorKeys(id, before.connectors.length)],
      });
      touches.push({ kind: 'tree', id: before.site, keys: above(before) });
    }
    touches.push({ kind: 'charger', id, keys: ['charger'] });
    if (after === undefined) return this.samples.forget(id);
    this.#chargersOfStation.add(after.station, id);
    touches.push({
      kind: 'station',
      id: after.station,
      keys: ['station', ...connectorKeys(id, after.connectors.length)],
    });
    touches.push({ kind: 'tree', id: after.site, keys: above(after) });
  }

  #events(events: PublicEvent[], at: JournalPosition): void {
    for (const { kind, payload } of events) {
      if (kind === 'price') {
        this.prices.push(payload, at.sequence);
        for (const listener of this.#listeners) listener.price(payload, at);
      } else if (kind === 'meter') {
        const { charger: id, connector } = payload;
        this.samples.take(payload, at.sequence);
        for (const listener of this.#listeners)
          listener.touched([{ kind: 'charger', id, keys: [`samples/${connector}`] }]);
      }
    }
  }
}

const byId = (a: { id: string }, b: { id: string }) => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0);

function present<C>(ids: readonly string[], get: (id: string) => GridEntity<C> | undefined): GridEntity<C>[] {
  const found: GridEntity<C>[] = [];
  for (const id of ids) {
    const entity = get(id);
    if (entity !== undefined) found.push(entity);
  }
  return found;
}
