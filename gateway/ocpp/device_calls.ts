/**
 * CALLs of ours, as the charger's commands release them: written to the connection they name, answers and silence reported
 * to the command they are for.
 *
 * O1 Each release of a command is written at most once by this process, and none after its answer: what comes again is
 *    reported again, not written.
 * O2 One CALL of ours is out per connection (OCPP-J 4.1.1); the next waits for its answer or its time-out.
 * O3 Nothing is written after its time, or over another connection than the one it was released for.
 * O4 What is reported is in the log in the order in which it happened: one writer, one partition.
 */
import type { CommandWrite, DeviceAnswer } from '#actors/schema/device_commands';
import type { Door, Log } from './door.ts';
import { badOrder, errorAnswer, type Outbound } from './outbound.ts';

/** What is needed of a charger's socket. */
export interface CallLine {
  readonly id: string;
  readonly connectionSeq: number;
  readonly outbound: Outbound;
  readonly served: { charger: string; site: string };
  /** Sends a frame; false when the socket is closing. */
  send(frame: string): boolean;
}

/** CALLs that are remembered, over all chargers; the oldest settled ones are forgotten first. */
const rememberedMax = 4_096;
/** Commands that wait for the line of one connection; what does not fit is released again by its command. */
const waitingMax = 8;

interface Known {
  write: CommandWrite;
  messageId: string;
  /** The answer that decided it. */
  answer: DeviceAnswer | null;
  /** The connection that it is out on; null: it is over. */
  line: CallLine | null;
  timer: NodeJS.Timeout | null;
}

interface DeviceCallsDeps {
  door: Pick<Door, 'append'>;
  clock: { now(): number };
  log: Log;
  find(connection: string): CallLine | undefined;
  acknowledged(): void;
}

/** The command's id is the message's; its read-back has one of its own, of at most 36 characters. */
export const messageIdOf = ({ command, call }: Pick<CommandWrite, 'command' | 'call'>): string =>
  call === 'act' ? command : `${command.replaceAll('-', '').slice(0, 34)}-r`;

export class DeviceCalls {
  readonly #deps: DeviceCallsDeps;
  /** By charger and message id, in the order of their first release. */
  readonly #known = new Map<string, Known>();
  /** What is out, by connection. */
  readonly #out = new Map<string, Known>();
  readonly #waiting = new Map<string, CommandWrite[]>();

  constructor(deps: DeviceCallsDeps) {
    this.#deps = deps;
  }

  /** A command may be written. Comes twice, late, or for a connection that is gone. */
  release(write: CommandWrite): void {
    const messageId = messageIdOf(write);
    const name = nameOf(write.charger, messageId);
    const known = this.#known.get(name);
    if (known && known.write.release >= write.release) return;
    if (known?.answer) {
      known.write = write;
      return this.#answered(known);
    }
    if (known?.line) {
      known.write = write;
      return this.#tell(write, 'command.written', {});
    }
    const line = this.#deps.find(write.connection);
    if (line?.connectionSeq !== write.connectionSeq || line.served.charger !== write.charger) return;
    if (this.#deps.clock.now() > write.expiresAt) return this.#unanswered(write, 'expired');
    if (this.#out.has(line.id)) return this.#wait(line.id, write);
    this.#write(line, write, messageId, name);
  }

  /** A CALLRESULT (3) or CALLERROR (4); false: it answers to nothing that is known. Late ones still count. */
  answer(line: CallLine, { type, id, parts }: { type: 3 | 4; id: string; parts: readonly unknown[] }): boolean {
    const known = this.#known.get(nameOf(line.served.charger, id));
    if (!known) return false;
    if (known.answer) return true;
    known.answer = type === 3 ? line.outbound.answer(known.write, parts[0]) : errorAnswer(parts);
    this.#answered(known);
    this.#over(known);
    return true;
  }

  /** The socket is gone; its command hears of that from its charger. */
  closed(connection: string): void {
    this.#waiting.delete(connection);
    const known = this.#out.get(connection);
    if (known) this.#over(known);
  }

  close(): void {
    for (const { timer } of this.#out.values()) if (timer) clearTimeout(timer);
    this.#out.clear();
    this.#waiting.clear();
  }

  #write(line: CallLine, write: CommandWrite, messageId: string, name: string): void {
    const call = line.outbound.call(write);
    const known: Known = { write, messageId, answer: null, line: null, timer: null };
    if (call === null) {
      known.answer = badOrder('this charger cannot be asked that');
      this.#remember(name, known);
      return this.#answered(known);
    }
    if (!line.send(JSON.stringify([2, messageId, call.action, call.payload]))) return;
    this.#remember(name, known);
    known.line = line;
    known.timer = setTimeout(() => this.#timedOut(known), write.answerMs);
    this.#out.set(line.id, known);
    this.#tell(write, 'command.written', {});
  }

  #timedOut(known: Known): void {
    this.#unanswered(known.write, 'timeout');
    this.#over(known);
  }

  /** The line is free for the next one. */
  #over(known: Known): void {
    const { line, timer } = known;
    if (timer) clearTimeout(timer);
    known.line = null;
    known.timer = null;
    if (line === null || this.#out.get(line.id) !== known) return;
    this.#out.delete(line.id);
    const waiting = this.#waiting.get(line.id);
    const next = waiting?.shift();
    if (waiting?.length === 0) this.#waiting.delete(line.id);
    if (next) this.release(next);
  }

  #wait(connection: string, write: CommandWrite): void {
    const waiting = this.#waiting.get(connection) ?? [];
    const newer = waiting.filter(({ command, call }) => command !== write.command || call !== write.call);
    if (newer.length < waitingMax) this.#waiting.set(connection, [...newer, write]);
  }

  #remember(name: string, known: Known): void {
    this.#known.delete(name);
    this.#known.set(name, known);
    for (const [oldest, { line }] of this.#known) {
      if (this.#known.size <= rememberedMax) return;
      if (line === null) this.#known.delete(oldest);
    }
  }

  #answered({ write, answer }: Known): void {
    this.#tell(write, 'command.answered', { answer });
  }
  #unanswered(write: CommandWrite, reason: 'timeout' | 'expired'): void {
    this.#tell(write, 'command.unanswered', { reason });
  }

  #tell(write: CommandWrite, type: string, more: Record<string, unknown>): void {
    const { site, charger, command, call, release, connection } = write;
    const { door, log, acknowledged } = this.#deps;
    const to = { kind: 'device_command', key: site, id: command };
    const body = { charger, call, release, ...more };
    door
      .append({ id: null, to, type, body, correlation: connection, fact: true })
      .then(acknowledged, (error: unknown) =>
        log.error({ charger, command, type, error }, 'report of a command not appended'),
      );
  }
}

const nameOf = (charger: string, messageId: string): string => `${charger}\n${messageId}`;
