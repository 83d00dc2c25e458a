/** redis-server as a child: live state, sign-ins and rate limits, under `<data>/redis`. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ChildSpec } from '../supervisor/child.ts';
import { findProgram } from './program.ts';

export interface EmbeddedRedis {
  dataDir: string;
  bind: string;
  port: number;
  password: string;
}

/** About forks of giant stores, which this is not. */
const ordinary = /overcommit|Transparent Huge Pages/;

/** Writes the configuration (0600: it holds the password, which must not be an argument others can list). */
export function redisServer({ dataDir, bind, port, password }: EmbeddedRedis): ChildSpec {
  const home = join(dataDir, 'redis');
  const configFile = join(home, 'redis.conf');
  mkdirSync(home, { recursive: true, mode: 0o700 });
  const quoted = (text: string) => `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
  const lines = [
    `bind ${bind}`,
    `port ${port}`,
    'protected-mode yes',
    `requirepass ${quoted(password)}`,
    `dir ${quoted(home)}`,
    'daemonize no',
    // Sign-ins live here and nowhere else; everything else is a projection and could be rebuilt.
    'appendonly yes',
    'appendfsync everysec',
    // One copy on disk is enough.
    'save ""',
    'maxmemory-policy noeviction',
    'loglevel notice',
  ];
  writeFileSync(configFile, `${lines.join('\n')}\n`, { mode: 0o600 });
  return {
    role: 'redis',
    command: findProgram('redis-server'),
    args: [configFile],
    env: { PATH: process.env.PATH, LANG: 'C.UTF-8' },
    isReady: (line) => line.includes('Ready to accept connections'),
    // `pid:role date # text`: `#` marks warnings, but also the ordinary words of a start and a stop.
    warning: (line) =>
      / # .*(warning|error|fail|can't|bad|fatal|crash|corrupt)/i.test(line) && !ordinary.test(line) ? line : null,
  };
}
