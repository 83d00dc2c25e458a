/** `gridtick backup DIR` and `gridtick restore DIR`. */
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { domain } from '#actors/mod';
import { makeBackup } from '../backup/backup.ts';
import { bytesOf, type Manifest } from '../backup/manifest.ts';
import { BackupRefused } from '../backup/refused.ts';
import { beginRestore, checkBackup, endRestore, restoreServers, restoreSettings } from '../backup/restore.ts';
import { ConfigError, type Config } from '../config/config.ts';
import { variable } from '../config/settings.ts';
import { withHistory } from './history_access.ts';
import { withLog } from './log_access.ts';

export const backupUsage = `gridtick backup DIR [--json]
  writes log, history and settings into DIR, which is empty or not there: of the installation on ${variable('dataDir')},
  running or not, or of the servers at ${variable('natsUrl')} and ${variable('clickhouseUrl')}`;
export const restoreUsage = `gridtick restore DIR [--json]
  checks every hash of the backup in DIR, and puts it into ${variable('dataDir')}, which is empty or not there`;

type Say = (line: string) => void;

function directoryOf(args: readonly string[], usage: string): { directory: string; isJson: boolean } {
  let parsed;
  try {
    parsed = parseArgs({
      args: [...args],
      options: { json: { type: 'boolean' } },
      strict: true,
      allowPositionals: true,
    });
  } catch (error) {
    throw new ConfigError(`${(error as Error).message}\n\n${usage}`);
  }
  const [directory, ...rest] = parsed.positionals;
  if (directory === undefined || rest.length > 0) throw new ConfigError(usage);
  return { directory: resolve(directory), isJson: parsed.values.json === true };
}

/** Tells how far it is, at most twice a second. */
function progress(tell: Say): (share: number, what: string) => void {
  let toldAt = performance.now();
  return (share, what) => {
    if (performance.now() - toldAt < 500) return;
    toldAt = performance.now();
    tell(`${String(Math.floor(share * 100)).padStart(3)} %  ${what}`);
  };
}

/** @throws {BackupRefused} or {ConfigError} in words */
export async function backupCommand(config: Config, args: readonly string[], say: Say, tell: Say): Promise<0> {
  const { directory, isJson } = directoryOf(args, backupUsage);
  const manifest = await withLog(config, 'backup', ({ nc, partitions, clock, isRunning }) =>
    withHistory(config, isRunning, (clickhouse) =>
      makeBackup({ nc, clickhouse, partitions, clock, dataDir: config.dataDir, domain }, directory, progress(tell)),
    ),
  );
  for (const line of isJson ? [jsonOf(directory, manifest)] : linesOf(manifest)) say(line);
  if (!isJson) say(`backup in ${directory}`);
  return 0;
}

/** @throws {BackupRefused} or {ConfigError} in words; the data directory is as empty as before then */
export async function restoreCommand(config: Config, args: readonly string[], say: Say, tell: Say): Promise<0> {
  const { directory, isJson } = directoryOf(args, restoreUsage);
  const told = progress(tell);
  const manifest = await checkBackup(directory, told);
  const { partitions, logScale } = manifest;
  for (const [name, kept] of [['partitions', partitions] as const, ['logScale', logScale] as const])
    if (config.configured.has(name) && config[name] !== kept)
      throw new BackupRefused('does_not_fit', `the backup was made with ${variable(name)}=${kept}: set that`);
  const { dataDir } = config;
  beginRestore(dataDir, manifest);
  try {
    restoreSettings(dataDir, directory, manifest);
    for (const folder of ['nats', 'logs']) mkdirSync(join(dataDir, folder), { mode: 0o700 });
    const own = { ...config, partitions, logScale };
    await withLog(own, 'restore', ({ nc }) =>
      // Nothing runs on a directory that was empty.
      withHistory(own, false, (clickhouse) => restoreServers({ nc, clickhouse, domain }, directory, manifest, told)),
    );
    endRestore(dataDir, directory, manifest);
  } catch (error) {
    // It was empty before.
    for (const name of readdirSync(dataDir)) rmSync(join(dataDir, name), { recursive: true, force: true });
    throw error;
  }
  for (const line of isJson ? [jsonOf(directory, manifest)] : linesOf(manifest)) say(line);
  if (!isJson) {
    say(`restored into ${dataDir}; journals and books are those of the backup`);
    if (logScale !== config.logScale) say(`start it with ${variable('logScale')}=${logScale}, as it was`);
  }
  return 0;
}

function jsonOf(directory: string, manifest: Manifest): string {
  const { build, createdAt, partitions, logScale, cut, ledger } = manifest;
  const bytes = bytesOf(manifest);
  return JSON.stringify({ exitCode: 0, directory, build, createdAt, partitions, logScale, bytes, cut, ledger });
}

function* linesOf(manifest: Manifest): Generator<string> {
  const { build, createdAt, partitions, cut, ledger, history } = manifest;
  const rows = history.tables.reduce((sum, table) => sum + table.rows, 0);
  yield `made ${createdAt} by ${build}: ${(bytesOf(manifest) / 1e6).toFixed(1)} MB`;
  yield `${partitions} partitions, cut at ${cut.map(({ partition, sequence }) => `${partition}:${sequence}`).join(' ')}`;
  yield `${history.tables.length} tables, ${rows} rows`;
  yield ledger.hash === null ? `balances     ${ledger.balances}` : `ledger hash  ${ledger.hash}`;
}
