/**
 * Who may come by NATS besides core, `<data>/integrators.json` (0600), and the account file that nats-server makes of it.
 * The file is what operators change, by `gridtick integrator`; a running nats-server takes changes in by a reload, and a
 * gateway by reading the file again.
 */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import Type, { type Static } from 'typebox';
import Value from 'typebox/value';
import { ConfigError, type Config } from '../config/config.ts';
import { accountsFile, renderAccounts } from '../log/accounts.ts';
import { customerKinds, integratorCommands, IntegratorScope, publicKinds } from '../log/mod.ts';
import { coreUser, integratorUser } from './endpoints.ts';
import { writeJson, writePrivate } from './files.ts';
import type { Secrets } from './secrets.ts';

const Stored = Type.Object(
  { ...IntegratorScope.properties, password: Type.String({ minLength: 1 }) },
  { additionalProperties: false },
);
/** One integrator as stored: what it may, and its password. */
export type Stored = Static<typeof Stored>;
const File = Type.Array(Stored, { maxItems: 256 });

const path = (dataDir: string) => join(dataDir, 'integrators.json');

/** Those that operators have added. @throws {ConfigError} when the file is there but is not one */
export function readIntegrators(dataDir: string): Stored[] {
  const file = path(dataDir);
  if (!existsSync(file)) return [];
  let content: unknown;
  try {
    content = JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    throw new ConfigError(`${file} is damaged: restore it from a copy`);
  }
  if (Value.Check(File, content)) return content;
  const [first] = Value.Errors(File, content);
  throw new ConfigError(`${file} is damaged at ${first?.instancePath || '/'}: ${first?.message ?? 'not a list'}`);
}

export const writeIntegrators = (dataDir: string, all: readonly Stored[]): void => writeJson(path(dataDir), all);

/**
 * What the integrator of every installation may: in a demo everything, else hear what says nothing about customers.
 * Its password is drawn with the others of the data directory.
 */
export const builtInScope = (config: Pick<Config, 'demo'>): IntegratorScope =>
  config.demo
    ? { user: integratorUser, hears: [...publicKinds], commands: [...integratorCommands], customers: 'all' }
    : {
        user: integratorUser,
        hears: publicKinds.filter((kind) => !customerKinds.includes(kind)),
        commands: [],
        customers: [],
      };

/** Scopes of all integrators, the built-in one first; without passwords. */
export const integratorScopes = (config: Pick<Config, 'demo' | 'dataDir'>): IntegratorScope[] => [
  builtInScope(config),
  ...readIntegrators(config.dataDir).map(({ password: _, ...scope }) => scope),
];

const lookEveryMs = 500;

/** Calls `onChange` within a second after the file has changed since this call, until the returned function is called. */
export function watchIntegrators(dataDir: string, onChange: () => void): () => void {
  const look = () => {
    const found = statSync(path(dataDir), { throwIfNoEntry: false });
    return found ? `${found.ino} ${found.mtimeMs} ${found.size}` : 'none';
  };
  // Looked at here and now: a watcher of the system's takes what it finds first, later, for what was there.
  let known = look();
  const timer = setInterval(() => {
    const found = look();
    if (found === known) return;
    known = found;
    onChange();
  }, lookEveryMs);
  timer.unref();
  return () => clearInterval(timer);
}

/** Writes the account file of the embedded nats-server, 0600: it holds the passwords. */
export function writeAccounts(config: Pick<Config, 'demo' | 'dataDir'>, secrets: Secrets): void {
  const text = renderAccounts({
    core: { user: coreUser, password: secrets.nats },
    integrators: [{ ...builtInScope(config), password: secrets.integrator }, ...readIntegrators(config.dataDir)],
  });
  writePrivate(join(config.dataDir, 'nats', accountsFile), text);
}
