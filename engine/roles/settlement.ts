/**
 * Tells a driver of the clock when all is done: every partition has committed what it asked for, nothing is on its way to another
 * partition, and what went there is committed as well. One process owns all partitions, so one look sees all of it.
 */
import type { NatsConnection, Subscription } from '@nats-io/transport-node';
import type { PartitionOwner } from '../partition/owner.ts';
import { internal } from '../log/mod.ts';
import { packr } from '../wire.ts';

/** How long a question stays open; then the driver asks again. */
const patienceMs = 1_000;
const lookEveryMs = 1;

export class Settlement {
  readonly #owners: () => readonly PartitionOwner[];
  /** Partition → its newest frame of relays. */
  readonly #relayed = new Map<number, number>();
  readonly #questions: Subscription;

  constructor(nc: NatsConnection, owners: () => readonly PartitionOwner[]) {
    this.#owners = owners;
    this.#questions = nc.subscribe(internal.settled, {
      callback: (error, message) => {
        if (error) return;
        const wanted = packr.unpack(message.data) as number[];
        void this.#wait(wanted).then((settled) => message.respond(packr.pack(settled)));
      },
    });
  }

  relayStored(target: number, sequence: number) {
    this.#relayed.set(target, Math.max(sequence, this.#relayed.get(target) ?? 0));
  }

  #isSettled(wanted: readonly number[]): boolean {
    return this.#owners().every((owner, p) => owner.isSettled(Math.max(wanted[p] ?? 0, this.#relayed.get(p) ?? 0)));
  }

  async #wait(wanted: readonly number[]): Promise<boolean> {
    const until = performance.now() + patienceMs;
    while (!this.#isSettled(wanted)) {
      if (performance.now() > until) return false;
      await new Promise((resolve) => setTimeout(resolve, lookEveryMs));
    }
    return true;
  }

  close() {
    this.#questions.unsubscribe();
  }
}
