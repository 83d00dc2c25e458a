/**
 * The history of an installation for tools: the configured ClickHouse, that of the installation running on the data directory,
 * or for a stopped one an embedded engine of our own on it, for as long as the work takes.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ClickHouseLogLevel, createClient, type ClickHouseClient } from '@clickhouse/client';
import { ConfigError, reachable, type Config } from '../config/config.ts';
import { variable } from '../config/settings.ts';
import { Child } from './child.ts';
import type { Endpoints } from './endpoints.ts';
import { distDir } from './parts.ts';
import { PidFile } from './pid_file.ts';
import { choosePorts } from './ports.ts';
import { roleSpec } from './role.ts';
import { openSecrets } from './secrets.ts';

/** A whole table is one answer. */
const answerMsMax = 3_600_000;
const stopMs = 8_000;

/**
 * @param isRunning whether the installation on the data directory runs; the caller holds its lock when it does not
 * @throws {ConfigError} when it runs and does not serve
 */
export async function withHistory<Result>(
  config: Config,
  isRunning: boolean,
  work: (client: ClickHouseClient) => Promise<Result>,
): Promise<Result> {
  const { dataDir, clickhouseUser: user } = config;
  if (config.clickhouseUrl !== '') {
    const isOurs = config.clickhousePassword === '' && existsSync(join(dataDir, 'secrets.json'));
    return onClient(
      config.clickhouseUrl,
      user,
      isOurs ? openSecrets(dataDir).clickhouse : config.clickhousePassword,
      work,
    );
  }
  const secrets = openSecrets(dataDir);
  if (isRunning) {
    const file = join(dataDir, 'endpoints.json');
    if (!existsSync(file))
      throw new ConfigError(`nothing serves on ${dataDir}: start it, or set ${variable('clickhouseUrl')}`);
    const { clickhouse } = JSON.parse(readFileSync(file, 'utf8')) as Endpoints;
    return onClient(clickhouse, user, config.clickhousePassword || secrets.clickhouse, work);
  }
  const anyPort = { ...config, configured: new Set<never>(), clickhousePort: 0 };
  const { clickhousePort } = await choosePorts(anyPort, ['clickhousePort'], () => {});
  const spec = roleSpec('clickhouse', distDir(), 'engine/embedded/clickhouse/main.js', {
    ...process.env,
    NODE_OPTIONS: undefined,
    [variable('dataDir')]: dataDir,
    [variable('bind')]: config.bind,
    [variable('clickhousePort')]: String(clickhousePort),
    [variable('clickhousePassword')]: secrets.clickhouse,
    [variable('analystPassword')]: secrets.analyst,
    [variable('logLevel')]: config.logLevel,
  });
  const child = new Child(spec, {
    pids: new PidFile(dataDir),
    logFile: join(dataDir, 'logs', `${spec.role}.log`),
    say: () => {},
  });
  try {
    await child.start();
    return await onClient(`http://${reachable(config.bind)}:${clickhousePort}`, 'gridtick', secrets.clickhouse, work);
  } finally {
    await child.stop(stopMs);
  }
}

async function onClient<Result>(
  url: string,
  username: string,
  password: string,
  work: (client: ClickHouseClient) => Promise<Result>,
): Promise<Result> {
  const client = createClient({
    url,
    username,
    password,
    application: 'gridtick',
    request_timeout: answerMsMax,
    log: { level: ClickHouseLogLevel.OFF },
  });
  try {
    return await work(client);
  } finally {
    await client.close();
  }
}
