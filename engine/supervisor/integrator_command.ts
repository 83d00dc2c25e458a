/** `gridtick integrator add | list | remove`: changes `integrators.json`, and a running installation with it. */
import { randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { AuthorizationError, type NatsConnection } from '@nats-io/transport-node';
import Value from 'typebox/value';
import { ConfigError, type Config } from '../config/config.ts';
import { commandsOf } from '../log/subjects.ts';
import { connectLog, integratorCommands, IntegratorScope, provisionIntegrator, removeIntegrator } from '../log/mod.ts';
import { coreUser, integratorUser, runningNatsUrl } from './endpoints.ts';
import { integratorScopes, readIntegrators, writeAccounts, writeIntegrators, type Stored } from './integrators.ts';
import { PidFile } from './pid_file.ts';
import { openSecrets } from './secrets.ts';

export const integratorUsage = `gridtick integrator add NAME [--hears KIND,…] [--commands TYPE,…|all] [--customers ID,…|all]
gridtick integrator remove NAME
gridtick integrator list

Without options it hears price and load, commands nothing, and is nobody's: no customer's battery, trades or ledger.
Commands: ${integratorCommands.join(', ')}`;

const options = {
  hears: { type: 'string', default: 'price,load' },
  commands: { type: 'string', default: '' },
  customers: { type: 'string', default: '' },
} as const;

/** @throws {ConfigError} with what is wrong about the command line or the state of the installation */
export async function integratorCommand(config: Config, args: readonly string[], say: (line: string) => void) {
  let parsed;
  try {
    parsed = parseArgs({ args: [...args], options, strict: true, allowPositionals: true });
  } catch (error) {
    throw new ConfigError(`${(error as Error).message}\n\n${integratorUsage}`);
  }
  const [verb, user, ...rest] = parsed.positionals;
  if (verb === 'list' && user === undefined) return list(config, say);
  if (user === undefined || rest.length > 0 || (verb !== 'add' && verb !== 'remove'))
    throw new ConfigError(integratorUsage);
  if (user === integratorUser || user === coreUser)
    throw new ConfigError(`'${user}' belongs to the installation itself`);
  if (verb === 'add') await add(config, scopeOf(user, parsed.values), say);
  else await remove(config, user, say);
}

const words = (text: string) => [...new Set(text.split(',').filter((word) => word !== ''))];

/** What the options grant. @throws {ConfigError} that names the word that cannot be */
function scopeOf(user: string, { hears, commands, customers }: { hears: string; commands: string; customers: string }) {
  const scope = {
    user,
    hears: words(hears),
    commands: commands === 'all' ? [...integratorCommands] : words(commands),
    customers: customers === 'all' ? 'all' : words(customers),
  };
  if (Value.Check(IntegratorScope, scope)) return scope;
  const [first] = Value.Errors(IntegratorScope, scope);
  const where = (first?.instancePath ?? '').split('/').filter(Boolean);
  const wrong = where.reduce<unknown>((part, key) => (part as Record<string, unknown>)[key], scope);
  throw new ConfigError(`${where[0] ?? 'it'} cannot be '${String(wrong)}'\n\n${integratorUsage}`);
}

async function add(config: Config, scope: IntegratorScope, say: (line: string) => void) {
  const all = readIntegrators(config.dataDir);
  if (all.some(({ user }) => user === scope.user))
    throw new ConfigError(`there is an integrator '${scope.user}' already`);
  const password = randomBytes(18).toString('base64url');
  mkdirSync(config.dataDir, { recursive: true, mode: 0o700 });
  writeIntegrators(config.dataDir, [...all, { ...scope, password }]);
  await inForce(config, say, async (core, url, reload) => {
    await provisionIntegrator(core, scope);
    await until(async () => (await mayComeIn(url, scope.user, password)) === true);
    // nats-server 2.9 connects the requests of a new account when it reloads once more.
    reload();
    await until(() => isAnswered(core, url, scope.user, password));
    await until(() => staysIn(url, scope.user, password));
  });
  say(`user ${scope.user}, password ${password}`);
}

async function remove(config: Config, user: string, say: (line: string) => void) {
  const all = readIntegrators(config.dataDir);
  const found = all.find((one) => one.user === user);
  if (!found) throw new ConfigError(`there is no integrator '${user}'`);
  writeIntegrators(
    config.dataDir,
    all.filter((one) => one !== found),
  );
  const { password, ...scope } = found satisfies Stored;
  await inForce(config, say, async (core, url) => {
    await until(async () => (await mayComeIn(url, user, password)) === false);
    await removeIntegrator(core, scope);
  });
  say(`${user} is gone`);
}

function list(config: Config, say: (line: string) => void) {
  const shown = (words: readonly string[] | 'all') => (words === 'all' ? 'all' : words.join(', ') || 'none');
  for (const { user, hears, commands, customers } of integratorScopes(config)) {
    say(`${user}\n  hears      ${shown(hears)}\n  commands   ${shown(commands)}\n  customers  ${shown(customers)}`);
  }
}

/** Makes the running nats-server read its accounts again, and waits by `seen` until it has; else the next start does. */
async function inForce(
  config: Config,
  say: (line: string) => void,
  seen: (core: NatsConnection, url: string, reload: () => void) => Promise<void>,
) {
  if (config.natsUrl !== '')
    return say('the gateways know; give your own NATS the account: deploy/docs/integrators.md says what it holds');
  const url = runningNatsUrl(config);
  const pid = PidFile.living(config.dataDir, 'nats');
  if (url === null || pid === null) return say('nothing runs on this data: in force from the next start');
  const reload = () => void process.kill(pid, 'SIGHUP');
  // Before the reload: amid one the server may not know any user for a moment.
  const core = await connectLog(url, 'integrators', { waitForFirst: false });
  try {
    writeAccounts(config, openSecrets(config.dataDir));
    reload();
    await seen(core, url, reload);
  } finally {
    await core.close();
  }
}

/** Whether that login is taken; null when the server could not be asked. */
async function mayComeIn(core: string, user: string, password: string): Promise<boolean | null> {
  try {
    await (await connectLog(loginUrl(core, user, password), 'integrators', { waitForFirst: false })).close();
    return true;
  } catch (error) {
    return error instanceof AuthorizationError ? false : null;
  }
}

/** Whether that login is taken again and again, so that no reload is under way any more. */
async function staysIn(core: string, user: string, password: string): Promise<boolean> {
  for (let times = 0; times < 5; times++) {
    if ((await mayComeIn(core, user, password)) !== true) return false;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return true;
}

/** Whether a request of that user comes through to the core account and back. */
async function isAnswered(core: NatsConnection, url: string, user: string, password: string): Promise<boolean> {
  const answerer = core.subscribe(`${commandsOf(user)}.added`, { callback: (_, message) => void message.respond() });
  let nc: NatsConnection | undefined;
  try {
    // While the server reloads for the second time, it may not know the user any more for a moment.
    nc = await connectLog(loginUrl(url, user, password), 'integrators', { waitForFirst: false });
    await core.flush();
    await nc.request(`${commandsOf(user)}.added`, '', { timeout: 1_000 });
    return true;
  } catch {
    return false;
  } finally {
    answerer.unsubscribe();
    await nc?.close();
  }
}

function loginUrl(core: string, user: string, password: string): string {
  const url = new URL(core);
  url.username = user;
  url.password = password;
  return url.href;
}

async function until(done: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!(await done())) {
    if (Date.now() > deadline) throw new ConfigError('nats-server did not take the change in: see logs/nats.log');
    await sleep(100);
  }
}
