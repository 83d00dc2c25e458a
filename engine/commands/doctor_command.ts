/** `gridtick doctor`: everything that can be looked at from outside, and what to do about what is wrong. */
import { execFile } from 'node:child_process';
import { existsSync, statfsSync } from 'node:fs';
import { promisify } from 'node:util';
import { createClient } from '@clickhouse/client';
import { Redis } from 'ioredis';
import { ConfigError, type Config } from '../config/config.ts';
import { checkWhole, commandBounds, journalBounds, snapshotBounds, type Bounds } from '../log/mod.ts';
import { readWitnesses } from '../partition/witnesses.ts';
import { readEndpoints } from '../supervisor/endpoints.ts';
import { withRunning, type RunningAccess } from '../supervisor/log_access.ts';
import { argumentsOf, jsonLine, type Screen } from './command.ts';
import { readersOf, standingsOf } from './standing.ts';

export const doctorUsage = `gridtick doctor [--json]
  checks versions, disk space, streams against their bounds and for what they lack, clocks, owners, readers and readiness of the installation on
  GRIDTICK_DATA_DIR: exit code 0 = all well, 1 = something is wrong, 2 = something wants attention`;

type Level = 'ok' | 'warning' | 'problem';
interface Finding {
  check: string;
  level: Level;
  found: string;
  /** null: nothing. */
  advice: string | null;
}

const gib = 1024 ** 3;

export async function doctorCommand(
  config: Config,
  args: readonly string[],
  { say, tell }: Screen,
): Promise<0 | 1 | 2> {
  const { values, words } = argumentsOf(args, { json: { type: 'boolean' } }, doctorUsage);
  if (words.length > 0) throw new ConfigError(doctorUsage);
  const findings: Finding[] = [];
  const note = (check: string, level: Level, found: string, advice: string | null = null) =>
    findings.push({ check, level, found, advice: level === 'ok' ? null : advice });
  tell('looking');
  versionOfNode(note);
  diskOf(config, note);
  try {
    await withRunning(config, 'doctor', async (access) => {
      natsVersion(config, access, note);
      await clockOf(access, note);
      await streamsOf(access, note);
      await partitionsOf(access, note);
      await redisOf(access, note);
      await historyOf(access, note);
      await readyOf(config, note);
    });
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    note('running', 'problem', error.message, 'npm start; everything else can only be seen while it runs');
    await natsProgram(note);
  }
  const exitCode = findings.some(({ level }) => level === 'problem')
    ? 1
    : findings.some(({ level }) => level === 'warning')
      ? 2
      : 0;
  if (values.json) say(jsonLine({ exitCode, findings }));
  else
    for (const { check, level, found, advice } of findings) {
      say(`${{ ok: '✓', warning: '!', problem: '✗' }[level]} ${check.padEnd(12)} ${found}`);
      if (advice !== null) say(`               ${advice}`);
    }
  return exitCode;
}

type Note = (check: string, level: Level, found: string, advice?: string) => void;

/** Whether `version` is `least` or newer. */
function isAtLeast(version: string, least: string): boolean {
  const [a, b] = [version, least].map((text) => text.replace(/^v/, '').split('.').map(Number)) as [number[], number[]];
  for (let i = 0; i < 3; i++) if ((a[i] ?? 0) !== (b[i] ?? 0)) return (a[i] ?? 0) > (b[i] ?? 0);
  return true;
}

function versionOfNode(note: Note) {
  const { version } = process;
  note('node', isAtLeast(version, '20.20.0') ? 'ok' : 'problem', version, 'install Node 20.20 or newer');
}

function natsVersion(config: Config, { nc }: RunningAccess, note: Note) {
  const version = nc.info?.version ?? 'unknown';
  const isLoopback = config.natsUrl === '' && ['127.0.0.1', '::1'].includes(config.bind);
  if (!isAtLeast(version, '2.9.10')) note('nats', 'problem', version, 'install nats-server 2.9.10 or newer');
  else if (/^2\.10\.2[0-2]$/.test(version))
    note(
      'nats',
      'problem',
      `${version} could lose a stream of three replicas after kill -9`,
      'install 2.10.23 or newer',
    );
  else if (!isLoopback && !isAtLeast(version, '2.12.7'))
    note(
      'nats',
      'warning',
      `${version}, not on loopback only`,
      'before 2.12.7 there are published security advisories: update it',
    );
  else note('nats', 'ok', version);
}

/** Of the program that a start would take. */
async function natsProgram(note: Note) {
  for (const [check, program, package_] of [
    ['nats', 'nats-server', 'nats-server'],
    ['redis', 'redis-server', 'redis-server'],
  ] as const) {
    try {
      const { stdout, stderr } = await promisify(execFile)(program, ['--version'], { timeout: 5_000 });
      note(check, 'ok', `${stdout}${stderr}`.trim().split('\n')[0] ?? '');
    } catch {
      note(check, 'problem', `${program} cannot be run`, `install the package ${package_}`);
    }
  }
}

function diskOf({ dataDir }: Config, note: Note) {
  if (!existsSync(dataDir))
    return note('disk', 'problem', `${dataDir} does not exist`, 'name the data directory by GRIDTICK_DATA_DIR');
  const { bavail, blocks, bsize } = statfsSync(dataDir);
  const free = bavail * bsize;
  const share = bavail / Math.max(1, blocks);
  const found = `${(free / gib).toFixed(1)} GiB free, ${Math.floor(share * 100)} %`;
  const advice = 'make room: a full disk makes nats-server refuse what is appended, and partitions stop';
  note('disk', free < gib / 2 ? 'problem' : free < 5 * gib || share < 0.05 ? 'warning' : 'ok', found, advice);
}

/** The server's clock stamps every command; the engine stops a partition when it is an hour off. */
async function clockOf({ nc }: RunningAccess, note: Note) {
  const before = Date.now();
  const answer = (await nc.request('$JS.API.STREAM.INFO.C_0', '', { timeout: 5_000 })).json<{ ts?: string }>();
  const after = Date.now();
  if (answer.ts === undefined) return note('clock', 'ok', 'this nats-server does not tell its time');
  const offMs = Math.round(Date.parse(answer.ts) - (before + after) / 2);
  const level = Math.abs(offMs) > 60_000 ? 'problem' : Math.abs(offMs) > 2_000 ? 'warning' : 'ok';
  note(
    'clock',
    level,
    `nats-server is ${offMs} ms from this machine`,
    'let both take their time from the same NTP server',
  );
}

async function streamsOf({ nc, partitions }: RunningAccess, note: Note) {
  let worst = { share: 0, name: 'C_0' };
  const damages: string[] = [];
  const witnesses = await readWitnesses(nc);
  for (let p = 0; p < partitions; p++) {
    const [c, j, s] = await Promise.all([commandBounds(nc, p), journalBounds(nc, p), snapshotBounds(nc, p)]);
    const all: [string, Bounds][] = [
      [`C_${p}`, c],
      [`J_${p}`, j],
      [`S_${p}`, s],
    ];
    const seen = witnesses.get(p);
    if (seen && seen.sequence > j.last)
      damages.push(`J_${p} ends at ${j.last}, and ${seen.by} was written up to ${seen.sequence}`);
    for (const [name, bounds] of all.slice(0, 2)) {
      try {
        checkWhole(name, bounds);
      } catch (error) {
        damages.push((error as Error).message);
      }
    }
    for (const [name, { bytes, bytesMax }] of all) {
      const share = bytesMax > 0 ? bytes / bytesMax : 0;
      if (share > worst.share) worst = { share, name };
    }
  }
  note(
    'log',
    damages.length > 0 ? 'problem' : 'ok',
    damages.join('; ') || 'nothing is missing from journals and command logs',
    'files of nats-server were damaged or are of another time: restore a backup; gridtick verify reads every record',
  );
  const found = `fullest is ${worst.name}: ${Math.round(worst.share * 100)} % of its room`;
  const advice =
    'gridtick lag shows who holds it back; more room: a new data directory with a larger GRIDTICK_LOG_SCALE';
  note('streams', worst.share > 0.95 ? 'problem' : worst.share > 0.8 ? 'warning' : 'ok', found, advice);
}

async function partitionsOf({ nc, partitions }: RunningAccess, note: Note) {
  const standings = await standingsOf(nc, partitions);
  const orphans = standings.filter(({ engine }) => engine === null).map(({ partition }) => partition);
  note(
    'partitions',
    orphans.length > 0 ? 'problem' : 'ok',
    orphans.length > 0 ? `nobody owns ${orphans.join(', ')}` : `all ${partitions} are owned`,
    'gridtick ps shows whether an engine runs; logs/engine.log says why one does not',
  );
  const late = standings.filter(({ behindMs }) => behindMs > 2_000);
  const found =
    late.length > 0 ? `${late.map(({ partition }) => partition).join(', ')} are 2 s behind or more` : 'none is behind';
  note('commands', late.length > 0 ? 'warning' : 'ok', found, 'doors refuse until they have caught up: gridtick lag');
  for (const { reader, silent, partitions: all } of await readersOf(nc, partitions)) {
    const behind = all.reduce((sum, one) => sum + one.behind, 0);
    const level = silent ? 'problem' : behind > 10_000 ? 'warning' : 'ok';
    const said = silent ? 'is not heard' : `${behind} records behind`;
    note(
      reader,
      level,
      said,
      silent ? 'the history role does not run or cannot go on: logs/history.log' : 'gridtick lag tells where',
    );
  }
}

async function redisOf({ redisUrl }: RunningAccess, note: Note) {
  const redis = new Redis(redisUrl, { maxRetriesPerRequest: 1, retryStrategy: () => null, lazyConnect: true });
  redis.on('error', () => undefined);
  try {
    await redis.connect();
    const version = /redis_version:(\S+)/.exec(await redis.info('server'))?.[1] ?? 'unknown';
    note('redis', isAtLeast(version, '6.2.0') ? 'ok' : 'problem', version, 'install Redis 6.2 or newer, or Valkey');
  } catch (error) {
    note('redis', 'problem', (error as Error).message, 'start it, or name it by GRIDTICK_REDIS_URL');
  } finally {
    redis.disconnect();
  }
}

/** Whether the history refused rows for good. */
async function historyOf({ clickhouse: { url, user, password } }: RunningAccess, note: Note) {
  const client = createClient({ url, username: user, password, request_timeout: 10_000 });
  try {
    const query = `SELECT count() AS rows, argMax(concat(\`table\`, ': ', reason), ingested_at) AS newest FROM gridtick.refused_rows`;
    const [found] = await (
      await client.query({ query, format: 'JSONEachRow' })
    ).json<{ rows: string; newest: string }>();
    const rows = Number(found?.rows ?? 0);
    const said = rows === 0 ? 'refused no row' : `refused ${rows} rows; the newest of ${found!.newest.slice(0, 200)}`;
    const advice =
      'SELECT * FROM gridtick.refused_rows shows them; once their cause is mended: gridtick rebuild clickhouse';
    note('history', rows === 0 ? 'ok' : 'problem', said, advice);
  } catch (error) {
    note('history', 'problem', (error as Error).message, 'logs/clickhouse.log and logs/history.log say why');
  } finally {
    await client.close();
  }
}

async function readyOf(config: Config, note: Note) {
  if (config.natsUrl !== '') return;
  const url = new URL('/health/ready', readEndpoints(config.dataDir).dashboard);
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(5_000) });
    const body = (await response.json()) as {
      code?: string;
      detail?: { checks?: Record<string, { ok: boolean; reason?: string }> };
    };
    const failing = Object.entries(body.detail?.checks ?? {}).filter(([, { ok }]) => !ok);
    const found = response.ok
      ? 'serves'
      : failing.map(([name, { reason }]) => `${name}: ${reason}`).join('; ') || (body.code ?? '');
    note(
      'ready',
      response.ok ? 'ok' : 'problem',
      found,
      'what is named there is missing or still starting: its log tells',
    );
  } catch (error) {
    note(
      'ready',
      'problem',
      `${url.href}: ${(error as Error).message}`,
      'logs/gateway.log says why the gateway does not answer',
    );
  }
}
