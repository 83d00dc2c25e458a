/** What a real installation consists of, in the order of its start. */
import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { reachable, type Config } from '../config/config.ts';
import { settingNames, variable, type SettingName } from '../config/settings.ts';
import { natsServer } from '../embedded/nats.ts';
import { redisServer } from '../embedded/redis.ts';
import { connectLog, provision, provisionIntegrator } from '../log/mod.ts';
import type { ChildSpec } from './child.ts';
import { coreUser } from './endpoints.ts';
import { integratorScopes, writeAccounts } from './integrators.ts';
import type { Ports } from './ports.ts';
import { roleSpec } from './role.ts';
import type { Secrets } from './secrets.ts';

/** Everything a part needs to know about where it runs. */
export interface Place {
  config: Config;
  ports: Ports;
  secrets: Secrets;
  env: NodeJS.ProcessEnv;
}

export interface Parts {
  servers(place: Place): ChildSpec[];
  /** Streams and integrators; before any role. */
  provision(place: Place): Promise<void>;
  roles(place: Place): ChildSpec[];
  /** One after the other, each until it is done. */
  seed(place: Place): ChildSpec[];
  fleet(place: Place): ChildSpec[];
}

export const natsUrl = ({ config, ports, secrets }: Place) =>
  config.natsUrl || `nats://${coreUser}:${secrets.nats}@${reachable(config.bind)}:${ports.natsPort}`;
export const redisUrl = ({ config, ports, secrets }: Place) =>
  config.redisUrl || `redis://:${secrets.redis}@${reachable(config.bind)}:${ports.redisPort}`;
export const clickhouseUrl = ({ config, ports }: Place) =>
  config.clickhouseUrl || `http://${reachable(config.bind)}:${ports.clickhousePort}`;

/** The settings as a role reads them: addresses filled in, ports of servers left out, since their URL replaces them. */
export function roleEnvironment(place: Place): Record<string, string | undefined> {
  const { config, ports, secrets, env } = place;
  const values: Partial<Record<SettingName, string | number>> = {
    dataDir: config.dataDir,
    bind: config.bind,
    httpPort: ports.httpPort,
    ocppPort: ports.ocppPort,
    // Each role takes a free one and says which; the supervisor gathers them behind the configured one.
    metricsPort: 0,
    traces: config.traces,
    tracesRatio: config.tracesRatio,
    natsUrl: natsUrl(place),
    redisUrl: redisUrl(place),
    clickhouseUrl: clickhouseUrl(place),
    clickhouseUser: config.clickhouseUser,
    clickhousePassword: config.clickhousePassword || secrets.clickhouse,
    analystPassword: config.analystPassword || secrets.analyst,
    quoteFeed: config.quoteFeed,
    quoteSecrets: config.quoteSecrets || `own:${secrets.quotes}`,
    partitions: config.partitions,
    logScale: config.logScale,
    archiveHolds: String(config.archiveHolds),
    stopMs: config.stopMs,
    logLevel: config.logLevel,
    messageLog: config.messageLog,
    stuckMs: config.stuckMs,
    demo: String(config.demo),
    simulator: String(config.simulator),
    seed: config.seed,
    simulatorVersions: config.simulatorVersions,
    simulatorDoubles: config.simulatorDoubles,
    failpoint: config.failpoint,
    ...(config.sessions === ''
      ? {}
      : {
          sessions: resolve(config.sessions),
          day: config.day,
          from: config.from,
          to: config.to,
          zone: config.zone,
          speed: config.speed,
        }),
  };
  const settings = settingNames.map((name) => {
    const value = values[name];
    return [variable(name), value === undefined ? undefined : String(value)] as const;
  });
  // Options of the supervisor's own node (a debugger, a loader) are not for its children.
  return { NODE_ENV: 'production', ...env, NODE_OPTIONS: undefined, ...Object.fromEntries(settings) };
}

/** The same for the server behind the URL: it gets the port. */
const clickhouseEnvironment = (place: Place) => ({
  ...roleEnvironment(place),
  [variable('clickhouseUrl')]: undefined,
  [variable('clickhousePort')]: String(place.ports.clickhousePort),
});

export const realParts: Parts = {
  servers: (place) => {
    const { config, ports, secrets } = place;
    const at = { dataDir: config.dataDir, bind: config.bind };
    return [
      ...(config.natsUrl === ''
        ? [
            natsServer({
              ...at,
              port: ports.natsPort,
              writeAccounts: () => writeAccounts(config, secrets),
              size: { partitions: config.partitions, scale: config.logScale },
            }),
          ]
        : []),
      ...(config.redisUrl === '' ? [redisServer({ ...at, port: ports.redisPort, password: secrets.redis })] : []),
      ...(config.clickhouseUrl === ''
        ? [roleSpec('clickhouse', distDir(), 'engine/embedded/clickhouse/main.js', clickhouseEnvironment(place))]
        : []),
    ];
  },
  provision: provisionLog,
  roles: (place) => {
    const env = roleEnvironment(place);
    return [
      ...engineNames(place.config.engines).map((name) => roleSpec(name, distDir(), 'engine/roles/engine.js', env)),
      roleSpec('history', distDir(), 'engine/projections/main.js', env),
      roleSpec('gateway', distDir(), 'gateway/main.js', env),
    ];
  },
  seed: (place) => {
    if (!place.config.demo) return [];
    return [roleSpec('seed', distDir(), 'gateway/seed/main.js', roleEnvironment(place))];
  },
  fleet: (place) =>
    place.config.demo && place.config.simulator
      ? [roleSpec('simulator', distDir(), 'gateway/simulator/main.js', roleEnvironment(place))]
      : [],
};

/** One is called `engine`, several `engine-1`, `engine-2` and so on. */
export const engineNames = (count: number): string[] =>
  count === 1 ? ['engine'] : Array.from({ length: count }, (_, i) => `engine-${i + 1}`);

/** Creates or checks all streams, and the integrators' consumers when the accounts are ours. */
export async function provisionLog(place: Place): Promise<void> {
  const nc = await connectLog(natsUrl(place), 'provision');
  try {
    await provision(nc, { partitions: place.config.partitions, scale: place.config.logScale });
    if (place.config.natsUrl !== '') return;
    for (const scope of integratorScopes(place.config)) await provisionIntegrator(nc, scope);
  } finally {
    await nc.close();
  }
}

/** The built files, whether this file is one of them or runs from source. */
export function distDir(): string {
  let folder = import.meta.dirname;
  while (!existsSync(join(folder, 'package.json'))) folder = dirname(folder);
  return join(folder, 'dist');
}
