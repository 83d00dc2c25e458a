/** nats-server as a child: log, journal and public streams under `<data>/nats`. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigError, isLoopback } from '../config/config.ts';
import { renderServerConfig } from '../log/accounts.ts';
import { maxFileBytes, type LogSize } from '../log/mod.ts';
import type { ChildSpec } from '../supervisor/child.ts';
import { findProgram, programVersion } from './program.ts';

export interface EmbeddedNats {
  dataDir: string;
  bind: string;
  port: number;
  /** Writes `accounts.conf` into the server's directory, which exists then. */
  writeAccounts(): void;
  size: LogSize;
}

const oldest = [2, 9, 10] as const;
/** From here on a network address is acceptable; what is older has published holes for whoever can reach it. */
const oldestOnNetwork = [2, 12, 7] as const;

/**
 * Writes the server's configuration; `writeAccounts` puts the accounts (with the passwords) beside it.
 * @throws {ConfigError} when the installed nats-server is too old for what is asked
 */
export function natsServer({ dataDir, bind, port, writeAccounts, size }: EmbeddedNats): ChildSpec {
  const command = findProgram('nats-server');
  checkVersion(programVersion(command), bind);
  const home = join(dataDir, 'nats');
  const configFile = join(home, 'server.conf');
  mkdirSync(home, { recursive: true, mode: 0o700 });
  const text = renderServerConfig({
    host: bind,
    port,
    storeDir: home,
    maxFileBytes: maxFileBytes(size),
  });
  writeFileSync(configFile, text, { mode: 0o600 });
  writeAccounts();
  return {
    role: 'nats',
    command,
    args: ['--config', configFile],
    env: { PATH: process.env.PATH, LANG: 'C.UTF-8' },
    isReady: (line) => line.includes('Server is ready'),
    // The file with the passwords is the owner's alone.
    warning: (line) =>
      !line.includes('Plaintext passwords detected') && / \[(WRN|ERR|FTL)\] |^nats-server: /.test(line) ? line : null,
  };
}

/** @throws {ConfigError} when that version may not serve on that address */
export function checkVersion(version: readonly [number, number, number], bind: string): void {
  const found = version.join('.');
  if (isOlder(version, oldest))
    throw new ConfigError(`nats-server ${found} is too old: ${oldest.join('.')} or newer is needed`);
  if (isOlder(version, oldestOnNetwork) && !isLoopback(bind)) {
    throw new ConfigError(
      `nats-server ${found} may listen on loopback only, not on ${bind}: install ${oldestOnNetwork.join('.')} or newer, ` +
        'or name a NATS of your own in GRIDTICK_NATS_URL',
    );
  }
}

const isOlder = (version: readonly number[], than: readonly number[]) => {
  const i = version.findIndex((part, at) => part !== than[at]);
  return i >= 0 && (version[i] ?? 0) < (than[i] ?? 0);
};
