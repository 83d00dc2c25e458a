/**
 * One writer of one partition's command log: numbers commands densely, gathers them into frames, keeps frames until stored.
 *
 * Framing adapts: after a quiet time a frame leaves at once, else commands gather until 64 are there or the door's next
 * beat. The first frame of an incarnation is a hello; after an hour without commands the next one opens a new
 * incarnation, so that the partition may forget the old watermark. So it does when the stream lost its end.
 */
import { randomUUID } from 'node:crypto';
import { failpoint } from '../failpoint.ts';
import { encodeCommand, encodeFrame, packr, type CommandEnvelope } from '../wire.ts';
import type { RootSpan, Tracer } from '../telemetry/tracer.ts';
import { DoorRefused } from './errors.ts';
import { OrderedSender } from './ordered_sender.ts';
import type { Pace } from './pace.ts';
import type { RingPublisher } from './ring_publisher.ts';
import { internal } from './subjects.ts';

export const frameCommandsMax = 64;
export const frameBytesMax = 512 * 1024;
export const commandBytesMax = 256 * 1024;
/** Under load a door's frames leave so far apart and grow; a lone command waits for nothing. */
export const gatherMs = 6;
const framesInFlightMax = 64;

/** A command on its way, and whom to tell. */
export interface Outgoing {
  envelope: CommandEnvelope;
  /** Wall time of the hand-over, unix ms. */
  at: number;
  /** The caller has given up: refused if not yet framed. */
  abandoned: boolean;
  /** `sequence` = the frame's in the command log. */
  stored(sequence: number): void;
  /** Refused before it got a number: it is in no frame. */
  refused(error: DoorRefused): void;
}

export interface WriterOptions {
  name: string;
  partition: number;
  /** Shared by all writers of a door. */
  pace: Pace;
  /** Time without commands after which a new incarnation begins. @default 3,600,000 */
  idleMs?: number;
  tracer?: Tracer;
}

export class Writer {
  readonly partition: number;
  readonly #name: string;
  readonly #idleMs: number;
  readonly #sender: OrderedSender;
  #id = '';
  #next = 1;
  #usedAt = 0;
  #gathering: Outgoing[] = [];
  #waiting = false;
  #closed = false;
  readonly #pace: Pace;
  readonly #tracer: Tracer | undefined;

  constructor(publisher: RingPublisher, options: WriterOptions) {
    this.#pace = options.pace;
    this.#tracer = options.tracer;
    this.partition = options.partition;
    this.#name = options.name;
    this.#idleMs = options.idleMs ?? 3_600_000;
    this.#sender = new OrderedSender(publisher, internal.commands(options.partition));
  }

  /** `<name>#<uuid>` of the present incarnation; '' before the first command. */
  get id(): string {
    return this.#id;
  }

  /** Why commands are not being stored at the moment, if they are not. */
  get lastError(): Error | undefined {
    return this.#sender.lastError;
  }

  add(command: Outgoing): void {
    this.#gathering.push(command);
    this.#schedule();
  }

  close(): void {
    this.#closed = true;
    this.#sender.close();
    this.#gathering = [];
  }

  #schedule(): void {
    if (this.#gathering.length === 0 || this.#sender.unstored >= framesInFlightMax) return;
    if (this.#gathering.length >= frameCommandsMax) return this.#flush();
    if (this.#waiting) return;
    this.#waiting = true;
    void this.#pace.turn().then(() => {
      this.#waiting = false;
      if (!this.#closed) this.#flush();
    });
  }

  #flush(): void {
    while (this.#gathering.length > 0 && this.#sender.unstored < framesInFlightMax) {
      const batch = this.#gathering.splice(0, frameCommandsMax).filter((c) => {
        if (c.abandoned) c.refused(new DoorRefused('unavailable', 'given up before it was sent'));
        return !c.abandoned;
      });
      if (batch.length > 0) this.#frame(batch);
      if (this.#gathering.length < frameCommandsMax && this.#sender.unstored > 0) break;
    }
    this.#schedule();
  }

  #frame(batch: Outgoing[]): void {
    this.#open();
    const span = this.#tracer && this.#begin(this.#tracer, batch);
    const bytes = this.#encode(batch, span?.context);
    if (bytes && bytes.length <= commandBytesMax) {
      this.#send(batch, bytes, span);
      return;
    }
    // Rare: something in it is large or cannot be encoded. Decide one by one, before numbers are given out.
    const good = batch.filter((c) => {
      const refusal = refuse(c.envelope);
      if (refusal) c.refused(refusal);
      return !refusal;
    });
    if (good.length === 0) return;
    const together = this.#encode(good);
    if (together && together.length <= frameBytesMax) this.#send(good, together);
    else {
      const half = Math.ceil(good.length / 2);
      this.#frame(good.slice(0, half));
      this.#frame(good.slice(half));
    }
  }

  /** The span of the door: from the first command at hand to the frame's storing. */
  #begin(tracer: Tracer, batch: Outgoing[]): RootSpan | null {
    const { at, envelope } = batch[0] as Outgoing;
    return tracer.begin('door', at, {
      partition: this.partition,
      commands: batch.length,
      command: envelope.type,
      ...(envelope.correlation !== null && { correlation: envelope.correlation }),
    });
  }

  #encode(batch: Outgoing[], trace?: string): Uint8Array | undefined {
    try {
      return encodeFrame({
        kind: 'commands',
        writer: this.#id,
        first: this.#next,
        commands: batch.map((c) => c.envelope),
        ...(trace !== undefined && { trace }),
      });
    } catch {
      return undefined;
    }
  }

  #send(batch: Outgoing[], bytes: Uint8Array, span?: RootSpan | null): void {
    this.#next += batch.length;
    const sentAt = span ? Date.now() : 0;
    this.#sender.send(bytes, (sequence) => {
      failpoint('door.frame_stored');
      if (span) this.#stored(span, sentAt, sequence);
      for (const command of batch) command.stored(sequence);
      this.#schedule();
    });
    failpoint('door.frame_sent');
  }

  #stored(span: RootSpan, sentAt: number, sequence: number): void {
    const now = Date.now();
    this.#tracer?.span(span.context, 'stored', sentAt, now, { partition: this.partition, sequence });
    span.end(now);
  }

  /** Opens an incarnation if there is none, it has been idle for too long, or the partition may lack part of it. */
  #open(): void {
    const now = Date.now();
    const idle = now - this.#usedAt > this.#idleMs && this.#sender.unstored === 0;
    this.#usedAt = now;
    if (this.#id !== '' && !idle && !this.#sender.wentBack) return;
    this.#sender.wentBack = false;
    this.#id = `${this.#name}#${randomUUID()}`;
    this.#next = 1;
    this.#sender.send(encodeFrame({ kind: 'hello', writer: this.#id, first: 1, commands: [] }), () => this.#schedule());
  }
}

function refuse(envelope: CommandEnvelope): DoorRefused | undefined {
  try {
    const size = packr.pack(encodeCommand(envelope)).length;
    return size > commandBytesMax
      ? new DoorRefused('too_large', `a command of ${size} bytes; ${commandBytesMax} are allowed`)
      : undefined;
  } catch (error) {
    return new DoorRefused('bad_request', `the command cannot be encoded: ${(error as Error).message}`);
  }
}
