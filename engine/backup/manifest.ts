/** `manifest.json`: what a backup is, written last. A directory without it is no backup. */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import Type, { type Static } from 'typebox';
import Value from 'typebox/value';
import { writeJson } from '../supervisor/files.ts';
import { checkParts, Part } from './parts.ts';
import { BackupRefused } from './refused.ts';

const Sequence = Type.Integer({ minimum: 0 });

/** A stream: the server's image of it, and what its journal held behind that up to the cut. */
const KeptStream = Type.Object({
  config: Type.Object({ name: Type.String() }, { additionalProperties: true }),
  state: Type.Object(
    { messages: Sequence, bytes: Sequence, first_seq: Sequence, last_seq: Sequence },
    { additionalProperties: true },
  ),
  image: Type.Array(Part),
  tail: Type.Array(Part),
});
export type KeptStream = Static<typeof KeptStream>;

const KeptCut = Type.Object({
  partition: Sequence,
  sequence: Sequence,
  offset: Sequence,
  epoch: Sequence,
  batch: Sequence,
  hash: Type.String(),
  now: Sequence,
});

const KeptTable = Type.Object({
  name: Type.String({ pattern: '^[a-z_]+$' }),
  columns: Type.Array(Type.String({ pattern: '^[a-z_0-9]+$' })),
  rows: Sequence,
  files: Type.Array(Part),
});
export type KeptTable = Static<typeof KeptTable>;

const KeptHistory = Type.Object({
  /** Numbers of the migrations that the tables have. */
  migrations: Type.Array(Sequence),
  tables: Type.Array(KeptTable),
});
export type KeptHistory = Static<typeof KeptHistory>;

const KeptLedger = Type.Object({
  hash: Type.Union([Type.String(), Type.Null()]),
  balances: Type.String(),
});

export const Manifest = Type.Object({
  format: Type.Literal('gridtick-backup'),
  version: Type.Literal(1),
  build: Type.String(),
  createdAt: Type.String(),
  partitions: Type.Integer({ minimum: 1 }),
  logScale: Type.Number(),
  clock: Type.Enum(['wall', 'driven']),
  /** Per partition; one whose journal is empty has none. */
  cut: Type.Array(KeptCut),
  /** Of all books at the cut. */
  ledger: KeptLedger,
  streams: Type.Array(KeptStream),
  history: KeptHistory,
  /** Files of the data directory. */
  settings: Type.Array(Part),
});
export type Manifest = Static<typeof Manifest>;

const fileName = 'manifest.json';
const digestOf = (manifest: Manifest) => createHash('sha256').update(JSON.stringify(manifest)).digest('hex');

export async function writeManifest(directory: string, manifest: Manifest): Promise<void> {
  writeJson(join(directory, fileName), { sha256: digestOf(manifest), manifest });
  // The names of all files, too, are on the disk.
  const handle = await open(directory);
  await handle.sync();
  await handle.close();
}

/** @throws {BackupRefused} when there is none, or it is not what was written */
export function readManifest(directory: string): Manifest {
  const path = join(directory, fileName);
  if (!existsSync(path))
    throw new BackupRefused(
      'no_backup',
      `${directory} holds no ${fileName}: it is no backup, or one that was never finished`,
    );
  const bad = (what: string) => new BackupRefused('bad_manifest', `${path} ${what}`);
  let content: unknown;
  try {
    content = JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    throw bad('is cut off or damaged');
  }
  const { sha256, manifest } = (content ?? {}) as { sha256?: unknown; manifest?: Manifest };
  if (manifest === undefined || digestOf(manifest) !== sha256)
    throw bad('is not what was written: its SHA-256 differs');
  if (Value.Check(Manifest, manifest)) return manifest;
  const [first] = Value.Errors(Manifest, manifest);
  throw bad(`is of a kind that this build does not know (${first?.instancePath ?? '/'}): use a newer build`);
}

const filesOf = ({ streams, history, settings }: Manifest): Part[] => [
  ...streams.flatMap(({ image, tail }) => [...image, ...tail]),
  ...history.tables.flatMap(({ files }) => files),
  ...settings,
];

export const bytesOf = (manifest: Manifest): number => filesOf(manifest).reduce((sum, { bytes }) => sum + bytes, 0);

/** Reads every file of a backup. @throws {BackupRefused} at the first that is missing or not what was written */
export const checkFiles = (directory: string, manifest: Manifest, onBytes?: (bytes: number) => void) =>
  checkParts(directory, filesOf(manifest), onBytes);
