/**
 * The history in ClickHouse (a server, or the embedded engine) into files, and back: every base table as tab-separated lines,
 * compressed, each file a whole number of rows. Positions are read before rows: a row behind its position is written again by
 * the sink, under the same key, and shows once; one that a position covers is never missing.
 */
import { Readable } from 'node:stream';
import { promisify } from 'node:util';
import { gunzip, gzip } from 'node:zlib';
import type { ClickHouseClient } from '@clickhouse/client';
import { migrate } from '../history/migrate.ts';
import { migrations } from '../history/migrations/mod.ts';
import type { KeptHistory, KeptTable } from './manifest.ts';
import { PartWriter, readParts } from './parts.ts';
import { BackupRefused } from './refused.ts';

const pack = promisify(gzip);
const unpack = promisify(gunzip);
/** Uncompressed bytes of a file, and of one insert. */
const fileBytes = 16 * 1024 * 1024;
/** Made by the migrations themselves. */
const ledgerOfMigrations = 'migrations';
const positionsFirst = ['sink_positions', 'reader_positions'];

const [newline, tab] = [0x0a, 0x09];

async function rowsOf<Row>(client: ClickHouseClient, query: string): Promise<Row[]> {
  return (await client.query({ query, format: 'JSONEachRow' })).json<Row>();
}

/** Names of the base tables; none when there is no history. */
const tablesOf = async (client: ClickHouseClient): Promise<string[]> =>
  (
    await rowsOf<{ name: string }>(
      client,
      `SELECT name FROM system.tables WHERE database = 'gridtick' AND engine LIKE '%MergeTree' ORDER BY name`,
    )
  ).map(({ name }) => name);

/** Told what is copied, and how many of how many tables are done. */
export type OnTable = (done: number, of: number, name: string) => void;

/** Writes into an existing directory. Memory: a few times 16 MiB. */
export async function saveHistory(
  client: ClickHouseClient,
  directory: string,
  onTable: OnTable = () => {},
): Promise<KeptHistory> {
  const names = await tablesOf(client);
  if (!names.includes(ledgerOfMigrations)) return { migrations: [], tables: [] };
  const applied = await rowsOf<{ number: number }>(
    client,
    `SELECT DISTINCT number FROM gridtick.${ledgerOfMigrations} ORDER BY number`,
  );
  const ordered = [
    ...positionsFirst.filter((name) => names.includes(name)),
    ...names.filter((name) => name !== ledgerOfMigrations && !positionsFirst.includes(name)),
  ];
  const tables: KeptTable[] = [];
  for (const [i, name] of ordered.entries()) {
    onTable(i, ordered.length, name);
    tables.push(await saveTable(client, directory, name));
  }
  return { migrations: applied.map(({ number }) => number), tables };
}

async function saveTable(client: ClickHouseClient, directory: string, name: string): Promise<KeptTable> {
  const columns = (
    await rowsOf<{ name: string }>(
      client,
      `SELECT name FROM system.columns WHERE database = 'gridtick' AND table = '${name}'
AND default_kind NOT IN ('ALIAS', 'MATERIALIZED') ORDER BY position`,
    )
  ).map((column) => column.name);
  const { stream } = await client.exec({
    query: `SELECT ${listOf(columns)} FROM gridtick.${name} FORMAT TabSeparated`,
  });
  const writer = new PartWriter(directory, `${name}.tsv.gz`, Infinity);
  let kept: Buffer[] = [];
  let bytes = 0;
  const counted = { rows: 0, tabs: 0 };
  let ending: number | undefined = newline;
  const end = async (last: Buffer) => {
    await writer.write(await pack(Buffer.concat([...kept, last])));
    await writer.next();
    kept = [];
    bytes = 0;
  };
  for await (const piece of stream as AsyncIterable<Buffer>) {
    for (const byte of piece) {
      if (byte === newline) counted.rows += 1;
      else if (byte === tab) counted.tabs += 1;
    }
    ending = piece.at(-1) ?? ending;
    const whole = bytes + piece.length < fileBytes ? 0 : piece.lastIndexOf(newline) + 1;
    if (whole > 0) await end(piece.subarray(0, whole));
    const rest = piece.subarray(whole);
    if (rest.length > 0) kept.push(rest);
    bytes += rest.length;
  }
  if (bytes > 0) await end(Buffer.alloc(0));
  // What fails on the way says so in the middle of the rows.
  if (ending !== newline || counted.tabs !== counted.rows * (columns.length - 1))
    throw new Error(`gridtick.${name} was not sent to its end, or with something between its rows`);
  return { name, columns, rows: counted.rows, files: await writer.end() };
}

const listOf = (columns: readonly string[]) => columns.map((column) => `\`${column}\``).join(', ');

/**
 * @throws {BackupRefused} when there are rows already, or the tables were made by a newer build; nothing is changed then
 */
export async function checkHistoryFits(client: ClickHouseClient, { migrations: applied }: KeptHistory): Promise<void> {
  const unknown = applied.find((number) => !migrations.some((migration) => migration.number === number));
  if (unknown !== undefined)
    throw new BackupRefused(
      'does_not_fit',
      `the history has migration ${unknown}, which this build does not know: use a newer build`,
    );
  for (const name of await tablesOf(client)) {
    if (name === ledgerOfMigrations) continue;
    const [found] = await rowsOf<{ rows: string }>(client, `SELECT count() AS rows FROM gridtick.${name}`);
    if (Number(found?.rows) > 0)
      throw new BackupRefused(
        'not_empty',
        `ClickHouse has rows in gridtick.${name} already: restore into an empty one`,
      );
  }
}

/** Creates the tables as they were and fills them; what this build has in addition comes with its start. */
export async function loadHistory(
  client: ClickHouseClient,
  directory: string,
  { migrations: applied, tables }: KeptHistory,
  onTable: OnTable = () => {},
): Promise<void> {
  if (applied.length === 0) return;
  await migrate(
    client,
    migrations.filter(({ number }) => applied.includes(number)),
  );
  // Positions last: until they are there nobody takes the rows for complete.
  for (const [i, { name, columns, files }] of tables.toReversed().entries()) {
    onTable(i, tables.length, name);
    for (const file of files) {
      const pieces: Uint8Array[] = [];
      for await (const piece of readParts(directory, [file])) pieces.push(piece);
      await client.insert({
        table: `gridtick.${name}`,
        columns: columns as [string, ...string[]],
        values: Readable.from([await unpack(Buffer.concat(pieces))], { objectMode: false }),
        format: 'TabSeparated',
      });
    }
  }
}
