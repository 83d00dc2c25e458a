/** The topic `health`: how the partitions, the stores and the screens of this process are. Measured only while somebody looks. */
import { randomInt } from 'node:crypto';
import type { PartitionHealth, ScreensHealth, StoreHealth } from '../schema/live.ts';
import type { Position, Topic, TopicListener, TopicSource } from './source.ts';

const measureEveryMs = 1_000;
const probeEveryMs = 5_000;
const probeTimeoutMs = 3_000;

export interface HealthDeps {
  partitions(): PartitionHealth[];
  screens(): ScreensHealth;
  /** By name of the store; each rejects with the reason when it does not answer. */
  probes: Readonly<Record<string, () => Promise<void>>>;
}

export class HealthTopics implements TopicSource {
  readonly #deps: HealthDeps;
  readonly #listeners = new Set<TopicListener>();
  readonly #values = new Map<string, { value: object; sequence: number }>();
  readonly #partition = randomInt(2 ** 16, 2 ** 47);
  #sequence = 0;
  #timers: NodeJS.Timeout[] = [];

  constructor(deps: HealthDeps) {
    this.#deps = deps;
  }

  listen(listener: TopicListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** There is one health, and it has no further name. */
  position({ id }: Topic): Position | undefined {
    return id === '' ? { partition: this.#partition, sequence: this.#sequence } : undefined;
  }

  keysSince(_topic: Topic, sequence: number): string[] {
    return [...this.#values].flatMap(([key, entry]) => (entry.sequence > sequence ? [key] : []));
  }

  eventsSince(): [] {
    return [];
  }

  valueOf(_topic: Topic, key: string): object | undefined {
    return this.#values.get(key)?.value;
  }

  watched(_topic: Topic, by: boolean): void {
    for (const timer of this.#timers) clearInterval(timer);
    this.#timers = [];
    if (!by) return;
    this.#timers = [
      setInterval(() => this.#measure(), measureEveryMs),
      setInterval(() => void this.#probe(), probeEveryMs),
    ];
    this.#measure();
    void this.#probe();
  }

  close(): void {
    for (const timer of this.#timers) clearInterval(timer);
  }

  #measure(): void {
    this.#take([
      ...this.#deps.partitions().map((health) => [`partition:${health.partition}`, health] as const),
      ['screens', this.#deps.screens()],
    ]);
  }

  async #probe(): Promise<void> {
    const probes = Object.entries(this.#deps.probes);
    const found = await Promise.all(
      probes.map(async ([name, probe]) => [`store:${name}`, await outcome(probe)] as const),
    );
    this.#take(found);
  }

  #take(measured: readonly (readonly [string, object])[]): void {
    const keys: string[] = [];
    for (const [key, value] of measured) {
      if (JSON.stringify(this.#values.get(key)?.value) === JSON.stringify(value)) continue;
      this.#values.set(key, { value, sequence: ++this.#sequence });
      keys.push(key);
    }
    if (keys.length === 0) return;
    for (const listener of this.#listeners) listener.touched([{ kind: 'health', id: '', keys }]);
  }
}

async function outcome(probe: () => Promise<void>): Promise<StoreHealth> {
  let timer: NodeJS.Timeout | undefined;
  try {
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`no answer in ${probeTimeoutMs} ms`)), probeTimeoutMs);
    });
    await Promise.race([probe(), late]);
    return { ok: true, checkedAt: Date.now() };
  } catch (error) {
    return { ok: false, reason: error instanceof Error ? error.message : String(error), checkedAt: Date.now() };
  } finally {
    clearTimeout(timer);
  }
}
