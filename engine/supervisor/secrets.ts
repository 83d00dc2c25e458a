/** `<data>/secrets.json` (0600): passwords that were drawn once and hold as long as the data directory. */
import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeJson } from './files.ts';

const names = [
  'nats',
  'integrator',
  'redis',
  'clickhouse',
  'analyst',
  'operator',
  'admin',
  'customer',
  'trader',
  'quotes',
] as const;
export type Secrets = Record<(typeof names)[number], string>;

/**
 * The passwords of a data directory; what is missing is drawn (144 bits and more, URL-safe) and written before it is used.
 * @throws when the file is there but cannot be read: new passwords would lock people out
 */
export function openSecrets(dataDir: string): Secrets {
  const path = join(dataDir, 'secrets.json');
  const found: Partial<Record<string, unknown>> = existsSync(path) ? read(path) : {};
  const entries = names.map((name) => {
    const old = found[name];
    return [
      name,
      typeof old === 'string' && old !== '' ? old : randomBytes(name === 'quotes' ? 24 : 18).toString('base64url'),
    ] as const;
  });
  if (entries.some(([name, value]) => found[name] !== value))
    writeJson(path, { ...found, ...Object.fromEntries(entries) });
  chmodSync(path, 0o600);
  return Object.fromEntries(entries) as Secrets;
}

function read(path: string): Record<string, unknown> {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;
  } catch {
    throw new Error(`${path} is damaged: restore it from a copy; without it nobody can sign in to this data`);
  }
}
