/** One charger, live: itself with its connectors, its newest samples, and the commands sent to it. */
import type { DeviceCommandView } from '#actors/schema/device_commands';
import type { Charger, ConnectorSamples } from '#gateway/schema/mod';
import type { Refused } from '../api.ts';
import { live } from './connection.svelte.ts';
import { LiveMap } from './live_map.ts';
import type { LiveClient } from './live.ts';

type Value = Charger | ConnectorSamples | DeviceCommandView;
const samplesKey = (connector: number) => `samples/${connector}`;
const commandKey = 'command:';

export class ChargerFeed {
  readonly #values = new LiveMap<string, Value>();
  #refused: Refused | null = $state.raw(null);
  readonly #unfollow: () => void;

  constructor(charger: string, client: LiveClient = live) {
    this.#unfollow = client.follow(`charger:${charger}`, {
      snapshot: (data) => this.#values.replace(Object.entries(data) as [string, Value][]),
      delta: (set, del) => {
        for (const [key, value] of Object.entries(set)) this.#values.set(key, value as Value);
        for (const key of del) this.#values.delete(key);
      },
      refused: (code, detail) => {
        this.#refused = { ok: false, code, ...(detail === undefined ? {} : { detail }) };
      },
    });
  }

  get refused(): Refused | null {
    return this.#refused;
  }
  /** undefined until the first snapshot. */
  get charger(): Charger | undefined {
    return this.#values.values.get('charger') as Charger | undefined;
  }
  /** undefined: none has come since the server was started. 0 is the main meter of the charger. */
  samples(connector: number): ConnectorSamples | undefined {
    return this.#values.values.get(samplesKey(connector)) as ConnectorSamples | undefined;
  }
  /** In no order. */
  get commands(): DeviceCommandView[] {
    return [...this.#values.values].flatMap(([key, value]) =>
      key.startsWith(commandKey) ? [value as DeviceCommandView] : [],
    );
  }

  close(): void {
    this.#unfollow();
  }
}
