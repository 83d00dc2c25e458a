/** Hears the commit positions that engines say four times a second: whether every partition is served, and in time. */
import type { NatsConnection } from '@nats-io/transport-node';
import { anyCommits, type CommitPositions } from '#engine/log/mod';
import { packr } from '#engine/wire';

const silenceMsMax = 3_000;
const lagMsMax = 2_000;

export class EngineWatch {
  readonly #heard: ({ atMs: number; lagMs: number; epoch: number } | null)[];
  readonly #subscription: { unsubscribe(): void };
  readonly #clock: () => number;

  constructor(nats: NatsConnection, partitions: number, clock: () => number = () => performance.now()) {
    this.#heard = Array.from({ length: partitions }, () => null);
    this.#clock = clock;
    this.#subscription = nats.subscribe(anyCommits, {
      callback: (error, message) => {
        if (error) return;
        try {
          this.#take(packr.unpack(message.data) as CommitPositions);
        } catch {
          // Not a position message; the next one comes in 250 ms.
        }
      },
    });
  }

  #take({ partitions }: CommitPositions): void {
    for (const [p, , , lagMs, epoch = 0] of partitions) {
      // An engine that has lost a partition and does not know it yet serves nobody.
      if (p in this.#heard && epoch >= (this.#heard[p]?.epoch ?? 0))
        this.#heard[p] = { atMs: this.#clock(), lagMs, epoch };
    }
  }

  /** Each partition: whether an engine has spoken for it lately, and how far it was behind the log; null: never heard. */
  partitions(): { partition: number; served: boolean; lagMs: number | null }[] {
    const now = this.#clock();
    return this.#heard.map((h, partition) => ({
      partition,
      served: h !== null && now - h.atMs <= silenceMsMax,
      lagMs: h === null ? null : Math.round(h.lagMs),
    }));
  }

  /** Rejects with the partitions that are not served, or are more than 2 s behind. */
  async check(): Promise<void> {
    const now = this.#clock();
    const silent = this.#heard.flatMap((h, p) => (h === null || now - h.atMs > silenceMsMax ? [p] : []));
    if (silent.length > 0) throw new Error(`no engine is heard for partitions ${silent.join(', ')}`);
    const late = this.#heard.flatMap((h, p) => (h !== null && h.lagMs >= lagMsMax ? [p] : []));
    if (late.length > 0) throw new Error(`partitions ${late.join(', ')} are ${lagMsMax} ms or more behind`);
  }

  close(): void {
    this.#subscription.unsubscribe();
  }
}
