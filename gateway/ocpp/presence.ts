/**
 * Tells the partitions that hold our chargers that this gateway lives: a time without it counts as the loss of all its
 * sockets, so that a killed gateway needs nobody to say goodbye.
 */
import { partitionOf } from '#actors/partition_key';
import type { Door, Log } from './door.ts';

export class Presence {
  readonly #door: Door;
  readonly #gatewayId: string;
  readonly #log: Log;
  readonly #holdsMs: number;
  /** Connections per partition. */
  readonly #served = new Map<number, number>();
  /** Partitions whose last message the log has not taken yet: they get no second one. */
  readonly #underway = new Set<number>();

  constructor(door: Door, gatewayId: string, log: Log, holdsMs: number) {
    this.#holdsMs = holdsMs;
    this.#door = door;
    this.#gatewayId = gatewayId;
    this.#log = log;
  }

  entered(site: string): void {
    const partition = partitionOf(site, this.#door.partitions);
    this.#served.set(partition, (this.#served.get(partition) ?? 0) + 1);
  }

  left(site: string): void {
    const partition = partitionOf(site, this.#door.partitions);
    const left = (this.#served.get(partition) ?? 1) - 1;
    if (left > 0) this.#served.set(partition, left);
    else this.#served.delete(partition);
  }

  announce(acknowledged: () => void): void {
    for (const partition of this.#served.keys()) {
      if (this.#underway.has(partition)) continue;
      this.#underway.add(partition);
      const body = { gateway: this.#gatewayId, holdsMs: this.#holdsMs };
      const to = { kind: 'gateway', key: `@${partition}`, id: this.#gatewayId };
      this.#door
        .append({ id: null, to, type: 'gateway.alive', body, fact: true })
        .then(acknowledged, (error: unknown) => this.#log.warn({ partition, error }, 'presence not announced'))
        .finally(() => this.#underway.delete(partition));
    }
  }
}
