/**
 * A book over the door for programs: batches of commands, each with its result.
 *
 * C1 Every command that changes something has an id of a series that is dense per user, so it is applied once, however often
 *    it is sent: what got no answer, or found no room, is sent again until there is a decision or nothing moves any more.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { RequestError, TimeoutError, type NatsConnection } from '@nats-io/transport-node';
import type { BookRules } from '#actors/schema/trading';
import { Refusal } from '#engine/refusal';
import type { CommandResult } from '#engine/wire';
import { refusals, type RefusalCode } from '#actors/refusals';

export interface BookRequest {
  user: string;
  /** Null: a read. */
  id: string | null;
  type: string;
  body: Record<string, unknown>;
}

export interface BookCallerOptions {
  /** Of the integrator. */
  nc: NatsConnection;
  integrator: string;
  book: string;
  rules: BookRules;
  /** How long nothing is decided before it gives up, ms. @default 60_000 */
  giveUpMs?: number;
}

type Answer =
  | { ok: true; results: CommandResult[]; quoteHits: number }
  | { ok: false; code: string; detail?: Record<string, unknown> };

const answerMs = 15_000;
const pauseMs = 200;
/** Nothing was decided, and later it may be. */
const passing = new Set(['overloaded', 'unavailable', 'starting', 'series_gap']);
/** Who stands for all users where a command names none. */
export const nobody = '-';

export class BookCaller {
  readonly #options: BookCallerOptions;
  quoteHits = 0;

  constructor(options: BookCallerOptions) {
    this.#options = options;
  }

  /**
   * At most 64 requests, decided in their order per user.
   * @throws {Refusal} with the door's code when it refuses them all, or `unavailable`
   */
  async send(requests: readonly BookRequest[]): Promise<CommandResult[]> {
    const results: CommandResult[] = [];
    let open = requests.map((_, i) => i);
    let movedAt = performance.now();
    for (;;) {
      const answer = await this.#ask(open.map((i) => requests[i]!));
      let code = 'unavailable';
      const before = open.length;
      if (answer?.ok) {
        this.quoteHits += answer.quoteHits;
        const asked = open;
        open = asked.filter((i, place) => {
          const result = answer.results[place]!;
          results[i] = result;
          if (!result.ok) code = passing.has(result.code) ? result.code : code;
          return !result.ok && passing.has(result.code);
        });
        if (open.length === 0) return results;
      } else if (answer) {
        ({ code } = answer);
        if (!passing.has(code))
          throw new Refusal(
            Object.hasOwn(refusals, code) ? (code as RefusalCode) : 'bad_request',
            `the door refuses: ${code} ${JSON.stringify(answer.detail ?? {})}`,
            answer.detail ?? {},
          );
      }
      if (open.length < before) movedAt = performance.now();
      else if (performance.now() - movedAt > (this.#options.giveUpMs ?? 60_000))
        throw new Refusal(
          'unavailable',
          `no decisions any more (${code}): go on later with --resume ${this.#options.book}`,
        );
      await sleep(pauseMs);
    }
  }

  /** Null: nobody answered. */
  async #ask(commands: readonly BookRequest[]): Promise<Answer | null> {
    const { nc, integrator, book, rules } = this.#options;
    try {
      const payload = JSON.stringify({ rules, commands });
      const answer = await nc.request(`in.${integrator}.book.${book}`, payload, { timeout: answerMs });
      return answer.json<Answer>();
    } catch (error) {
      if (error instanceof TimeoutError || (error instanceof RequestError && error.isNoResponders())) return null;
      throw error;
    }
  }
}
