/**
 * Sends messages to one subject so that they are stored in order, however the network behaves: go-back-N over publish acks.
 *
 * O1 A message is *stored* when a copy of it lies behind a stored copy of the one before it. Its readers apply in that order
 *    and drop what is out of order (frames carry dense numbers), so only such a copy counts.
 * O2 After any failure everything from the first message not yet stored is sent again, byte for byte.
 * O3 A message is never dropped: once sent it may have been stored, whatever the answer was.
 * O4 An ack that is not behind all acks known when its copy was sent means that the stream lost its end (power cut,
 *    restored disk): counting starts anew and `wentBack` is set, for its reader may lack what was stored before.
 */
import { AppendUncertain } from './errors.ts';
import type { RingPublisher } from './ring_publisher.ts';

interface Entry {
  bytes: Uint8Array;
  onStored(sequence: number): void;
  /** Highest stream sequence at which a copy was acknowledged; 0 = none. */
  acked: number;
  /** Copies under way. */
  sent: number;
}

const backoffMsMin = 50;
const backoffMsMax = 2_000;

export class OrderedSender {
  readonly #publisher: RingPublisher;
  readonly #subject: string;
  #entries: Entry[] = [];
  #storedAt = 0;
  /** Failures of an earlier round have been answered by this one. */
  #round = 0;
  #failures = 0;
  #resendTimer: NodeJS.Timeout | undefined;
  #lastError: Error | undefined;
  #closed = false;
  /** The stream lost acknowledged messages (O4); reset by whoever draws the conclusion. */
  wentBack = false;

  constructor(publisher: RingPublisher, subject: string) {
    this.#publisher = publisher;
    this.#subject = subject;
  }

  /** Messages not yet known to be stored. */
  get unstored(): number {
    return this.#entries.length;
  }

  /** Why the oldest message is not stored yet, if sending it failed. */
  get lastError(): Error | undefined {
    return this.#lastError;
  }

  /** Queues a message; `onStored` is called in order, when this one and all before it are stored. */
  send(bytes: Uint8Array, onStored: (sequence: number) => void): void {
    const entry = { bytes, onStored, acked: 0, sent: 0 };
    this.#entries.push(entry);
    // While a round is due, everything waits for it: order is all that matters.
    if (!this.#resendTimer && !this.#closed) this.#transmit(entry);
  }

  /** Stops sending; what is not stored stays unknown. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#resendTimer);
    this.#entries = [];
  }

  #transmit(entry: Entry): void {
    const round = this.#round;
    const floor = this.#storedAt;
    entry.sent++;
    this.#publisher.publish(this.#subject, entry.bytes).then(
      ({ sequence }) => {
        entry.sent--;
        if (sequence <= floor && floor <= this.#storedAt) {
          this.wentBack = true;
          this.#storedAt = sequence - 1;
          for (const other of this.#entries) if (other !== entry) other.acked = 0;
        }
        if (sequence > entry.acked) entry.acked = sequence;
        this.#settle();
      },
      (error: Error) => {
        entry.sent--;
        if (this.#closed) return;
        if (round === this.#round) this.#failed(error);
        else this.#ensure();
      },
    );
  }

  #settle(): void {
    let stored = 0;
    for (const entry of this.#entries) {
      if (entry.acked <= this.#storedAt) break;
      this.#storedAt = entry.acked;
      stored++;
    }
    if (stored > 0) {
      this.#failures = 0;
      this.#lastError = undefined;
      for (const entry of this.#entries.splice(0, stored)) entry.onStored(entry.acked);
    }
    this.#ensure();
  }

  /** The oldest message always has a copy under way or a round due, also when only copies that do not count were acknowledged. */
  #ensure(): void {
    const head = this.#entries[0];
    if (head && head.sent === 0 && !this.#resendTimer && !this.#closed) this.#failed(undefined);
  }

  #failed(error: Error | undefined): void {
    if (error) this.#lastError = error;
    if (this.#resendTimer) return;
    const away = error instanceof AppendUncertain && error.reason === 'disconnected';
    const ms =
      error === undefined ? 0 : away ? backoffMsMin : Math.min(backoffMsMax, backoffMsMin * 2 ** this.#failures++);
    this.#round++;
    this.#resendTimer = setTimeout(() => this.#resend(), ms);
  }

  #resend(): void {
    if (this.#closed) return;
    if (!this.#publisher.connected) {
      this.#resendTimer = setTimeout(() => this.#resend(), backoffMsMin);
      return;
    }
    this.#resendTimer = undefined;
    for (const entry of [...this.#entries]) this.#transmit(entry);
  }
}
