/**
 * One charger's socket, from the grant of its connection to its end.
 *
 * Invariants:
 * C1 Nothing is read before the charger's actor has granted the connection; every fact carries the granted number.
 * C2 CALLs are handled in arrival order, one in work. Whoever waits too long in line stops being read, not heard.
 * C3 Every CALL gets exactly one answer while the socket lives, except when the log is down: then none, and the socket
 *    is closed, because a charger that is offline keeps its messages.
 * C4 A fact is answered only after the log holds it, a decision only after it is committed.
 */
import { randomUUID } from 'node:crypto';
import type { EntityAddress } from '#actors/actor';
import { partitionOf } from '#actors/partition_key';
import type { ConnectedReply } from '#actors/schema/commands';
import type { CommandResult } from '#engine/wire';
import type { Translation } from './action.ts';
import { Bucket } from './bucket.ts';
import type { Counters } from './counters.ts';
import type { CallLine, DeviceCalls } from './device_calls.ts';
import type { Door, Log } from './door.ts';
import type { CallError } from './errors.ts';
import { isDeeperThan, type Call } from './frame.ts';
import type { Limits } from './limits.ts';
import { MessageMemory } from './message_memory.ts';
import { portionsAhead } from './portions.ts';
import { Notes, type Payload } from './repairs/notes.ts';
import type { Version } from './subprotocol.ts';
import type { Answer, CallReceiver, IncomingCall, OcppSocket } from './transport.ts';
import type { MessageTrace } from './trace.ts';
import { versions, type OcppVersion } from './versions.ts';

/** What a connection needs of its gateway. */
export interface Host {
  readonly gatewayId: string;
  readonly door: Door;
  readonly clock: { now(): number };
  readonly log: Log;
  readonly limits: Limits;
  readonly counters: Counters;
  /** CALLs of ours. */
  readonly calls: Pick<DeviceCalls, 'answer'>;
  /** The message log; null: switched off. */
  readonly trace: MessageTrace | null;
  /** No publish acknowledgement for a while. */
  readonly logDown: boolean;
  /** The gateway takes more in than it gets rid of, or the engine more than it decides. */
  congested(partition: number): boolean;
  /** Whether one more CALL may be handled in this turn of the event loop; if not, `goOn` is called in the next. */
  takeTurn(connection: Connection): boolean;
  acknowledged(): void;
  granted(connection: Connection): void;
  closed(connection: Connection, code: number): void;
}

/** The registered charger behind a socket. */
export interface Served {
  charger: string;
  site: string;
  protocol: Version;
  remote: string;
}

interface Work {
  call: Call;
  action: Translation;
  timeoutMs: number;
  deadlineAt: number;
}

/** Why a socket is not read; bits, because several reasons may hold at once. */
const hold = { grant: 1, line: 2, rate: 4, congestion: 8, stopping: 16 } as const;
/** How long a closing handshake may take. */
const closingMs = 2_000;

export class Connection implements CallReceiver, CallLine {
  readonly id = randomUUID();
  readonly served: Served;
  /** Granted by the charger's actor, dense from 1; 0 before. */
  connectionSeq = 0;
  /** Waits for a turn of the event loop. */
  queued = false;
  readonly #host: Host;
  readonly #socket: OcppSocket;
  readonly #version: OcppVersion;
  readonly #to: EntityAddress;
  readonly #partition: number;
  readonly #openedAt = performance.now();
  readonly #bucket: Bucket;
  readonly #memory: MessageMemory;
  readonly #pingEveryMs: number;
  #held: number = hold.grant;
  #waiting: IncomingCall[] = [];
  #work: Work | null = null;
  #model = 'unknown';
  #aliveAt = -Infinity;
  #pingedAt = 0;
  #slowSince = 0;
  #closingAt = 0;
  #closed = false;

  constructor(host: Host, served: Served, socket: OcppSocket) {
    const { limits } = host;
    this.#host = host;
    this.#socket = socket;
    this.served = served;
    this.#version = versions[served.protocol];
    this.#to = { kind: 'charger', key: served.site, id: served.charger };
    this.#partition = partitionOf(served.site, host.door.partitions);
    this.#bucket = new Bucket(limits.callBurst, this.#openedAt);
    this.#memory = new MessageMemory(limits.rememberedAnswers);
    socket.tap = host.trace?.tap(served.charger, () => this.connectionSeq) ?? null;
    this.#pingEveryMs = limits.pingMs * (1 + limits.pingJitter * (2 * Math.random() - 1));
    void this.#askForGrant();
  }

  /** A CALL is in work. */
  get busy(): boolean {
    return this.#work !== null;
  }

  get closed(): boolean {
    return this.#closed;
  }

  close(code: number, reason: string): void {
    if (this.#closingAt > 0 || this.#closed) return;
    this.#closingAt = performance.now();
    this.#waiting = [];
    this.#socket.close(code, reason);
  }

  terminate(): void {
    this.#socket.terminate();
  }

  /** Reads nothing more and starts nothing more; the CALL in work is finished. */
  stop(): void {
    this.#hold('stopping');
  }

  onCall(call: IncomingCall): void {
    if (this.#work !== null || this.#waiting.length > 0) this.#host.counters.pipelined += 1;
    this.#waiting.push(call);
    // One read may bring more than the line holds; what is read already waits, what is not stays in the network.
    if (this.#waiting.length > this.#host.limits.waitingCalls && !(this.#held & hold.line)) this.#hold('line');
    this.#next();
  }

  get outbound(): CallLine['outbound'] {
    return this.#version.outbound;
  }

  /** A CALL of ours; false while the connection is not granted or closes. */
  send(frame: string): boolean {
    const writable = this.connectionSeq > 0 && this.#closingAt === 0 && !(this.#held & hold.stopping);
    return writable && this.#socket.send(frame);
  }

  onAnswer(answer: Answer): boolean {
    return this.#host.calls.answer(this, answer);
  }

  onOddFrame(kind: 'ignored' | 'unreadable' | 'unmatched'): void {
    this.#host.counters.oddFrames[kind] += 1;
  }

  onClosed(code: number): void {
    this.#closed = true;
    this.#waiting = [];
    this.#work = null;
    this.#host.closed(this, code);
    const body = { gateway: this.#host.gatewayId, connection: this.id, code };
    this.#tell('charger.disconnected', body);
  }

  /** The turn that was asked for has come. */
  goOn(): void {
    this.queued = false;
    this.#next();
  }

  /** Deadlines, rates, pings, slow readers: called by the gateway's one timer with monotonic ms. */
  sweep(now: number): void {
    const { limits, logDown } = this.#host;
    if (this.#closed) return;
    if (this.#closingAt > 0) {
      if (now - this.#closingAt > closingMs) this.#socket.terminate();
      return;
    }
    if (this.connectionSeq === 0) {
      if (now - this.#openedAt >= limits.grantMs) this.close(1013, 'try again later');
      return;
    }
    if (this.#work !== null && now >= this.#work.deadlineAt && !logDown) {
      this.#refuse(this.#work.call, { code: 'InternalError', description: 'no durable answer in time' });
    }
    if (this.#held & hold.congestion && !this.#host.congested(this.#partition)) this.#release('congestion');
    if (this.#held & hold.rate && this.#bucket.level(now, limits.callsPerSecond) >= 1) this.#release('rate');
    this.#next();
    this.#watch(now);
  }

  async #askForGrant(): Promise<void> {
    const { door, gatewayId, limits, log } = this.#host;
    const { charger, protocol, remote } = this.served;
    let result: CommandResult;
    try {
      result = await door.request({
        id: this.id,
        to: this.#to,
        type: 'charger.connected',
        timeoutMs: limits.grantMs,
        correlation: this.id,
        body: { gateway: gatewayId, connection: this.id, protocol, remote, holdsMs: limits.gatewayHoldsMs },
      });
    } catch (error) {
      result = { ok: false, code: 'unavailable', at: '' };
      log.error({ charger, error }, 'grant failed');
    }
    if (this.#closed || this.#closingAt > 0) return;
    if (!result.ok) {
      log.warn({ charger, code: result.code }, 'connection not granted');
      this.close(1013, 'try again later');
      return;
    }
    this.#host.acknowledged();
    this.connectionSeq = (result.value as ConnectedReply).connectionSeq;
    this.#host.granted(this);
    this.#release('grant');
  }

  /** Takes CALLs from the line while none is in work and nothing holds it back. */
  #next(): void {
    const { limits, counters } = this.#host;
    const barrier = hold.grant | hold.stopping;
    while (this.#work === null && this.#waiting.length > 0 && !(this.#held & barrier) && this.#closingAt === 0) {
      if (this.#host.congested(this.#partition)) return this.#hold('congestion');
      if (!this.#host.takeTurn(this)) return;
      if (!this.#bucket.take(performance.now(), limits.callsPerSecond)) return this.#hold('rate');
      const call = this.#waiting.shift() as IncomingCall;
      if (call.kind === 'malformed') {
        counters.count('errors', call.error.code);
        counters.answered('other', call.error.code);
        this.#socket.refuse(call.idText, call.error);
      } else this.#handle(call);
      if (this.#held & hold.line && this.#waiting.length <= limits.resumeAt) this.#release('line');
    }
  }

  #handle(call: Call): void {
    const { counters, limits, clock } = this.#host;
    const action = this.#version.actions.get(call.action);
    if (!action) return this.#refuse(call, unknownAction(this.#version, call.action));
    counters.count('messages', call.action);
    const stored = action.replays ? this.#memory.find(call.idText, call.frameHash) : undefined;
    if (stored !== undefined) {
      counters.replayed += 1;
      counters.answered(call.action, 'replayed');
      return this.#socket.answer(call.idText, stored);
    }
    const notes = new Notes(clock.now(), call.repairs);
    const payload = action.repair(call.payload, notes);
    const invalid = action.check(payload, notes);
    // A payload that satisfies its schema cannot be deep, so only the others are measured.
    if (invalid) return this.#refuse(call, isDeeperThan(call.payload, limits.jsonDepth) ? tooDeep : invalid);
    if (notes.rules.length > 0) counters.repaired(this.#model, notes.rules);

    if (action.answered === 'here') {
      this.#socket.answer(call.idText, action.answer(null, notes.now));
      counters.answered(call.action, 'answered');
      return this.#heartbeat();
    }
    const told = action.choose?.(payload as Payload) ?? action;
    const body = told.body(payload as Payload, notes, {
      charger: this.served.charger,
      connectionSeq: this.connectionSeq,
      idText: call.idText,
      frameHash: call.frameHash,
    });
    if (action.type === 'charger.booted') this.#model = modelOf(body);
    const timeoutMs = action.short ? limits.shortAnswerMs : limits.answerMs;
    this.#submit({ call, action: told, timeoutMs, deadlineAt: performance.now() + timeoutMs }, body);
  }

  #submit(work: Work, body: Record<string, unknown>): void {
    const { door } = this.#host;
    const { action } = work;
    this.#work = work;
    const to = this.#to;
    const correlation = this.#correlation(work.call);
    const failed = (error: unknown) => this.#notStored(work, error);
    try {
      const ahead = portionsAhead(body).map((portion) =>
        door.append({ id: null, to, ...portion, correlation, fact: true }),
      );
      const command = { id: null, to, type: action.type, body, correlation, fact: true };
      if (action.answered === 'appended') {
        const stored = door.append(command);
        (ahead.length === 0 ? stored : Promise.all([...ahead, stored])).then(() => {
          this.#host.acknowledged();
          this.#answer(work, null);
        }, failed);
      } else {
        const result = door.request({ ...command, timeoutMs: work.timeoutMs });
        (ahead.length === 0 ? result : Promise.all(ahead).then(() => result)).then(
          (decision) => this.#decided(work, decision),
          failed,
        );
      }
    } catch (error) {
      failed(error);
    }
  }

  /** Of a CALL: as the message log names it, so that what was said and what came of it are found by each other. */
  #correlation({ idText }: Call): string {
    const messageId = idText.startsWith('"') ? idText.slice(1, -1) : idText;
    return `${this.served.charger}:${this.connectionSeq}:${messageId}`;
  }

  /** A door that cannot take it now is no refusal: the deadline decides between an error and silence (C3). */
  #notStored(work: Work, error: unknown): void {
    const { charger } = this.served;
    const code = (error as { code?: unknown }).code;
    const correlation = this.#correlation(work.call);
    this.#host.log.error({ charger, type: work.action.type, correlation, error }, 'fact not stored');
    if (code !== 'too_large' || this.#work !== work) return;
    this.#refuse(work.call, { code: 'GenericError', description: 'the message is too large to be stored' });
    this.#next();
  }

  #decided(work: Work, result: CommandResult): void {
    if (!result.ok && isTransient(result.code)) return;
    this.#host.acknowledged();
    if (result.ok) return this.#answer(work, result.value);
    const { charger } = this.served;
    const [correlation, { code, at }] = [this.#correlation(work.call), result];
    this.#host.log.warn({ charger, type: work.action.type, correlation, code, at }, 'fact refused');
    if (this.#work !== work) return;
    this.#refuse(work.call, { code: 'InternalError', description: result.code });
    this.#next();
  }

  #answer(work: Work, value: unknown): void {
    if (this.#work !== work) {
      this.#host.counters.late += 1;
      return;
    }
    this.#work = null;
    const { idText, frameHash } = work.call;
    try {
      const answer = work.action.answer(value, this.#host.clock.now());
      this.#memory.remember(idText, frameHash, answer);
      this.#socket.answer(idText, answer);
      this.#host.counters.answered(work.call.action, 'answered');
    } catch (error) {
      const [{ charger }, correlation] = [this.served, this.#correlation(work.call)];
      this.#host.log.error({ charger, type: work.action.type, correlation, error }, 'unusable decision');
      this.#refuse(work.call, { code: 'InternalError', description: 'unusable decision' });
    }
    this.#next();
  }

  #refuse(call: Call, error: CallError): void {
    this.#work = null;
    const { counters } = this.#host;
    counters.count('errors', error.code);
    counters.answered(this.#version.actions.has(call.action) ? call.action : 'other', error.code);
    this.#socket.refuse(call.idText, error);
  }

  #heartbeat(): void {
    const now = performance.now();
    if (now - this.#aliveAt < this.#host.limits.aliveMs) return;
    this.#aliveAt = now;
    this.#tell('charger.alive', { connectionSeq: this.connectionSeq });
  }

  /** A fact that no charger waits for. */
  #tell(type: string, body: Record<string, unknown>): void {
    this.#host.door.append({ id: null, to: this.#to, type, body, correlation: this.id, fact: true }).then(
      () => this.#host.acknowledged(),
      (error: unknown) => this.#host.log.warn({ charger: this.served.charger, type, error }, 'fact not appended'),
    );
  }

  /** Liveness and slow readers. A socket that we do not read cannot be heard, so it is not judged. */
  #watch(now: number): void {
    const { limits } = this.#host;
    if (this.#socket.bufferedBytes > limits.bufferedBytes) {
      this.#slowSince ||= now;
      if (now - this.#slowSince >= limits.slowReaderMs) this.close(4002, 'reads too slowly');
    } else this.#slowSince = 0;
    if (this.#held !== 0) return;
    if (this.#pingedAt > 0) {
      if (this.#socket.heardAt >= this.#pingedAt) this.#pingedAt = 0;
      else if (now - this.#pingedAt >= this.#pingEveryMs) this.#socket.terminate();
    } else if (now - this.#socket.heardAt >= this.#pingEveryMs) {
      this.#pingedAt = now;
      this.#socket.ping();
    }
  }

  #hold(reason: keyof typeof hold): void {
    if (this.#held & hold[reason]) return;
    if (reason !== 'grant' && reason !== 'stopping') this.#host.counters.pauses[reason] += 1;
    if (this.#held === 0) this.#socket.pause();
    this.#held |= hold[reason];
  }

  #release(reason: keyof typeof hold): void {
    if (!(this.#held & hold[reason])) return;
    this.#held &= ~hold[reason];
    if (this.#held === 0 && this.#closingAt === 0) this.#socket.resume();
  }
}

const isTransient = (code: string): boolean => code === 'unavailable' || code === 'overloaded';

const tooDeep: CallError = {
  code: 'FormatViolation',
  description: 'the payload nests too deeply',
  details: { path: '', rule: 'depth' },
};

const unknownAction = ({ unsupported, label }: OcppVersion, action: string): CallError =>
  unsupported.has(action)
    ? { code: 'NotSupported', description: 'this action is switched off' }
    : { code: 'NotImplemented', description: `no such action in ${label}` };

const modelOf = (boot: Record<string, unknown>): string =>
  ['vendor', 'model', 'firmware'].map((field) => String(boot[field]).slice(0, 50)).join('/');
