/** A charger of the bench on a real socket: one CALL at a time, each counted where it was sent. */
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { Latencies } from '../lib/latencies.ts';
import { powerW, type Call, type Facts, type Payload, type Words } from './messages.ts';

/** After this a message counts as unanswered, as chargers do. */
const answerMs = 30_000;
const dialTries = 60;

/** What became of the messages of some time. Latency counts from the moment at which a message was due. */
export class Tally {
  sent = 0;
  answered = 0;
  errors = 0;
  unanswered = 0;
  readonly latencies = new Latencies();
}

type Settle = (outcome: Payload | 'error' | 'none') => void;

export class Charger {
  readonly #words: Words;
  readonly #facts: Facts;
  #socket: WebSocket | undefined;
  #calls = 0;
  readonly #waiting = new Map<string, Settle>();
  #startedAt = 0;
  /** Answered samples since the beginning. */
  samples = 0;
  closed = false;

  constructor(identity: string, tag: string, words: Words) {
    this.#words = words;
    this.#facts = { identity, tag, transaction: `${identity}-1`, seq: 0, at: 0, registerWh: 0 };
  }

  /** Connects, registers and opens a session. Throws when any of it is refused. */
  async begin(url: string, tally: Tally): Promise<void> {
    await this.#dial(`${url}/${this.#facts.identity}`);
    const say = async (make: (facts: Facts) => Call) => {
      this.#facts.at = Date.now();
      const answer = await this.#call(make(this.#facts), performance.now(), tally);
      if (typeof answer === 'string') throw new Error(`${this.#facts.identity}: ${make(this.#facts)[0]} ${answer}`);
      return answer;
    };
    await say(this.#words.boot);
    const transaction = this.#words.started(await say(this.#words.start), this.#facts);
    if (transaction === undefined) throw new Error(`${this.#facts.identity}: the tag was not accepted`);
    this.#facts.transaction = transaction;
    this.#startedAt = Date.now();
    await say(this.#words.status);
  }

  /** A sample, due at `dueAt` (performance.now()); resolves when it is answered or given up. */
  async sample(dueAt: number, tally: Tally): Promise<void> {
    const facts = this.#facts;
    facts.at = Date.now();
    facts.seq += 1;
    facts.registerWh = Math.trunc((powerW * (facts.at - this.#startedAt)) / 3_600_000);
    const answer = await this.#call(this.#words.sample(facts), dueAt, tally);
    if (typeof answer !== 'string') this.samples += 1;
  }

  close(): void {
    this.#socket?.removeAllListeners('close');
    this.#socket?.close();
  }

  /** Comes back when it is told to, like any charger. */
  async #dial(url: string): Promise<void> {
    for (let tries = 1; ; tries++) {
      const socket = new WebSocket(url, this.#words.protocol, { perMessageDeflate: true });
      let retryAfterS = 1;
      socket.on('unexpected-response', (_request, response) => {
        retryAfterS = Number(response.headers['retry-after'] ?? 1);
        socket.terminate();
      });
      try {
        await once(socket, 'open');
        this.#socket = socket;
        break;
      } catch (error) {
        if (tries === dialTries) throw error;
        await delay(retryAfterS * 1_000);
      }
    }
    this.#socket.on('message', (data: Buffer) => this.#heard(data));
    this.#socket.on('error', () => undefined);
    this.#socket.on('close', () => {
      this.closed = true;
      for (const settle of this.#waiting.values()) settle('none');
    });
  }

  #heard(data: Buffer): void {
    const [kind, id, first] = JSON.parse(data.toString()) as [number, string, unknown];
    if (kind === 2) this.#socket?.send(JSON.stringify([4, id, 'NotImplemented', '', {}]));
    else this.#waiting.get(id)?.(kind === 3 ? (first as Payload) : 'error');
  }

  #call([action, payload]: Call, dueAt: number, tally: Tally): Promise<Payload | 'error' | 'none'> {
    const id = String(++this.#calls);
    tally.sent += 1;
    return new Promise((resolve) => {
      const settle: Settle = (outcome) => {
        clearTimeout(overdue);
        this.#waiting.delete(id);
        if (outcome === 'none') tally.unanswered += 1;
        else {
          if (outcome === 'error') tally.errors += 1;
          else tally.answered += 1;
          tally.latencies.add(performance.now() - dueAt);
        }
        resolve(outcome);
      };
      const overdue = setTimeout(() => settle('none'), answerMs);
      this.#waiting.set(id, settle);
      if (this.closed) settle('none');
      else this.#socket?.send(JSON.stringify([2, id, action, payload]));
    });
  }
}
