/**
 * A backup back into an installation that holds nothing yet. Everything is read and checked before anything is written; what
 * came out is read again and held against the manifest.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { NatsConnection } from '@nats-io/transport-node';
import { apiCode, hasCode } from '../log/api.ts';
import { bounds, provision } from '../log/mod.ts';
import { verifyPartitions } from '../partition/verify.ts';
import { partitionList } from '../projections/journal.ts';
import { writeJson, writePrivate } from '../supervisor/files.ts';
import { ledgerAt, type Installed, type OnProgress } from './backup.ts';
import { checkHistoryFits, loadHistory } from './history_backup.ts';
import { loadLog } from './log_backup.ts';
import { bytesOf, checkFiles, readManifest, type Manifest } from './manifest.ts';
import { BackupRefused } from './refused.ts';

/** What stands for the scenario until everything is there: a start on it refuses. */
const unfinished = 'a restore that was never finished';

/** The manifest of a whole backup. @throws {BackupRefused} when a file is missing or not what was written */
export async function checkBackup(directory: string, onProgress: OnProgress = () => {}): Promise<Manifest> {
  const manifest = readManifest(directory);
  const all = Math.max(1, bytesOf(manifest));
  let read = 0;
  await checkFiles(directory, manifest, (bytes) => onProgress((read += bytes) / all, 'checking hashes'));
  return manifest;
}

/**
 * Puts the settings' files into a data directory that is empty or not there, marked as unfinished.
 * @throws {BackupRefused} `not_empty`
 */
export function beginRestore(dataDir: string, { partitions }: Manifest): void {
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  const found = readdirSync(dataDir);
  if (found.length > 0)
    throw new BackupRefused(
      'not_empty',
      `${dataDir} holds ${found.slice(0, 3).join(', ')} …: restore into an empty data directory`,
    );
  writeJson(join(dataDir, 'installation.json'), { scenario: unfinished, partitions });
}

/** The files beside the servers that must be there before these start: passwords and integrators. */
export function restoreSettings(dataDir: string, directory: string, manifest: Manifest): void {
  for (const [name, path] of settingsOf(manifest))
    if (name !== 'installation.json') writePrivate(join(dataDir, name), readFileSync(join(directory, path), 'utf8'));
}

/** Last: from now on a start takes the directory for an installation. */
export function endRestore(dataDir: string, directory: string, manifest: Manifest): void {
  const path = settingsOf(manifest).find(([name]) => name === 'installation.json')?.[1];
  const marker = join(dataDir, 'installation.json');
  if (path) writePrivate(marker, readFileSync(join(directory, path), 'utf8'));
  else if (existsSync(marker)) writeJson(marker, { scenario: 'empty', partitions: manifest.partitions });
}

/** Without the number that makes each a part. */
const settingsOf = ({ settings }: Manifest) =>
  settings.map(({ path }): [name: string, path: string] => [path.replace(/^.*\//, '').replace(/\.\d+$/, ''), path]);

/** Everything but the settings, into servers that hold nothing. The files have been checked. */
export async function restoreServers(
  { nc, clickhouse, domain }: Pick<Installed, 'nc' | 'clickhouse' | 'domain'>,
  directory: string,
  manifest: Manifest,
  onProgress: OnProgress = () => {},
): Promise<void> {
  const { partitions, logScale } = manifest;
  await checkLogFits(nc, manifest);
  await checkHistoryFits(clickhouse, manifest.history);
  await loadLog(nc, directory, manifest, (done, of, name) => onProgress((0.4 * done) / of, `log: ${name}`));
  await provision(nc, { partitions, scale: logScale });
  await loadHistory(clickhouse, directory, manifest.history, (done, of, name) =>
    onProgress(0.4 + (0.4 * done) / of, `history: ${name}`),
  );
  const verdicts = await verifyPartitions(nc, partitionList(partitions), (p) =>
    onProgress(0.8 + (0.1 * p) / partitions, `journal of partition ${p}`),
  );
  const [problem] = verdicts.flatMap(({ problems }) => problems);
  if (problem) throw new BackupRefused('not_the_same', problem);
  const { hash, balances } = await ledgerAt(nc, partitions, domain, manifest.cut, (p) =>
    onProgress(0.9 + (0.1 * p) / partitions, `books of partition ${p}`),
  );
  const wanted = manifest.ledger;
  // Behind a purge there is no hash over postings; a journal that was purged while its books were read has one again here.
  if (balances !== wanted.balances || (wanted.hash !== null && hash !== wanted.hash))
    throw new BackupRefused(
      'not_the_same',
      `the ledger hash is ${hash ?? balances}, not ${wanted.hash ?? wanted.balances}`,
    );
}

async function checkLogFits(nc: NatsConnection, { streams }: Manifest): Promise<void> {
  for (const { config } of streams) {
    try {
      await bounds(nc, config.name);
    } catch (error) {
      if (hasCode(error, apiCode.streamNotFound)) continue;
      throw error;
    }
    throw new BackupRefused('not_empty', `NATS has a stream ${config.name} already: restore into an empty one`);
  }
}
