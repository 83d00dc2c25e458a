/**
 * The nats-server's configuration: one core account that owns all streams, one account without JetStream per integrator.
 *
 * A1 An integrator sees the republished public subjects, and of JetStream only INFO and MSG.NEXT of its own durables, under
 *    the API prefix `gridtick.js`. Whatever it publishes elsewhere stays in its own account and is refused besides.
 * A2 The reply address of such a request is rewritten by the server, so it cannot make the core account write anywhere.
 * A3 C, J, S, `pub.` and `pos.` are exported to nobody. Nobody outside core creates consumers.
 */
import { integratorConsumer } from './provision.ts';
import { publicKinds, type PublicKind } from './streams.ts';
import { integratorApiPrefix, stream } from './subjects.ts';

export interface Credentials {
  /** Letters, digits, `_` and `-`. */
  user: string;
  password: string;
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
  /** User of engine, gateway and history. */
  core: Credentials;
  /** Readers of public subjects; `kinds` defaults to all. */
  integrators?: (Credentials & { kinds?: readonly PublicKind[] })[];
}

/** Largest message, bytes: a journal record may have 900 KiB. */
const maxPayloadBytes = 1024 * 1024;

/** Text of a `nats-server.conf`; holds passwords, so write it with mode 0600. */
export function renderServerConfig(options: ServerConfigOptions): string {
  const integrators = options.integrators ?? [];
  const users = [options.core, ...integrators].map((c) => c.user);
  const twice = users.find((user, i) => users.indexOf(user) !== i);
  if (twice !== undefined) throw new Error(`two NATS users are named '${twice}'`);
  const lines = [
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
    'accounts {',
    ...coreAccount(options.core, integrators),
    ...integrators.flatMap((i) => integratorAccount(i, i.kinds ?? publicKinds)),
    '}',
  ];
  return `${lines.join('\n')}\n`;
}

const accountOf = (user: string) => `INTEGRATOR_${user}`;

/** The two requests an integrator may make of its consumer on a kind's stream. */
const requestsOf = (user: string, kind: PublicKind) => {
  const consumer = `${stream.public(kind)}.${integratorConsumer(user)}`;
  return [
    { request: `CONSUMER.INFO.${consumer}`, answers: 'singleton' },
    { request: `CONSUMER.MSG.NEXT.${consumer}`, answers: 'stream' },
  ] as const;
};

function coreAccount(core: Credentials, integrators: NonNullable<ServerConfigOptions['integrators']>): string[] {
  const live = publicKinds.flatMap((kind) => {
    const readers = integrators.filter((i) => (i.kinds ?? publicKinds).includes(kind)).map((i) => accountOf(i.user));
    return readers.length === 0
      ? []
      : [`      { stream: ${quote(`${kind}.>`)}, accounts: [${readers.map(quote).join(', ')}] }`];
  });
  const requests = integrators.flatMap((i) =>
    (i.kinds ?? publicKinds).flatMap((kind) =>
      requestsOf(i.user, kind).map(
        ({ request, answers }) =>
          `      { service: ${quote(`$JS.API.${request}`)}, response_type: "${answers}", accounts: [${quote(accountOf(i.user))}] }`,
      ),
    ),
  );
  return [
    '  CORE {',
    '    jetstream: enabled',
    `    users: [ { user: ${quote(name(core.user))}, password: ${quote(core.password)} } ]`,
    '    exports: [',
    ...live,
    ...requests,
    '    ]',
    '  }',
  ];
}

function integratorAccount({ user, password }: Credentials, kinds: readonly PublicKind[]): string[] {
  const mayHear = [...kinds.map((kind) => `${kind}.>`), '_INBOX.>'].map(quote).join(', ');
  return [
    `  ${quote(accountOf(name(user)))} {`,
    `    users: [ { user: ${quote(user)}, password: ${quote(password)}`,
    `      permissions: { publish: [ ${quote(`${integratorApiPrefix}.>`)} ], subscribe: [ ${mayHear} ] } } ]`,
    '    imports: [',
    ...kinds.map((kind) => `      { stream: { account: "CORE", subject: ${quote(`${kind}.>`)} } }`),
    ...kinds.flatMap((kind) =>
      requestsOf(user, kind).map(
        ({ request }) =>
          `      { service: { account: "CORE", subject: ${quote(`$JS.API.${request}`)} }, to: ${quote(`${integratorApiPrefix}.${request}`)} }`,
      ),
    ),
    '    ]',
    '  }',
  ];
}

function name(user: string): string {
  if (!/^[\w-]+$/.test(user)) throw new Error(`illegal NATS user name: '${user}'`);
  return user;
}

/** A string of the configuration language; a control character could break out of it. */
function quote(text: string): string {
  if (/[\u0000-\u001f\u007f]/.test(text)) throw new Error('a control character in the NATS configuration');
  return `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
}
