/**
 * A charger's line to the system: OCPP-J over one WebSocket, opened again and again with a growing, jittered pause that
 * respects Retry-After. It knows frames and ids; what is said, and again, is the charger's business.
 */
import { randomUUID } from 'node:crypto';
import { WebSocket } from 'ws';

/** What became of a call. `late`: the answer to a call that had been given up. */
export type Outcome =
  | { kind: 'result'; payload: Record<string, unknown>; late: boolean }
  | { kind: 'error'; code: string; description: string; late: boolean }
  | { kind: 'timeout' }
  | { kind: 'closed' };

export interface LinkOptions {
  /** ws://host:port/ocpp; the identity is appended. */
  url: string;
  identity: string;
  /** Pause before the second attempt and the longest one, ms; each is multiplied by 0.5…1.5. @default 500, 15,000 */
  retryMs?: { first: number; most: number };
  /** How long a call may stay without answer. @default 30,000 */
  callTimeoutMs?: number;
  /** Subprotocol to ask for. @default ocpp1.6 */
  protocol?: string;
  /** Randomness of the pauses, in [0, 1). @default Math.random */
  random?: () => number;
}

export interface LinkEvents {
  opened(): void;
  closed(code: number, reason: string): void;
  /** A call of the system: the payload to answer with, or a CALLERROR code. */
  called(action: string, payload: Record<string, unknown>): Answer | Promise<Answer>;
}
export type Answer = Record<string, unknown> | string;

/** Given-up calls whose late answer is still understood. */
const lateKept = 32;

export class Link {
  readonly #options: Required<LinkOptions>;
  readonly #events: LinkEvents;
  #socket: WebSocket | undefined;
  #timer: NodeJS.Timeout | undefined;
  #attempt = 0;
  #retryAfterMs = 0;
  /** The pause before the next attempt when the line was given up on purpose, ms. */
  #pauseMs: number | undefined;
  #pings: NodeJS.Timeout | undefined;
  #wanted = false;
  #calls = new Map<string, { settle: (outcome: Outcome) => void; timer: NodeJS.Timeout; late: boolean }>();

  constructor(options: LinkOptions, events: LinkEvents) {
    this.#options = {
      retryMs: { first: 500, most: 15_000 },
      callTimeoutMs: 30_000,
      protocol: 'ocpp1.6',
      random: Math.random,
      ...options,
    };
    this.#events = events;
  }

  get up(): boolean {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  /** Connects after `delayMs` and stays connected until {@link stop}. */
  start(delayMs = 0): void {
    this.#wanted = true;
    this.#timer = setTimeout(() => this.#connect(), delayMs);
  }

  /** Hangs up for good; calls without answer end as `closed`. */
  async stop(): Promise<void> {
    this.#wanted = false;
    clearTimeout(this.#timer);
    clearInterval(this.#pings);
    const socket = this.#socket;
    if (socket === undefined || socket.readyState === WebSocket.CLOSED) return;
    const gone = new Promise<void>((resolve) => socket.once('close', () => resolve()));
    if (socket.readyState === WebSocket.OPEN) socket.close(1000);
    else socket.terminate();
    const impatient = setTimeout(() => socket.terminate(), 1_000);
    await gone;
    clearTimeout(impatient);
  }

  /** Gives the socket up at once; the pause before the next one is the ordinary one. */
  drop(): void {
    this.#socket?.terminate();
  }

  /** Hangs up after what was sent, and dials again after `pauseMs`. */
  hangUp(pauseMs: number): void {
    const socket = this.#socket;
    if (socket?.readyState !== WebSocket.OPEN) return;
    this.#pauseMs = pauseMs;
    const impatient = setTimeout(() => socket.terminate(), 1_000);
    socket.once('close', () => clearTimeout(impatient));
    socket.close(1000);
  }

  /** Pings every `ms` while the line is open; 0: never. */
  ping(ms: number): void {
    clearInterval(this.#pings);
    if (ms > 0) this.#pings = setInterval(() => this.up && this.#socket?.ping(), ms);
  }

  /** The system accepted us: the next pause starts small again. */
  settled(): void {
    this.#attempt = 0;
  }

  /** Sends a CALL under a new message id. `settle` hears `timeout` and, if it still comes, the late answer after it. */
  call(action: string, payload: Record<string, unknown>, settle: (outcome: Outcome) => void): void {
    const socket = this.#socket;
    if (socket?.readyState !== WebSocket.OPEN) {
      settle({ kind: 'closed' });
      return;
    }
    const id = randomUUID();
    const timer = setTimeout(() => this.#giveUp(id), this.#options.callTimeoutMs);
    this.#calls.set(id, { settle, timer, late: false });
    socket.send(JSON.stringify([2, id, action, payload]));
  }

  #giveUp(id: string): void {
    const call = this.#calls.get(id);
    if (call === undefined) return;
    call.late = true;
    if (this.#calls.size > lateKept) {
      const oldest = [...this.#calls].find(([, c]) => c.late);
      if (oldest !== undefined) this.#calls.delete(oldest[0]);
    }
    call.settle({ kind: 'timeout' });
  }

  #connect(): void {
    const { url, identity } = this.#options;
    // Light sockets: no compression contexts, thousands of them live in one process.
    const socket = new WebSocket(`${url}/${encodeURIComponent(identity)}`, [this.#options.protocol], {
      perMessageDeflate: false,
      handshakeTimeout: 20_000,
      maxPayload: 1_048_576,
    });
    this.#socket = socket;
    let refusal = '';
    socket.on('open', () => this.#events.opened());
    socket.on('message', (data, binary) => {
      if (!binary) this.#received(socket, (data as Buffer).toString('utf8'));
    });
    socket.on('unexpected-response', (request, response) => {
      refusal = `refused with ${response.statusCode}`;
      const seconds = Number(response.headers['retry-after']);
      if (Number.isFinite(seconds) && seconds > 0) this.#retryAfterMs = Math.min(seconds, 600) * 1_000;
      response.resume();
      request.destroy();
      // With a listener here, ending the attempt is ours to do.
      socket.terminate();
    });
    // An 'error' is always followed by 'close', where it is dealt with.
    socket.on('error', (error) => (refusal ||= error.message));
    socket.on('close', (code, reason) => {
      if (this.#socket === socket) this.#closed(code, refusal || reason.toString('utf8'));
    });
  }

  #closed(code: number, reason: string): void {
    this.#socket = undefined;
    const calls = [...this.#calls.values()];
    this.#calls.clear();
    for (const call of calls) clearTimeout(call.timer);
    this.#events.closed(code, reason);
    for (const call of calls) if (!call.late) call.settle({ kind: 'closed' });
    if (!this.#wanted) return;
    if (this.#pauseMs !== undefined) {
      this.#timer = setTimeout(() => this.#connect(), this.#pauseMs);
      this.#pauseMs = undefined;
      return;
    }
    const { retryMs, random } = this.#options;
    const pauseMs = Math.min(retryMs.most, retryMs.first * 2 ** Math.min(this.#attempt, 16));
    this.#attempt += 1;
    // Jitter goes upward only from what the system asked for: nobody comes back before Retry-After.
    const waitMs = Math.max(pauseMs * (0.5 + random()), this.#retryAfterMs * (1 + random() * 0.25));
    this.#retryAfterMs = 0;
    this.#timer = setTimeout(() => this.#connect(), waitMs);
  }

  #received(socket: WebSocket, text: string): void {
    let frame: unknown;
    try {
      frame = JSON.parse(text);
    } catch {
      return; // OCPP-J §4.2: what is no frame cannot be answered.
    }
    if (!Array.isArray(frame) || typeof frame[1] !== 'string') return;
    const [type, id] = frame as [unknown, string];
    if (type === 2) {
      // An answer may have to wait for the memory; on a line that has closed meanwhile nobody would hear it.
      void Promise.resolve(this.#events.called(String(frame[2]), objectOr(frame[3]))).then((answer) => {
        if (socket.readyState !== WebSocket.OPEN) return;
        socket.send(JSON.stringify(typeof answer === 'string' ? [4, id, answer, '', {}] : [3, id, answer]));
      });
      return;
    }
    const call = this.#calls.get(id);
    if (call === undefined || (type !== 3 && type !== 4)) return;
    this.#calls.delete(id);
    clearTimeout(call.timer);
    const { late } = call;
    if (type === 3) call.settle({ kind: 'result', payload: objectOr(frame[2]), late });
    else call.settle({ kind: 'error', code: String(frame[2]), description: String(frame[3]), late });
  }
}

const objectOr = (value: unknown): Record<string, unknown> =>
  typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
