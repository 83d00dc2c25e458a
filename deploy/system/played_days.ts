/** Recorded days on a clock of their own, undisturbed or under kill -9; afterwards all that they left is brought to hashes. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { createClient } from '@clickhouse/client';
import type { DaysReport } from '#engine/supervisor/days_report';
import { Installation, until } from './installation.ts';
import { countOf, killAtRandom, type KillOptions } from './kills.ts';

const root = join(import.meta.dirname, '../..');

/** Where a row stands in the journal and when it came in: these differ between two runs of the same days. */
const ownOfARun = ['partition', 'sequence', 'index', 'received_at', 'ingested_at'];
/** The version of a row of consumption is a journal position too. */
const isOwnOfARun = (view: string, column: string) =>
  ownOfARun.includes(column) || (view === 'consumption' && column === 'version');

/**
 * Not compared: these tell of connections, and a charger that lost its line says so, boots and tells its status again.
 * `ocpp_messages` is the trace of the sockets, in which a message that was sent twice stands twice.
 */
const aboutConnections = ['charger_events', 'ocpp_messages'];

export interface PlayedDays {
  report: DaysReport;
  /** View → its number of rows, and their hash whatever their order. */
  views: Record<string, { rows: number; hash: string }>;
  ledgerHash: string;
  wallMs: number;
  /** What was killed, in order; null: nothing. */
  kills: string[] | null;
  installation: Installation;
}

export interface PlayOptions {
  /** Arguments of `gridtick up`. */
  args: readonly string[];
  env?: Readonly<Record<string, string>>;
  kills?: KillOptions;
  limitMs: number;
  say(text: string): void;
}

/** Plays the days on an empty data directory. The installation still runs afterwards; the caller disposes of it. */
export async function playDays({ args, env, kills, limitMs, say }: PlayOptions): Promise<PlayedDays> {
  const installation = new Installation({ args, ...(env && { env }) });
  const startedAt = performance.now();
  const file = join(installation.dataDir, 'report.json');
  try {
    await installation.start();
    let killed: string[] | null = null;
    if (kills) {
      const killings = await killAtRandom(installation, kills);
      if (existsSync(file)) throw new Error('the days were over before the last kill: play them more slowly');
      killed = killings.kills.flatMap(({ victims }) => victims);
      say(`${countOf(killings.kills)} kills: ${killed.join(', ')}`);
    }
    await until('the report of the days', limitMs, () => (existsSync(file) ? true : undefined));
    const wallMs = Math.round(performance.now() - startedAt);
    const report = JSON.parse(readFileSync(file, 'utf8')) as DaysReport;
    const [views, ledgerHash] = [await viewsOf(installation), await ledgerHashOf(installation)];
    say(`played in ${(wallMs / 1_000).toFixed(0)} s: ${JSON.stringify(report)}`);
    return { report, views, ledgerHash, wallMs, kills: killed, installation };
  } catch (error) {
    await installation.dispose(true);
    throw error;
  }
}

/** Runs `gridtick` on the installation's data; rejects when it exits with an error. */
export async function gridtick(installation: Installation, ...args: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(process.execPath, [join(root, 'dist/engine/cli.js'), ...args], {
    env: { PATH: process.env.PATH, GRIDTICK_DATA_DIR: installation.dataDir },
    maxBuffer: 64 * 1024 * 1024,
    timeout: 600_000,
  });
  return stdout;
}

async function ledgerHashOf(installation: Installation): Promise<string> {
  const { hash } = JSON.parse(await gridtick(installation, 'ledger-hash', '--json')) as { hash: string };
  return hash;
}

/** Every view of the history but those about connections, without what differs between two runs. */
const viewsOf = (installation: Installation) =>
  hashesOfViews(installation, {
    leaveOut: aboutConnections,
    isCompared: (view, column) => !isOwnOfARun(view, column),
  });

/** View → its number of rows, and the hash of its chosen columns whatever the rows' order. */
export async function hashesOfViews(
  installation: Installation,
  { leaveOut, isCompared }: { leaveOut: readonly string[]; isCompared(view: string, column: string): boolean },
): Promise<PlayedDays['views']> {
  const { clickhouse } = JSON.parse(readFileSync(join(installation.dataDir, 'secrets.json'), 'utf8')) as {
    clickhouse: string;
  };
  const client = createClient({
    url: installation.endpoints.clickhouse,
    username: 'gridtick',
    password: clickhouse,
    request_timeout: 300_000,
  });
  const read = async <T>(query: string, query_params: Record<string, unknown> = {}) =>
    (await client.query({ query, query_params, format: 'JSONEachRow' })).json<T>();
  try {
    const views: PlayedDays['views'] = {};
    const tables = await read<{ name: string }>(
      `SELECT name FROM system.tables WHERE database = 'gridtick' AND engine = 'View' ORDER BY name`,
    );
    for (const { name } of tables) {
      if (leaveOut.includes(name)) continue;
      const columns = await read<{ name: string }>(
        `SELECT name FROM system.columns WHERE database = 'gridtick' AND table = {name:String} ORDER BY position`,
        { name },
      );
      const compared = columns.map((column) => column.name).filter((column) => isCompared(name, column));
      const row = `cityHash64(toString(tuple(${compared.map((column) => `\`${column}\``).join(', ')})))`;
      // A sum of hashes is the same in every order and differs for a row too many.
      const [found] = await read<{ rows: string; sum: string; mix: string }>(
        `SELECT count() AS rows, sum(${row}) AS sum, groupBitXor(${row}) AS mix FROM gridtick.\`${name}\``,
      );
      const hash = createHash('sha256').update(`${found!.sum} ${found!.mix}`).digest('hex').slice(0, 16);
      views[name] = { rows: Number(found!.rows), hash };
    }
    return views;
  } finally {
    await client.close();
  }
}
