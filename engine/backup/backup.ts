/** A backup of an installation, running or not: log, history, and the files that make it whole. */
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ClickHouseClient } from '@clickhouse/client';
import type { NatsConnection } from '@nats-io/transport-node';
import type { Domain } from '#actors/actor';
import { stream } from '../log/mod.ts';
import type { StreamConfig } from '../log/stream_image.ts';
import { streamBytes } from '../log/streams.ts';
import { compileDomain } from '../partition/catalogue.ts';
import { readLedgerHash } from '../partition/ledger_reader.ts';
import { jetstreamSource, type ReplaySource } from '../partition/replay_source.ts';
import { partitionList } from '../projections/journal.ts';
import { build } from '../roles/build.ts';
import type { ClockKind } from '../wire.ts';
import type { CutAt } from './cut.ts';
import { saveHistory } from './history_backup.ts';
import { oldestSnapshotAt, saveLog } from './log_backup.ts';
import { writeManifest, type KeptStream, type Manifest } from './manifest.ts';
import { PartWriter, type Part } from './parts.ts';
import { BackupRefused } from './refused.ts';

/** What an installation consists of for a backup of it. */
export interface Installed {
  nc: NatsConnection;
  clickhouse: ClickHouseClient;
  partitions: number;
  clock: ClockKind;
  /** Its files; may hold none of them where servers and passwords are configured. */
  dataDir: string;
  domain: Domain;
}

/** Told what is under way; `share` of the whole that is done, 0 to 1, by count of things, not of bytes. */
export type OnProgress = (share: number, what: string) => void;

/** What an installation keeps beside its servers, in files of its own. */
export const settingsFiles = ['installation.json', 'secrets.json', 'integrators.json'] as const;

/** Folders of a backup. */
export const folders = { log: 'log', history: 'history', settings: 'settings' } as const;

/**
 * Writes into an empty directory, or one that is made.
 * @throws {BackupRefused} `not_empty`, `purged_meanwhile`; what was written then has no manifest and is no backup
 */
export async function makeBackup(
  { nc, clickhouse, partitions, clock, dataDir, domain }: Installed,
  directory: string,
  onProgress: OnProgress = () => {},
): Promise<Manifest> {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  if (readdirSync(directory).length > 0)
    throw new BackupRefused('not_empty', `${directory} is not empty: name a directory that is, or none`);
  for (const folder of Object.values(folders)) mkdirSync(join(directory, folder), { mode: 0o700 });
  // The history first: it is never ahead of the journals then, and catches up from them.
  const history = await saveHistory(clickhouse, directoryOf(directory, 'history'), (done, of, name) =>
    onProgress((0.4 * done) / of, `history: ${name}`),
  );
  const log = await saveLog(nc, partitions, directoryOf(directory, 'log'), (done, of, name) =>
    onProgress(0.4 + (0.4 * done) / of, `log: ${name}`),
  );
  const { hash, balances } = await ledgerAt(nc, partitions, domain, log.cut, (p) =>
    onProgress(0.8 + (0.2 * p) / partitions, `books of partition ${p}`),
  );
  const manifest: Manifest = {
    format: 'gridtick-backup',
    version: 1,
    build,
    createdAt: new Date().toISOString(),
    partitions,
    logScale: scaleOf(log.streams),
    clock,
    cut: log.cut,
    ledger: { hash, balances },
    streams: log.streams.map((kept) => ({ ...kept, image: within('log', kept.image), tail: within('log', kept.tail) })),
    history: {
      ...history,
      tables: history.tables.map((table) => ({ ...table, files: within('history', table.files) })),
    },
    settings: within('settings', await saveSettings(dataDir, directoryOf(directory, 'settings'))),
  };
  await writeManifest(directory, manifest);
  return manifest;
}

/** The factor that the streams were made with, whatever the settings of this call. */
function scaleOf(streams: readonly KeptStream[]): number {
  const { max_bytes: bytes } = streams.find(({ config }) => config.name === stream.journal(0))!.config as StreamConfig;
  return Number((Number(bytes) / streamBytes.journal).toPrecision(6));
}

const directoryOf = (directory: string, folder: keyof typeof folders) => join(directory, folders[folder]);
const within = (folder: keyof typeof folders, parts: readonly Part[]): Part[] =>
  parts.map((part) => ({ ...part, path: `${folders[folder]}/${part.path}` }));

async function saveSettings(dataDir: string, directory: string): Promise<Part[]> {
  const parts: Part[] = [];
  for (const name of settingsFiles) {
    if (!existsSync(join(dataDir, name))) continue;
    const writer = new PartWriter(directory, name);
    await writer.write(readFileSync(join(dataDir, name)));
    parts.push(...(await writer.end()));
  }
  return parts;
}

/** The ledger hash of all partitions at a cut. */
export async function ledgerAt(
  nc: NatsConnection,
  partitions: number,
  domain: Domain,
  cut: readonly Pick<CutAt, 'partition' | 'sequence'>[],
  onPartition: (partition: number) => void = () => {},
): Promise<{ hash: string | null; balances: string }> {
  const sources: ReplaySource[] = [];
  for (const p of partitionList(partitions)) {
    const last = cut.find(({ partition }) => partition === p)?.sequence ?? 0;
    const source = await jetstreamSource(nc, p, partitions);
    if (source.journal.first > 1 && (await oldestSnapshotAt(nc, p)) > last)
      throw new BackupRefused('purged_meanwhile', `J_${p} was purged up to the cut ${last} before its books were read`);
    sources.push({
      ...source,
      journal: { first: source.journal.first, last },
      records: (from) => {
        onPartition(p);
        return upTo(last, source.records(from));
      },
    });
  }
  const { hash, balances } = await readLedgerHash(sources, compileDomain(domain));
  return { hash, balances };
}

async function* upTo<Message extends { sequence: number }>(
  last: number,
  batches: AsyncIterable<readonly Message[]>,
): AsyncGenerator<readonly Message[]> {
  for await (const batch of batches) {
    yield batch.filter(({ sequence }) => sequence <= last);
    if (batch.at(-1)!.sequence >= last) return;
  }
}
