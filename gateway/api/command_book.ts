/**
 * Commands of people on their way into the log, under the ids that their senders made.
 *
 * K1 An id means one command of one user: before it is sent, a note in Redis says what it stands for; the same id with
 *    another command is refused `id_conflict` and reaches nobody.
 * K2 Results come from the engine alone: a retry is sent again and gets the stored one, and a look-up reads the journal.
 * K3 Notes of one user are never found by another. They are kept for 24 h after the last use.
 */
import { createHash } from 'node:crypto';
import type { ChainableCommander, Redis } from 'ioredis';
import type { EntityAddress } from '#actors/actor';
import { partitionOf } from '#actors/partition_key';
import type { DoorCommand } from '#engine/log/mod';
import type { CommandResult } from '#engine/wire';
import type { FindOutcome } from './outcomes.ts';

export interface PersonalCommand {
  id: string;
  to: EntityAddress;
  type: string;
  body: Record<string, unknown>;
}

/** Told of commands as they go into the log and come back decided. */
export interface CommandWatch {
  sent(user: string, command: string): void;
  answered(user: string, command: string, result: CommandResult): void;
}

export interface CommandBookDeps {
  redis: Redis;
  door: { readonly partitions: number; request(command: DoorCommand): Promise<CommandResult> };
  /** Journal sequence that is surely below a command that is sent now. */
  position(partition: number): number;
  findOutcome: FindOutcome;
  watch?: CommandWatch;
  log?: { info(fields: object, message: string): void };
}

/** What an id stands for. `from`: the decision is behind this journal sequence; `at`: it was answered from there. */
interface Note {
  hash: string;
  kind: string;
  entity: string;
  partition: number;
  from: number;
  at?: number;
}

const noteKeptMs = 24 * 3_600_000;
const writtenKeptMs = 60_000;
/** As the log knows it: the case of a UUID means nothing. */
const logId = (id: string) => (id.includes(':') ? id : id.toLowerCase());
const noteKey = (user: string, id: string) =>
  `command:${createHash('sha256')
    .update(`${user}\n${logId(id)}`)
    .digest('hex')}`;
const writtenKey = (customer: string) => `written:${customer}`;
/** Keeps the higher of two sequences, whichever of two answers comes last. */
const raise = `local held = redis.call('get', KEYS[1])
if not held or tonumber(held) < tonumber(ARGV[1]) then redis.call('set', KEYS[1], ARGV[1], 'PX', ARGV[2]) end`;

/** Equal for equal commands, in whatever order their fields came. */
function hashOf({ to, type, body }: PersonalCommand): string {
  const fields = Object.entries(body).sort(([a], [b]) => (a < b ? -1 : 1));
  return createHash('sha256')
    .update(JSON.stringify([to.kind, to.key, to.id, type, fields]))
    .digest('base64url');
}

export class CommandBook {
  readonly #deps: CommandBookDeps;

  constructor(deps: CommandBookDeps) {
    this.#deps = deps;
  }

  async send(user: string, command: PersonalCommand, correlation: string): Promise<CommandResult> {
    const [result] = await this.sendAll(user, [command], correlation);
    return result as CommandResult;
  }

  /** Sends in order; those to one entity are decided in it. Results in the same order. */
  async sendAll(user: string, commands: readonly PersonalCommand[], correlation: string): Promise<CommandResult[]> {
    const { door, watch, log } = this.#deps;
    const notes = await this.#note(user, commands);
    const results = await Promise.all(
      commands.map(async (command, i): Promise<CommandResult> => {
        const { id } = command;
        if (notes[i] === undefined) return { ok: false, code: 'id_conflict', detail: { id }, at: '' };
        watch?.sent(user, id);
        const result = await door.request({ ...command, id: logId(id), correlation });
        watch?.answered(user, id, result);
        const { type } = command;
        const outcome = result.ok ? { ok: true } : { ok: false, code: result.code };
        log?.info(
          { event: 'command_answered', correlation, user, command: id, type, ...outcome, at: result.at },
          'command',
        );
        return result;
      }),
    );
    await this.#answered(user, commands, notes, results);
    return results;
  }

  /** The outcome of a command that this user sent; undefined when it is not decided, was never sent or is too long ago. */
  async outcome(user: string, id: string): Promise<CommandResult | undefined> {
    const text = await this.#deps.redis.get(noteKey(user, id));
    if (text === null) return undefined;
    const { kind, entity, partition, from, at } = JSON.parse(text) as Note;
    const wanted = { partition, kind, entity, commandId: logId(id) };
    // The record that answered may itself be the repeat of an answer; the decision is then further back.
    const found = at === undefined ? undefined : await this.#deps.findOutcome({ ...wanted, from: at, to: at });
    return found ?? this.#deps.findOutcome({ ...wanted, from: from + 1 });
  }

  /** Journal sequence of the newest answer to a command for this customer, by whatever gateway; 0 after a minute. */
  async written(customer: string): Promise<number> {
    return Number((await this.#deps.redis.get(writtenKey(customer))) ?? 0);
  }

  /** Writes a note per command where there is none; undefined where the id stands for something else. */
  async #note(user: string, commands: readonly PersonalCommand[]): Promise<(Note | undefined)[]> {
    const { redis, door, position } = this.#deps;
    const pipeline = redis.pipeline();
    const notes = commands.map((command): Note => {
      const partition = partitionOf(command.to.key, door.partitions);
      const { kind, id: entity } = command.to;
      return { hash: hashOf(command), kind, entity, partition, from: position(partition) };
    });
    for (const [i, { id }] of commands.entries())
      pipeline.set(noteKey(user, id), JSON.stringify(notes[i]), 'PX', noteKeptMs, 'NX', 'GET');
    const former = await replies(pipeline);
    return notes.map((note, i) => {
      const text = former[i] as string | null;
      if (text === null) return note;
      const held = JSON.parse(text) as Note;
      return held.hash === note.hash ? held : undefined;
    });
  }

  async #answered(
    user: string,
    commands: readonly PersonalCommand[],
    notes: readonly (Note | undefined)[],
    results: readonly CommandResult[],
  ): Promise<void> {
    const pipeline = this.#deps.redis.pipeline();
    const written = new Map<string, number>();
    for (const [i, { id, to }] of commands.entries()) {
      const [note, at] = [notes[i], Number(results[i]?.at.split(':')[1] ?? NaN)];
      if (note === undefined || !Number.isInteger(at)) continue;
      if (note.at === undefined)
        pipeline.set(noteKey(user, id), JSON.stringify({ ...note, at } satisfies Note), 'PX', noteKeptMs);
      if (to.kind === 'customer') written.set(to.id, Math.max(at, written.get(to.id) ?? 0));
    }
    for (const [customer, at] of written) pipeline.eval(raise, 1, writtenKey(customer), at, writtenKeptMs);
    if (pipeline.length > 0) await replies(pipeline);
  }
}

/** The answers to all of a pipeline; throws the first error. */
async function replies(pipeline: ChainableCommander): Promise<unknown[]> {
  return ((await pipeline.exec()) ?? []).map(([error, value]) => {
    if (error) throw error;
    return value;
  });
}
