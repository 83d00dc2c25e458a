/**
 * `<data>/installation.json`: what a data directory was created for. Prices and registers of two scenarios in one history
 * would contradict each other, and keys live in their partition for ever, so a start that asks for something else refuses.
 */
import { createHash } from 'node:crypto';
import { createReadStream, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { ConfigError, type Config } from '../config/config.ts';
import { variable } from '../config/settings.ts';
import type { ClockKind } from '../wire.ts';
import { writeJson } from './files.ts';

/**
 * `demo`, `demo:<seed>` for another seed than 1, `empty`, or `sessions:<hash of the file>/` with `<day>/<from>/<zone>` for a
 * day in real time, `<from>..<to>/<zone>/driven` for days on a clock of their own; how fast that runs may change.
 */
export async function scenarioOf(config: Config): Promise<string> {
  if (!config.demo) return 'empty';
  if (config.sessions === '') return config.seed === 1 ? 'demo' : `demo:${config.seed}`;
  const hash = createHash('sha256');
  try {
    await pipeline(createReadStream(config.sessions), hash);
  } catch (error) {
    throw new ConfigError(`--sessions ${config.sessions} cannot be read: ${(error as Error).message}`);
  }
  const file = `sessions:${hash.digest('hex').slice(0, 16)}`;
  if (config.clock === 'driven') return `${file}/${config.from}..${config.to}/${config.zone}/driven`;
  return `${file}/${config.day}/${config.from || '00:00'}/${config.zone}`;
}

interface Kept {
  scenario: string;
  partitions: number;
}
const fileOf = (dataDir: string) => join(dataDir, 'installation.json');

/** What a data directory was created with; null when nothing was. */
export function keptInstallation(dataDir: string): { partitions: number; clock: ClockKind } | null {
  if (!existsSync(fileOf(dataDir))) return null;
  const { scenario, partitions } = JSON.parse(readFileSync(fileOf(dataDir), 'utf8')) as Kept;
  return { partitions, clock: scenario.endsWith('/driven') ? 'driven' : 'wall' };
}

/** @throws {ConfigError} when the directory belongs to another scenario or has other partitions */
export async function keepScenario(config: Config): Promise<void> {
  const path = fileOf(config.dataDir);
  const wanted: Kept = { scenario: await scenarioOf(config), partitions: config.partitions };
  if (!existsSync(path)) return writeJson(path, { ...wanted, createdAt: new Date().toISOString() });
  const kept = JSON.parse(readFileSync(path, 'utf8')) as Kept;
  const elsewhere = `or set ${variable('dataDir')} to another directory`;
  if (kept.scenario !== wanted.scenario) {
    throw new ConfigError(
      `${config.dataDir} holds the scenario '${kept.scenario}', this start asks for '${wanted.scenario}': ` +
        `start with the same options as the first time, ${elsewhere}`,
    );
  }
  if (kept.partitions !== wanted.partitions) {
    throw new ConfigError(
      `${config.dataDir} was created with ${kept.partitions} partitions: set ${variable('partitions')}=${kept.partitions}, ${elsewhere}`,
    );
  }
}
