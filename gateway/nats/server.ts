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
import { usualRules } from '#actors/instrument';
import type { BookRules } from '#actors/schema/trading';
import type { CommandResult } from '#engine/wire';
import type { TradeDesk } from '../trading/trade_desk.ts';
import { readBook } from './book.ts';
import { checkCommand, type Checked } from './commands.ts';
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
  /** Where trading commands get their quotes. @default nowhere: orders on symbols are refused */
  desk?: Pick<TradeDesk, 'quote' | 'feedRefused'>;
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
type Answer =
  | Result
  | { ok: true; results: Result[] }
  /** Of a book: how often the feed was asked for it. */
  | { ok: true; results: Result[]; quoteHits: number }
  | Awaited<ReturnType<typeof lookUpOutcome>>;

/** A command and whom it is for. */
interface Placed {
  given: unknown;
  customer: string;
  /** For whom a feed is asked. */
  user: string;
  rules: BookRules;
  /** The rules are those of the account that it may open. */
  opens?: true;
}

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
      case 'book':
        return this.#book(message, format, scope, to.id, correlation);
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
    const commands = asked.commands.map((given): Placed => ({ given, customer, user: customer, rules: usualRules }));
    const answer = await this.#decided(commands, scope, correlation);
    return 'ok' in answer ? answer : asked.batch ? { ok: true, results: answer.results } : answer.results[0]!;
  }

  async #book(
    { data }: Msg,
    format: Format,
    scope: IntegratorScope,
    book: string,
    correlation: string,
  ): Promise<Answer | Refusal> {
    const asked = readBook(book, data, format, this.#limits);
    if ('ok' in asked) return asked;
    const { rules } = asked;
    const reason = this.#options.desk?.feedRefused(rules.feed);
    if (reason) return refusal('bad_request', { in: 'payload', field: '/rules/feed', reason });
    const outside = asked.commands.find(({ customer }) => !mayCommand(scope, customer));
    if (outside) return refusal('scope_missing', { customer: outside.customer });
    const commands = asked.commands.map((command): Placed => ({ ...command, rules, opens: true }));
    const answer = await this.#decided(commands, scope, correlation);
    return 'ok' in answer ? answer : { ok: true, ...answer };
  }

  /** Refused as a whole, or the result of each in order. */
  async #decided(
    commands: readonly Placed[],
    scope: IntegratorScope,
    correlation: string,
  ): Promise<{ results: Result[]; quoteHits: number } | Refusal> {
    const { length } = commands;
    if (!this.#room(scope.user, length))
      return refusal('overloaded', { reason: 'too many commands wait', commands: length });
    this.#inWorkNow(scope.user, length);
    try {
      // Quotes first: what is handed over in one go reaches the log in this order.
      const checked = commands.map(({ given }) => checkCommand(given, scope, this.#limits));
      let quoteHits = 0;
      const quoting = checked.map(async (one, i) => {
        if (!one.ok) return;
        const { opens, rules } = commands[i]!;
        if (one.isQuoted) {
          const quote = await this.#quote(one, commands[i]!);
          quoteHits += quote?.hit ? 1 : 0;
          one.body = { ...one.body, quote };
        } else if (opens && one.type === 'trade.add') one.body = { ...one.body, rules };
      });
      await Promise.all(quoting);
      const results = await Promise.all(
        checked.map(async (one, i): Promise<Result> => {
          const { customer, given } = commands[i]!;
          const result = one.ok ? await this.#request(one, customer, correlation) : { ...one, at: '' };
          this.#counters.decided(scope.user, result.ok ? 'ok' : result.code);
          return { id: ownId(given), ...result };
        }),
      );
      return { results, quoteHits };
    } finally {
      this.#inWorkNow(scope.user, -length);
    }
  }

  #quote({ body }: Checked, { user, rules }: Placed) {
    return this.#options.desk?.quote({ instrument: String(body['instrument']), user }, rules) ?? null;
  }

  #request({ id, type, body, timeoutMs }: Checked, customer: string, correlation: string): Promise<CommandResult> {
    return this.#options.door.request({ id, to: customerAddress(customer), type, body, timeoutMs, correlation });
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
