/**
 * The nats-server's configuration: one core account that owns all streams, one account without JetStream per integrator.
 *
 * A1 An integrator sees the republished public subjects of its scope, and of JetStream only INFO and MSG.NEXT of its own
 *    durables, under the API prefix `gridtick.js`. Commands enter by `in.<integrator>.>`, which is exported to it alone.
 *    Whatever it publishes elsewhere stays in its own account and is refused besides.
 * A2 The reply address of a request is rewritten by the server, so it cannot make the core account write anywhere.
 * A3 C, J, S, `pub.` and `pos.` are exported to nobody. Nobody outside core creates consumers.
 */
import { heardBy, type IntegratorScope } from './accounts_scope.ts';
import { publicKinds } from './streams.ts';
import { commandsOf, integratorApiPrefix } from './subjects.ts';

export interface Credentials {
  /** Letters, digits, `_` and `-`. */
  user: string;
  password: string;
}

/** Who may come by NATS besides core; what is not said is everything that is public. */
export interface IntegratorAccount extends Credentials, Partial<Omit<IntegratorScope, 'user'>> {}

export interface Accounts {
  /** User of engine, gateway and history. */
  core: Credentials;
  integrators?: readonly IntegratorAccount[];
}

export interface ServerConfigOptions {
  /** Address to listen on. @default '127.0.0.1' */
  host?: string;
  port: number;
  /** Directory of the JetStream store. */
  storeDir: string;
  /** What all streams together may reserve, bytes: `maxFileBytes({ partitions, scale })`. */
  maxFileBytes: number;
  /** For memory-backed consumer state, bytes. @default 256 MiB */
  maxMemoryBytes?: number;
  /** Name of the server in its logs. @default 'gridtick' */
  serverName?: string;
  /** Port of the HTTP monitoring page on 127.0.0.1. @default none */
  monitorPort?: number;
}

/** Name of the account file; nats-server looks for it beside the one that includes it. */
export const accountsFile = 'accounts.conf';

/** Largest message, bytes: a journal record may have 900 KiB. */
const maxPayloadBytes = 1024 * 1024;

/** Text of a `nats-server.conf`; the accounts stand in a file of their own beside it, as they change while it runs. */
export const renderServerConfig = (options: ServerConfigOptions): string =>
  text([
    `server_name: ${quote(options.serverName ?? 'gridtick')}`,
    `listen: ${quote(`${options.host ?? '127.0.0.1'}:${options.port}`)}`,
    ...(options.monitorPort === undefined ? [] : [`http: ${quote(`127.0.0.1:${options.monitorPort}`)}`]),
    `max_payload: ${maxPayloadBytes}`,
    'write_deadline: "10s"',
    'jetstream {',
    `  store_dir: ${quote(options.storeDir)}`,
    `  max_file_store: ${options.maxFileBytes}`,
    `  max_memory_store: ${options.maxMemoryBytes ?? 256 * 1024 * 1024}`,
    '}',
    `include ${quote(accountsFile)}`,
  ]);

const text = (lines: readonly string[]) => `${lines.join('\n')}\n`;

/** Text of the account file, which a running server reads again at its reload; holds passwords, so write it with mode 0600. */
export function renderAccounts({ core, integrators = [] }: Accounts): string {
  const users = [core, ...integrators].map((c) => c.user);
  const twice = users.find((user, i) => users.indexOf(user) !== i);
  if (twice !== undefined) throw new Error(`two NATS users are named '${twice}'`);
  const scoped = integrators.map((i) => new Integrator(i));
  return text(['accounts {', ...coreAccount(core, scoped), ...scoped.flatMap((i) => i.account()), '}']);
}

/** One integrator's part of the file: what core exports to it, and what it imports. */
class Integrator {
  /** Subject in core, local prefix, and how many messages answer. */
  readonly services: { subject: string; to: string; answers: 'singleton' | 'stream' }[];
  readonly hears: string[];
  readonly #credentials: Credentials;
  readonly name: string;

  constructor(integrator: IntegratorAccount) {
    const { user, hears = [...publicKinds], customers = 'all' } = integrator;
    this.#credentials = integrator;
    this.name = `INTEGRATOR_${legal(user)}`;
    const heard = heardBy({ user, hears: [...hears], customers });
    this.hears = heard.map(({ subject }) => subject);
    const commands = `${commandsOf(user)}.>`;
    this.services = [
      { subject: commands, to: commands, answers: 'singleton' },
      ...heard.flatMap(({ stream, consumer }) =>
        (
          [
            [`CONSUMER.INFO.${stream}.${consumer}`, 'singleton'],
            [`CONSUMER.MSG.NEXT.${stream}.${consumer}`, 'stream'],
          ] as const
        ).map(([request, answers]) => ({
          subject: `$JS.API.${request}`,
          to: `${integratorApiPrefix}.${request}`,
          answers,
        })),
      ),
    ];
  }

  account(): string[] {
    const { user, password } = this.#credentials;
    const mayHear = [...this.hears, '_INBOX.>'].map(quote).join(', ');
    const mayAsk = [`${integratorApiPrefix}.>`, `${commandsOf(user)}.>`].map(quote).join(', ');
    return [
      `  ${quote(this.name)} {`,
      `    users: [ { user: ${quote(user)}, password: ${quote(password)}`,
      `      permissions: { publish: [ ${mayAsk} ], subscribe: [ ${mayHear} ] } } ]`,
      '    imports: [',
      ...this.hears.map((subject) => `      { stream: { account: "CORE", subject: ${quote(subject)} } }`),
      ...this.services.map(
        ({ subject, to }) => `      { service: { account: "CORE", subject: ${quote(subject)} }, to: ${quote(to)} }`,
      ),
      '    ]',
      '  }',
    ];
  }
}

function coreAccount(core: Credentials, integrators: readonly Integrator[]): string[] {
  // An export without a list of accounts would be everybody's, so each is written from who hears it.
  const readers = new Map<string, string[]>();
  for (const { hears, name } of integrators)
    for (const subject of hears) readers.set(subject, [...(readers.get(subject) ?? []), name]);
  return [
    '  CORE {',
    '    jetstream: enabled',
    `    users: [ { user: ${quote(legal(core.user))}, password: ${quote(core.password)} } ]`,
    '    exports: [',
    ...[...readers].map(
      ([subject, accounts]) => `      { stream: ${quote(subject)}, accounts: [${accounts.map(quote).join(', ')}] }`,
    ),
    ...integrators.flatMap(({ services, name: account }) =>
      services.map(
        ({ subject, answers }) =>
          `      { service: ${quote(subject)}, response_type: "${answers}", accounts: [${quote(account)}] }`,
      ),
    ),
    '    ]',
    '  }',
  ];
}

function legal(user: string): string {
  if (!/^[\w-]+$/.test(user)) throw new Error(`illegal NATS user name: '${user}'`);
  return user;
}

/** A string of the configuration language; a control character could break out of it. */
function quote(value: string): string {
  if (/[\u0000-\u001f\u007f]/.test(value)) throw new Error('a control character in the NATS configuration');
  return `"${value.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
}
