/**
 * Waits until all partitions are settled, whichever engines own them: each engine reports its own at a moment of its own.
 *
 * E1 All is done when every partition had committed what was asked for and all that any engine has ever sent to it, with
 *    nothing on its way out. The moments differ, but what a partition might have done after its report would need a cause:
 *    a relay sent before its sender's report, which stands in it, or one that was caused in the same way.
 * E2 Whoever took a partition over does not know what its predecessor had sent. After each change of an owner the logs
 *    themselves are asked for their ends: what was sent stands before them.
 */
import type { NatsConnection } from '@nats-io/transport-node';
import { packr } from '../wire.ts';
import { commandBounds } from './journal.ts';
import { internal, newInbox } from './subjects.ts';

/** What an engine says of its partitions when all is done in them. */
export interface SettledReport {
  partitions: [partition: number, epoch: number, offset: number][];
  /** Newest message of relays that it has put into the command log of a partition, anybody's. */
  relayed: [partition: number, sequence: number][];
}

/** Engines say nothing when it takes them longer than 1 s. */
const answersMs = 1_500;
const noResponders = 503;

export class Settling {
  readonly #nc: NatsConnection;
  readonly #partitions: number;
  readonly #inbox = `${newInbox()}.`;
  readonly #subscription: { unsubscribe(): void };
  /** Of each partition the epoch whose relays are all known; 0 = nobody's. */
  readonly #epochs: number[];
  #asked = 0;
  #onAnswer: (report: SettledReport | null) => void = () => {};

  constructor(nc: NatsConnection, partitions: number) {
    this.#nc = nc;
    this.#partitions = partitions;
    this.#epochs = Array.from({ length: partitions }, () => 0);
    this.#subscription = nc.subscribe(`${this.#inbox}*`, {
      callback: (error, message) => {
        // What comes late answers an older question.
        if (error || message.subject !== this.#inbox + this.#asked) return;
        const nobody = message.headers?.code === noResponders;
        this.#onAnswer(nobody ? null : (packr.unpack(message.data) as SettledReport));
      },
    });
  }

  /** Resolves when the logs are decided up to `sequences` and nothing is under way. @throws when that takes long: ask again */
  async to(sequences: readonly number[]): Promise<void> {
    let wanted = [...sequences];
    for (;;) {
      const { epochs, offsets, relayed } = await this.#ask(wanted);
      wanted = wanted.map((sequence, p) => Math.max(sequence, relayed[p]!));
      if (epochs.some((epoch, p) => epoch !== this.#epochs[p])) {
        const ends = await Promise.all(wanted.map(async (_, p) => (await commandBounds(this.#nc, p)).last));
        wanted = wanted.map((sequence, p) => Math.max(sequence, ends[p]!));
        this.#epochs.splice(0, epochs.length, ...epochs);
      } else if (offsets.every((offset, p) => offset >= wanted[p]!)) return;
    }
  }

  close() {
    this.#subscription.unsubscribe();
  }

  /** One question to all engines; resolves when each partition's owner has answered. */
  #ask(wanted: readonly number[]) {
    const epochs = this.#epochs.map(() => 0);
    const offsets = this.#epochs.map(() => 0);
    const relayed = this.#epochs.map(() => 0);
    const answered = new Set<number>();
    const reply = this.#inbox + ++this.#asked;
    return new Promise<{ epochs: number[]; offsets: number[]; relayed: number[] }>((resolve, reject) => {
      const overdue = setTimeout(() => reject(new Error('not settled yet')), answersMs);
      this.#onAnswer = (report) => {
        if (report === null) {
          clearTimeout(overdue);
          return reject(new Error('no engine answers'));
        }
        for (const [p, sequence] of report.relayed) relayed[p] = Math.max(relayed[p]!, sequence);
        for (const [p, epoch, offset] of report.partitions) {
          // An engine that has lost it, and does not know yet, has nothing to say.
          if (epoch < Math.max(this.#epochs[p]!, epochs[p]!)) continue;
          epochs[p] = epoch;
          offsets[p] = offset;
          answered.add(p);
        }
        if (answered.size < this.#partitions) return;
        clearTimeout(overdue);
        resolve({ epochs, offsets, relayed });
      };
      this.#nc.publish(internal.settled, packr.pack(wanted), { reply });
    });
  }
}
