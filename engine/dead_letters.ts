/**
 * Dead letters: commands that could not be applied, under the place of the event that told of them.
 *
 * L1 A letter is in the journal; once that is purged the history still tells of it, and it can no longer be sent again.
 * L2 A retry is the same command under an id that is made of the letter's place, so that two retries are one command.
 * L3 What was accepted, and what became another letter, is settled by a command of its own; what was refused changed nothing,
 *    and stays open.
 */
import { createHash } from 'node:crypto';
import type { NatsConnection } from '@nats-io/transport-node';
import { letterAddress } from '#actors/addresses';
import type { RefusalCode } from '#actors/refusals';
import type { Audit } from '#actors/schema/events';
import { blanked } from './blanked.ts';
import type { LettersQuery, StoredLetter } from './history/mod.ts';
import { journalBounds, readJournal, type Door } from './log/mod.ts';
import { Refusal } from './refusal.ts';
import type { CommandResult } from './wire.ts';

export interface Letter extends StoredLetter {
  /** `<partition>:<sequence>:<index>`. */
  place: string;
  /** Whether the journal still has it, so that it can be sent again. */
  retained: boolean;
}

export interface LetterDeps {
  nc: NatsConnection;
  door: Pick<Door, 'request' | 'partitions'>;
  history: { deadLetters(query: LettersQuery): Promise<StoredLetter[]> };
}

interface Place {
  partition: number;
  sequence: number;
  index: number;
}

/** Became a letter of its own when it failed again. */
const becomesLetter: ReadonlySet<RefusalCode> = new Set<RefusalCode>([
  'internal_error',
  'record_too_large',
  'command_isolated',
]);

/** @throws {Refusal} `bad_request` */
export function placeNamed(text: string): Place {
  const parts = /^(\d{1,5}):(\d{1,15}):(\d{1,6})$/.exec(text);
  if (!parts) throw new Refusal('bad_request', `'${text}' is no dead letter: <partition>:<sequence>:<index>`);
  return { partition: Number(parts[1]), sequence: Number(parts[2]), index: Number(parts[3]) };
}

export const placeText = ({ partition, sequence, index }: Place): string => `${partition}:${sequence}:${index}`;

/** The command id of a letter's retries: always the same. */
function retryId(place: string): string {
  const hash = createHash('sha256').update(`gridtick dead letter ${place}`).digest('hex');
  // As RFC 9562 forms an id of one's own making (version 8).
  return `${hash.slice(0, 8)}-${hash.slice(8, 12)}-8${hash.slice(13, 16)}-a${hash.slice(17, 20)}-${hash.slice(20, 32)}`;
}

export class DeadLetters {
  readonly #deps: LetterDeps;

  constructor(deps: LetterDeps) {
    this.#deps = deps;
  }

  /** As far as the history has come, newest first; bodies blanked where they hold secrets. */
  async list(query: LettersQuery): Promise<(StoredLetter & { place: string })[]> {
    const letters = await this.#deps.history.deadLetters(query);
    return letters.map((letter) => ({ ...letter, place: placeText(letter) }));
  }

  /** @throws {Refusal} `unknown_letter` */
  async show(place: Place): Promise<Letter> {
    const [event, [stored], settled] = await Promise.all([
      this.#event(place),
      this.#deps.history.deadLetters({ place, limit: 1 }),
      this.#settled(place),
    ]);
    if (!event && !stored) throw unknown(place);
    const letter: StoredLetter = stored ?? { ...place, ...asStored(event!), state: 'open', settled: null };
    return { ...letter, ...settled, place: placeText(place), retained: event !== null };
  }

  /**
   * Sends the command of a letter again.
   * @throws {Refusal} `unknown_letter`, `letter_settled`, `not_retryable`
   */
  async retry(place: Place, by: string): Promise<CommandResult> {
    const event = await this.#event(place);
    if (!event) throw unknown(place);
    const settled = await this.#settled(place);
    if (settled) throw new Refusal('letter_settled', `${placeText(place)} was ${settled.state}`, settled);
    const { key, body } = event.detail as { key?: unknown; body?: unknown };
    const slash = event.entity.indexOf('/');
    if (typeof key !== 'string' || typeof body !== 'object' || body === null)
      throw new Refusal('not_retryable', `there is no command in ${placeText(place)}: timers come again by themselves`);
    const result = await this.#deps.door.request({
      id: retryId(placeText(place)),
      to: { kind: event.entity.slice(0, slash), key, id: event.entity.slice(slash + 1) },
      type: event.command,
      body: body as Record<string, unknown>,
      correlation: event.correlation,
    });
    const code = result.ok ? null : result.code;
    if (code === null || becomesLetter.has(code)) await this.#settle(place, { outcome: 'retried', code, by }, event);
    return result;
  }

  /** Says that nothing is to be done about a letter. @throws {Refusal} `unknown_letter`, `letter_settled` */
  async discard(place: Place, by: string): Promise<void> {
    const event = await this.#event(place);
    if (!event) throw unknown(place);
    const result = await this.#settle(place, { outcome: 'discarded', code: null, by }, event);
    if (!result.ok)
      throw new Refusal(result.code, `${placeText(place)}: ${result.code.replaceAll('_', ' ')}`, result.detail ?? {});
  }

  #settle(place: Place, settled: { outcome: string; code: string | null; by: string }, { command }: Audit) {
    const text = placeText(place);
    return this.#deps.door.request({
      id: null,
      to: letterAddress(place.partition, text),
      type: 'letter.settle',
      body: { ...settled, command: command.slice(0, 128), by: settled.by.slice(0, 128) },
    });
  }

  /** What became of it; null: it is open. @throws {Refusal} when its partition does not answer */
  async #settled(place: Place): Promise<Pick<StoredLetter, 'state' | 'settled'> | null> {
    const to = letterAddress(place.partition, placeText(place));
    if (place.partition >= this.#deps.door.partitions) throw unknown(place);
    const result = await this.#deps.door.request({ id: null, to, type: 'letter.read', body: {} });
    if (result.ok) {
      const { outcome, code, by, at } = result.value as {
        outcome: 'retried';
        code: string | null;
        by: string;
        at: number;
      };
      return { state: outcome, settled: { by, code, at } };
    }
    if (result.code === 'unknown_entity') return null;
    throw new Refusal(result.code, `partition ${place.partition} does not tell what became of ${placeText(place)}`);
  }

  /** The event in the journal; null: there is none (any more). */
  async #event({ partition, sequence, index }: Place): Promise<Audit | null> {
    const { nc, door } = this.#deps;
    if (partition >= door.partitions) return null;
    const { first, last } = await journalBounds(nc, partition);
    if (sequence < first || sequence > last) return null;
    const event = (await readJournal(nc, partition, sequence))?.record.events[index];
    return event?.kind === 'audit' && event.payload.kind === 'dead_letter' ? event.payload : null;
  }
}

const asStored = ({ at, entity, command, reason, correlation, detail }: Audit) => ({
  ...{ at, entity, command, reason, correlation },
  detail: blanked(detail) as Record<string, unknown>,
});

const unknown = (place: Place) => new Refusal('unknown_letter', `there is no dead letter ${placeText(place)}`);
