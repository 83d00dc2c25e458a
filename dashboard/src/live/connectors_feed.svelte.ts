/**
 * The connectors of several stations, live, as one list. The order follows names alone and is made anew only when one
 * comes or goes, so that a list of hundreds costs nothing while values move.
 */
import type { Connector } from '#gateway/schema/mod';
import type { Refused } from '../api.ts';
import { live } from './connection.svelte.ts';
import { LiveMap } from './live_map.ts';
import type { LiveClient } from './live.ts';

/** Of the 64 topics that a socket may follow; the trees of the sites and the rest of the page need theirs. */
export const stationsMax = 40;

/* eslint-disable svelte/prefer-svelte-reactivity -- what the page reads are the values; these say where they came from */
interface Topic {
  stop: () => void;
  /** Its connectors, by the key in the list. */
  keys: Set<string>;
  ready: boolean;
}

export class ConnectorsFeed {
  readonly #client: LiveClient;
  readonly #values = new LiveMap<string, Connector>();
  readonly #topics = new Map<string, Topic>();
  #order: string[] | null = null;
  #ready = $state(false);
  #refused: Refused | null = $state.raw(null);

  constructor(client: LiveClient = live) {
    this.#client = client;
  }

  /** Whether every station has told what it has. */
  get ready(): boolean {
    return this.#ready;
  }
  get refused(): Refused | null {
    return this.#refused;
  }
  /** By charger, then connector: CP-2 before CP-10. */
  get list(): Connector[] {
    const { values } = this.#values;
    this.#order ??= [...values.entries()]
      .sort(([, a], [, b]) => collator.compare(a.charger, b.charger) || a.connector - b.connector)
      .map(([key]) => key);
    return this.#order.flatMap((key) => values.get(key) ?? []);
  }

  /** Follows these stations and no others. */
  want(stations: readonly string[]): void {
    for (const [station, topic] of [...this.#topics]) if (!stations.includes(station)) this.#drop(station, topic);
    for (const station of stations) if (!this.#topics.has(station)) this.#follow(station);
    this.#look();
  }

  #follow(station: string): void {
    const topic: Topic = { stop: () => {}, keys: new Set(), ready: false };
    this.#topics.set(station, topic);
    topic.stop = this.#client.follow(`station:${station}`, {
      snapshot: (data) => {
        for (const key of topic.keys) if (!(key in data)) this.#remove(topic, station, key);
        this.#put(topic, data);
        topic.ready = true;
        this.#look();
      },
      delta: (set, del) => {
        this.#put(topic, set);
        for (const key of del) this.#remove(topic, station, key);
      },
      refused: (code, detail) => {
        this.#refused = { ok: false, code, ...(detail === undefined ? {} : { detail }) };
      },
    });
  }

  #put(topic: Topic, set: Record<string, unknown>): void {
    for (const [key, value] of Object.entries(set)) {
      if (key === 'station') continue;
      if (!topic.keys.has(key)) this.#order = null;
      topic.keys.add(key);
      this.#values.set(key, value as Connector);
    }
  }

  /** A charger that moved to another station is there already, or will be. */
  #remove(topic: Topic, station: string, key: string): void {
    topic.keys.delete(key);
    if (this.#values.values.get(key)?.station !== station) return;
    this.#values.delete(key);
    this.#order = null;
  }

  #drop(station: string, topic: Topic): void {
    topic.stop();
    this.#topics.delete(station);
    for (const key of [...topic.keys]) this.#remove(topic, station, key);
  }

  #look(): void {
    this.#ready = [...this.#topics.values()].every(({ ready }) => ready);
  }

  close(): void {
    this.want([]);
  }
}

const collator = new Intl.Collator('en', { numeric: true });
