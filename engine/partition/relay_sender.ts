/**
 * Carries committed relays to the logs of other partitions: per target in order, frames of up to 64 commands, one in
 * flight, resent until stored. The receiver's watermark drops what comes twice, so a restart may send all again.
 */
import { failpoint } from '../failpoint.ts';
import { encodeFrame, type CommandEnvelope } from '../wire.ts';
import { relayWriter } from './state.ts';

const frameCommandsMax = 64;
const retryMsMax = 2_000;

interface Waiting {
  seq: number;
  command: CommandEnvelope;
}

export class RelaySender {
  #partition: number;
  #append: (target: number, bytes: Uint8Array) => Promise<void>;
  #onStored: (target: number, seq: number) => void;
  #waiting = new Map<number, Waiting[]>();
  #busy = new Set<number>();
  #stopped = false;
  #delay: (ms: number) => Promise<void>;
  #time: () => number | undefined;

  /** `time`: what the sender's clock shows, where it is driven. */
  constructor(
    partition: number,
    append: (target: number, bytes: Uint8Array) => Promise<void>,
    onStored: (target: number, seq: number) => void,
    delay: (ms: number) => Promise<void>,
    time: () => number | undefined,
  ) {
    this.#delay = delay;
    this.#time = time;
    this.#partition = partition;
    this.#append = append;
    this.#onStored = onStored;
  }

  /** Takes relays of a committed record, in order. */
  enqueue(target: number, relays: readonly Waiting[]) {
    const waiting = this.#waiting.get(target);
    if (waiting) waiting.push(...relays);
    else this.#waiting.set(target, [...relays]);
    if (!this.#busy.has(target)) void this.#send(target);
  }

  get pending() {
    let count = 0;
    for (const waiting of this.#waiting.values()) count += waiting.length;
    return count;
  }

  stop() {
    this.#stopped = true;
  }

  async #send(target: number) {
    this.#busy.add(target);
    let retryMs = 50;
    for (;;) {
      const waiting = this.#waiting.get(target);
      if (this.#stopped || waiting === undefined || waiting.length === 0) break;
      const part = waiting.slice(0, frameCommandsMax);
      const at = this.#time();
      const bytes = Uint8Array.from(
        encodeFrame({
          kind: 'commands',
          writer: relayWriter(this.#partition),
          first: part[0]!.seq,
          commands: part.map((relay) => relay.command),
          ...(at !== undefined && { at }),
        }),
      );
      try {
        const stored = this.#append(target, bytes);
        failpoint('engine.relay_sent');
        await stored;
        failpoint('engine.relay_acked');
        waiting.splice(0, part.length);
        this.#onStored(target, part.at(-1)!.seq);
        retryMs = 50;
      } catch {
        // Full, cut off or uncertain: the same commands again under the same numbers.
        await this.#delay(retryMs);
        retryMs = Math.min(retryMs * 2, retryMsMax);
      }
    }
    this.#busy.delete(target);
  }
}
