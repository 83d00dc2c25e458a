/**
 * Tells a driver of the clock when all is done: every partition has committed what it asked for, nothing is on its way to another
 * partition, what went there is committed as well, and chargers have answered what was asked of them. One process owns all
 * partitions, so one look sees all of it.
 */
import type { NatsConnection, Subscription } from '@nats-io/transport-node';
import type { Index } from '#actors/actor';
import type { PartitionOwner } from '../partition/owner.ts';
import { internal } from '../log/mod.ts';
import { packr } from '../wire.ts';

/** How long a question stays open; then the driver asks again. */
const patienceMs = 1_000;
const lookEveryMs = 1;
/** A charger may never answer, and it is the clock that gives up on it: nobody is waited for longer than this. */
const outsideMsMost = 3_000;

type Owner = Pick<PartitionOwner, 'isSettled'> & { state: { index: Pick<Index, 'awaited'> } };

export class Settlement {
  readonly #owners: () => readonly Owner[];
  readonly #outsideMsMost: number;
  /** Since when the world outside is waited for, by the machine's clock. */
  #awaitedSince: number | null = null;
  /** Partition → its newest frame of relays. */
  readonly #relayed = new Map<number, number>();
  readonly #questions: Subscription;

  /** `mostMs` is for tests. */
  constructor(nc: NatsConnection, owners: () => readonly Owner[], mostMs = outsideMsMost) {
    this.#owners = owners;
    this.#outsideMsMost = mostMs;
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
    const owners = this.#owners();
    const decided = owners.every((owner, p) => owner.isSettled(Math.max(wanted[p] ?? 0, this.#relayed.get(p) ?? 0)));
    return decided && !this.#awaits(owners);
  }

  #awaits(owners: readonly Owner[]): boolean {
    const awaited = owners.some(({ state }) => (state.index.awaited ?? 0) > 0);
    if (!awaited) this.#awaitedSince = null;
    else this.#awaitedSince ??= performance.now();
    return this.#awaitedSince !== null && performance.now() - this.#awaitedSince < this.#outsideMsMost;
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
