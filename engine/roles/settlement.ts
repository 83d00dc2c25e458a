/**
 * Tells a driver of the clock when all is done in the partitions of this engine: they have committed what it asked for, nothing
 * is on its way out of them, what they sent to each other is committed as well, and chargers have answered what was asked of
 * them. What they sent to partitions of other engines stands in the answer: the driver waits for that (`../log/settling.ts`).
 */
import type { NatsConnection, Subscription } from '@nats-io/transport-node';
import type { Index } from '#actors/actor';
import type { PartitionOwner } from '../partition/owner.ts';
import { internal, type SettledReport } from '../log/mod.ts';
import { packr } from '../wire.ts';

/** How long a question stays open; then the driver asks again. */
const patienceMs = 1_000;
const lookEveryMs = 1;
/** A charger may never answer, and it is the clock that gives up on it: nobody is waited for longer than this. */
const outsideMsMost = 3_000;

type Owner = Pick<PartitionOwner, 'isSettled' | 'epoch' | 'committed'> & { state: { index: Pick<Index, 'awaited'> } };

export class Settlement {
  readonly #owned: () => ReadonlyMap<number, Owner>;
  readonly #outsideMsMost: number;
  /** Since when the world outside is waited for, by the machine's clock. */
  #awaitedSince: number | null = null;
  /** Partition → its newest frame of relays from here. */
  readonly #relayed = new Map<number, number>();
  readonly #questions: Subscription;
  #closed = false;

  /** `mostMs` is for tests. */
  constructor(nc: NatsConnection, owned: () => ReadonlyMap<number, Owner>, mostMs = outsideMsMost) {
    this.#owned = owned;
    this.#outsideMsMost = mostMs;
    this.#questions = nc.subscribe(internal.settled, {
      callback: (error, message) => {
        if (error) return;
        const wanted = packr.unpack(message.data) as number[];
        void this.#wait(wanted).then((report) => {
          if (report && !nc.isClosed()) message.respond(packr.pack(report));
        });
      },
    });
  }

  relayStored(target: number, sequence: number) {
    this.#relayed.set(target, Math.max(sequence, this.#relayed.get(target) ?? 0));
  }

  /** What is so at this moment; null while anything is under way. */
  #report(wanted: readonly number[]): SettledReport | null {
    const owned = this.#owned();
    for (const [p, owner] of owned)
      if (!owner.isSettled(Math.max(wanted[p] ?? 0, this.#relayed.get(p) ?? 0))) return null;
    if (this.#awaits(owned)) return null;
    return {
      partitions: [...owned].map(([p, owner]) => [p, owner.epoch, owner.committed.offset]),
      relayed: [...this.#relayed],
    };
  }

  #awaits(owned: ReadonlyMap<number, Owner>): boolean {
    const awaited = [...owned.values()].some(({ state }) => (state.index.awaited ?? 0) > 0);
    if (!awaited) this.#awaitedSince = null;
    else this.#awaitedSince ??= performance.now();
    return this.#awaitedSince !== null && performance.now() - this.#awaitedSince < this.#outsideMsMost;
  }

  /** The report, or null when it takes too long: then the driver asks again. */
  async #wait(wanted: readonly number[]): Promise<SettledReport | null> {
    const until = performance.now() + patienceMs;
    for (;;) {
      const report = this.#report(wanted);
      if (report || this.#closed || performance.now() > until) return report;
      await new Promise((resolve) => setTimeout(resolve, lookEveryMs));
    }
  }

  close() {
    this.#closed = true;
    this.#questions.unsubscribe();
  }
}
