/**
 * The door for programs: `in.<integrator>.<kind>.<id>` on core NATS, request and reply, answered by one of the gateways.
 *
 * N1 Who asks is told by the subject: nats-server lets an integrator publish under its own name only.
 * N2 An answer goes to a reply inbox or nowhere: a reply address such as `j.3` would write into the journal.
 * N3 Every request gets one answer, typed when it is a no; a refusal by the door reaches no log and changes nothing.
 * N4 What waits for a decision is bounded, in all and per integrator.
 */
import { randomUUID } from 'node:crypto';
import type { Msg, NatsConnection, Subscription } from '@nats-io/transport-node';
import type { Logger } from 'pino';
import { customerAddress } from '#actors/addresses';
import type { IntegratorScope, Door } from '#engine/log/mod';
import type { CommandResult } from '#engine/wire';
import { checkCommand } from './commands.ts';
import { Counters } from './counters.ts';
import { defaultLimits, type Limits } from './limits.ts';
import { lookUpOutcome, type Outcomes } from './outcome.ts';
import { formatOf, json, readCommands, type Format } from './payload.ts';
import { refusal, type Refusal } from './refusal.ts';
import { mayCommand, type Scopes } from './scopes.ts';
import { parseSubject } from './subject.ts';

export interface NatsDoorOptions {
  /** Of the core account. */
  nats: NatsConnection;
  door: Pick<Door, 'partitions' | 'request'>;
  scopes: Scopes;
  outcomes: Outcomes;
  log: Pick<Logger, 'info' | 'warn' | 'error'>;
  limits?: Partial<Limits>;
}

export interface NatsDoorStats {
  /** Commands that wait for their decision. */
  inWork: number;
  counters: Counters;
}

export interface NatsDoor {
  stats(): NatsDoorStats;
  /** Takes no more, answers what is in work, up to 2 s. */
  close(): Promise<void>;
}

/** Result of one command as its sender sees it. `at` = `<partition>:<journal sequence>`; '' when no log has seen it. */
type Result = { id: string | null } & CommandResult;
type Answer = Result | { ok: true; results: Result[] } | Awaited<ReturnType<typeof lookUpOutcome>>;

/** All gateways together answer each request once. */
const queue = 'gateways';
/** Lines per second about what was refused; the counters have the rest. */
const linesPerSecond = 10;

/** Serves once the server has heard of it. */
export async function startNatsDoor(options: NatsDoorOptions): Promise<NatsDoor> {
  const door = new Served(options);
  await options.nats.flush();
  return door;
}

class Served implements NatsDoor {
  readonly #options: NatsDoorOptions;
  readonly #limits: Limits;
  readonly #counters = new Counters();
  readonly #subscription: Subscription;
  /** Commands in work, in all and by integrator. */
  #inWork = 0;
  readonly #inWorkOf = new Map<string, number>();
  readonly #answering = new Set<Promise<void>>();
  #closed: Promise<void> | null = null;
  #lines = { second: 0, count: 0 };

  constructor(options: NatsDoorOptions) {
    this.#options = options;
    this.#limits = { ...defaultLimits, ...options.limits };
    this.#subscription = options.nats.subscribe('in.>', {
      queue,
      callback: (error, message) => {
        if (!error) this.#take(message);
      },
    });
  }

  stats(): NatsDoorStats {
    return { inWork: this.#inWork, counters: this.#counters };
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    if (!this.#options.nats.isClosed()) await this.#subscription.drain();
    let timer: NodeJS.Timeout | undefined;
    await Promise.race([
      Promise.all(this.#answering),
      new Promise<void>((resolve) => (timer = setTimeout(resolve, this.#limits.closeMs))),
    ]);
    clearTimeout(timer);
    this.#options.scopes.close();
  }

  #take(message: Msg): void {
    this.#counters.requests += 1;
    const { reply = '' } = message;
    if (!/^(_INBOX|_R_)\../.test(reply)) {
      this.#counters.unanswerable += 1;
      this.#say('warn', { event: 'unanswerable', subject: shown(message.subject), reply: shown(reply) });
      return;
    }
    const correlation = randomUUID();
    const format = formatOf(message.headers);
    const answering = this.#answer(message, format, correlation)
      .catch((error: unknown) => {
        this.#options.log.error({ event: 'request_failed', correlation, err: error }, 'request failed');
        return refusal('internal_error');
      })
      .then((answer) => this.#respond(message, format ?? json, answer, correlation))
      .finally(() => this.#answering.delete(answering));
    this.#answering.add(answering);
  }

  async #answer(message: Msg, format: Format | undefined, correlation: string): Promise<Answer | Refusal> {
    if (format === undefined) return refusal('bad_request', { in: 'headers', reason: 'JSON or application/msgpack' });
    const to = parseSubject(message.subject);
    if (to === undefined) return refusal('bad_request', { in: 'subject', reason: 'in.<integrator>.<kind>.<id>' });
    const scope = this.#options.scopes.of(to.integrator);
    if (scope === undefined) return refusal('scope_missing', { integrator: to.integrator });
    switch (to.kind) {
      case 'customer':
        return this.#commands(message, format, scope, to.id, correlation);
      case 'commands':
        return lookUpOutcome(this.#options.outcomes, scope, to.id, message.data, format);
      default:
        return refusal('unknown_command', { kind: shown(to.kind) });
    }
  }

  async #commands(
    { data }: Msg,
    format: Format,
    scope: IntegratorScope,
    customer: string,
    correlation: string,
  ): Promise<Answer | Refusal> {
    const asked = readCommands(data, format, this.#limits);
    if ('ok' in asked) return asked;
    if (!mayCommand(scope, customer)) return refusal('scope_missing', { customer });
    const { length } = asked.commands;
    if (!this.#room(scope.user, length))
      return refusal('overloaded', { reason: 'too many commands wait', commands: length });
    this.#inWorkNow(scope.user, length);
    try {
      // Handed over in one go, so they reach the log in this order.
      const results = await Promise.all(
        asked.commands.map((command) => this.#one(command, scope, customer, correlation)),
      );
      return asked.batch ? { ok: true, results } : results[0]!;
    } finally {
      this.#inWorkNow(scope.user, -length);
    }
  }

  async #one(given: unknown, scope: IntegratorScope, customer: string, correlation: string): Promise<Result> {
    const id = ownId(given);
    const checked = checkCommand(given, scope, this.#limits);
    let result: CommandResult;
    if (checked.ok) {
      const { id: inLog, type, body, timeoutMs } = checked;
      const to = customerAddress(customer);
      result = await this.#options.door.request({ id: inLog, to, type, body, timeoutMs, correlation });
    } else result = { ...checked, at: '' };
    this.#counters.decided(scope.user, result.ok ? 'ok' : result.code);
    return { id, ...result };
  }

  #respond(message: Msg, format: Format, answer: Answer | Refusal, correlation: string): void {
    if (!answer.ok) {
      const { code } = answer;
      if (!('at' in answer)) this.#counters.refused(code);
      this.#say('info', { event: 'request_refused', subject: shown(message.subject), code, correlation });
    }
    const told = answer.ok ? answer : { ...answer, correlation };
    if (this.#options.nats.isClosed()) return;
    message.respond(format.encode(told), format.headers === undefined ? {} : { headers: format.headers });
  }

  #room(user: string, commands: number): boolean {
    const { inWorkMax, inWorkOfOneMax } = this.#limits;
    return this.#inWork + commands <= inWorkMax && (this.#inWorkOf.get(user) ?? 0) + commands <= inWorkOfOneMax;
  }

  #inWorkNow(user: string, change: number): void {
    this.#inWork += change;
    const left = (this.#inWorkOf.get(user) ?? 0) + change;
    if (left > 0) this.#inWorkOf.set(user, left);
    else this.#inWorkOf.delete(user);
  }

  #say(level: 'info' | 'warn', entry: Record<string, unknown> & { event: string }): void {
    const second = Math.floor(performance.now() / 1_000);
    if (second !== this.#lines.second) this.#lines = { second, count: 0 };
    this.#lines.count += 1;
    if (this.#lines.count <= linesPerSecond) this.#options.log[level](entry, entry.event.replaceAll('_', ' '));
  }
}

/** A stranger's text in a log line or an answer. */
const shown = (text: string) => text.slice(0, 200);

/** The sender's id as it came, to find the result by; null when there is none worth repeating. */
function ownId(given: unknown): string | null {
  const id = (given as { id?: unknown } | null)?.id;
  return typeof id === 'string' && id.length <= 128 ? id : null;
}
