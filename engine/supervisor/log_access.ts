/**
 * The log of an installation for tools that read it, whether it runs or not: the configured NATS, that of the installation
 * running on the data directory, or for a stopped one a nats-server of our own on it, for as long as the work takes.
 */
import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import type { NatsConnection } from '@nats-io/transport-node';
import { ConfigError, reachable, type Config } from '../config/config.ts';
import { variable } from '../config/settings.ts';
import { natsServer } from '../embedded/nats.ts';
import { connectLog } from '../log/mod.ts';
import type { ClockKind } from '../wire.ts';
import { Child } from './child.ts';
import { coreUser, readEndpoints, runningNatsUrl } from './endpoints.ts';
import { writeAccounts } from './integrators.ts';
import { lockDataDirectory, LockHeld } from './lock.ts';
import { PidFile } from './pid_file.ts';
import { choosePorts } from './ports.ts';
import { openSecrets } from './secrets.ts';

export interface LogAccess {
  nc: NatsConnection;
  partitions: number;
  clock: ClockKind;
  /** Whether others work with it: its server was not started for this. */
  isRunning: boolean;
}

type Kept = Pick<LogAccess, 'partitions' | 'clock'>;

const natsStopMs = 5_000;

/** @throws {ConfigError} when there is no log, or whoever holds the data directory does not serve it */
export async function withLog<Result>(
  config: Config,
  name: string,
  work: (access: LogAccess) => Promise<Result>,
): Promise<Result> {
  if (config.natsUrl !== '') return withRunningLog(config, name, work);
  if (!existsSync(join(config.dataDir, 'nats')))
    throw new ConfigError(
      `${config.dataDir} holds no log: name the data directory by ${variable('dataDir')}, or set ${variable('natsUrl')}`,
    );
  const dataDir = realpathSync(config.dataDir);
  const own = { ...config, dataDir };
  const kept = keptOf(own);
  let lock;
  try {
    lock = await lockDataDirectory(dataDir);
  } catch (error) {
    if (!(error instanceof LockHeld)) throw error;
    const url = runningNatsUrl(own);
    if (url === null) throw new ConfigError(`${error.message}; it is starting or stopping: try again in a moment`);
    return connected(url, name, { ...kept, isRunning: true }, work);
  }
  try {
    await new PidFile(dataDir).endLeftOver();
    return await onStopped(own, (url) => connected(url, name, { ...kept, isRunning: false }, work));
  } finally {
    await lock.release();
  }
}

/**
 * The log of an installation that runs: of the one on the data directory, or at the configured NATS.
 * @throws {ConfigError} when none runs there
 */
export async function withRunningLog<Result>(
  config: Config,
  name: string,
  work: (access: LogAccess) => Promise<Result>,
): Promise<Result> {
  if (config.natsUrl !== '')
    return connected(
      config.natsUrl,
      name,
      { partitions: config.partitions, clock: config.clock, isRunning: true },
      work,
    );
  return connected(runningLogUrl(config), name, { ...keptOf(config), isRunning: true }, work);
}

/** Where the stores of a running installation are, with the logins of its own roles. */
export interface RunningAccess extends LogAccess {
  redisUrl: string;
  clickhouse: { url: string; user: string; password: string };
}

/**
 * Like {@link withRunningLog}, with the stores beside the log.
 * @throws {ConfigError} when none runs there, or the log is configured and a store is not
 */
export async function withRunning<Result>(
  config: Config,
  name: string,
  work: (access: RunningAccess) => Promise<Result>,
): Promise<Result> {
  return withRunningLog(config, name, (access) => work({ ...access, ...storesOf(config) }));
}

function storesOf(config: Config): Pick<RunningAccess, 'redisUrl' | 'clickhouse'> {
  const { clickhouseUser: user, clickhousePassword } = config;
  if (config.natsUrl === '') {
    const { redis, clickhouse } = readEndpoints(config.dataDir);
    const password = clickhousePassword || openSecrets(config.dataDir).clickhouse;
    return { redisUrl: redis, clickhouse: { url: clickhouse, user, password } };
  }
  for (const store of ['redisUrl', 'clickhouseUrl'] as const)
    if (config[store] === '') throw new ConfigError(`${variable('natsUrl')} is set: set ${variable(store)} as well`);
  return {
    redisUrl: config.redisUrl,
    clickhouse: { url: config.clickhouseUrl, user, password: clickhousePassword },
  };
}

/** @throws {ConfigError} when nothing runs on the data directory and no other log is configured */
export function runningLogUrl(config: Config): string {
  const url = config.natsUrl || runningNatsUrl(config);
  if (url) return url;
  throw new ConfigError(
    `nothing runs on ${config.dataDir}: start it, name its data by ${variable('dataDir')}, or set ${variable('natsUrl')}`,
  );
}

async function onStopped<Result>(config: Config, work: (url: string) => Promise<Result>): Promise<Result> {
  const { dataDir, bind, partitions, logScale } = config;
  const secrets = openSecrets(dataDir);
  const anyPort = { ...config, configured: new Set<never>(), natsPort: 0 };
  const { natsPort } = await choosePorts(anyPort, ['natsPort'], () => {});
  const spec = natsServer({
    dataDir,
    bind,
    port: natsPort,
    writeAccounts: () => writeAccounts(config, secrets),
    size: { partitions, scale: logScale },
  });
  const child = new Child(spec, {
    pids: new PidFile(dataDir),
    logFile: join(dataDir, 'logs', `${spec.role}.log`),
    say: () => {},
  });
  try {
    await child.start();
    return await work(`nats://${coreUser}:${secrets.nats}@${reachable(bind)}:${natsPort}`);
  } finally {
    await child.stop(natsStopMs);
  }
}

async function connected<Result>(
  url: string,
  name: string,
  kept: Omit<LogAccess, 'nc'>,
  work: (access: LogAccess) => Promise<Result>,
): Promise<Result> {
  const nc = await connectLog(url, name, { waitForFirst: false });
  try {
    return await work({ nc, ...kept });
  } finally {
    await nc.close();
  }
}

/** What is fixed with the data directory, whatever the settings of this call. */
function keptOf({ dataDir, partitions, clock }: Config): Kept {
  const file = join(dataDir, 'installation.json');
  if (!existsSync(file)) return { partitions, clock };
  const kept = JSON.parse(readFileSync(file, 'utf8')) as { scenario: string; partitions: number };
  return { partitions: kept.partitions, clock: kept.scenario.endsWith('/driven') ? 'driven' : 'wall' };
}
