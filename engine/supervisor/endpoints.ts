/** Where everything is and how to get in: `<data>/endpoints.json` for programs, one screen for people. */
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { reachable, type Config } from '../config/config.ts';
import { writeJson } from './files.ts';
import type { Ports } from './ports.ts';
import { openSecrets, type Secrets } from './secrets.ts';

export interface Endpoints {
  dashboard: string;
  api: string;
  /** `ws://host:port/ocpp`; the charger's identity is appended as `/<identity>`. */
  ocpp: string;
  nats: string;
  /** With its password: Redis knows no user here. */
  redis: string;
  clickhouse: string;
  /** Metrics of all processes for Prometheus; `/health/live` and `/health/ready` are beside it. */
  metrics: string;
  logins: { role: string; email: string; password: string }[];
  analyst: { user: string; password: string };
  integrator: { user: string; password: string };
}

/** Who the demo site's seed signs up. */
export const demoEmails = {
  operator: 'operator@demo.local',
  admin: 'admin@demo.local',
  customer: 'customer@demo.local',
  trader: 'trader@demo.local',
} as const;
/** Two customers: what one does, the other must not see. */
const demoRoles = { operator: 'operator', admin: 'admin', customer: 'customer', trader: 'customer' } as const;
const demoLogins = Object.keys(demoEmails) as (keyof typeof demoEmails)[];

export const integratorUser = 'integrator';
/** Core user of the embedded NATS. */
export const coreUser = 'core';

export function endpointsOf(config: Config, ports: Ports, secrets: Secrets, metricsPort: number): Endpoints {
  const host = reachable(config.bind);
  const nats = config.natsUrl === '' ? null : new URL(config.natsUrl);
  return {
    dashboard: `http://${host}:${ports.httpPort}/`,
    api: `http://${host}:${ports.httpPort}/api`,
    ocpp: `ws://${host}:${ports.ocppPort}/ocpp`,
    nats: nats ? `${nats.protocol}//${nats.host}` : `nats://${host}:${ports.natsPort}`,
    redis: config.redisUrl || `redis://:${secrets.redis}@${host}:${ports.redisPort}`,
    clickhouse: config.clickhouseUrl || `http://${host}:${ports.clickhousePort}`,
    metrics: `http://${reachable(config.metricsBind)}:${metricsPort}/metrics`,
    logins: config.demo
      ? demoLogins.map((name) => ({ role: demoRoles[name], email: demoEmails[name], password: secrets[name] }))
      : [],
    analyst: { user: 'analyst', password: config.analystPassword || secrets.analyst },
    integrator: { user: integratorUser, password: secrets.integrator },
  };
}

const file = (dataDir: string) => join(dataDir, 'endpoints.json');

export const writeEndpoints = (dataDir: string, endpoints: Endpoints) => writeJson(file(dataDir), endpoints);
export const removeEndpoints = (dataDir: string) => rmSync(file(dataDir), { force: true });

/** Only while it serves. */
export const readEndpoints = (dataDir: string) => JSON.parse(readFileSync(file(dataDir), 'utf8')) as Endpoints;

/** The core login of the installation that runs on a data directory; null when none does, or its NATS is not embedded. */
export function runningNatsUrl(config: Config): string | null {
  if (config.natsUrl !== '' || !existsSync(file(config.dataDir))) return null;
  const { nats } = readEndpoints(config.dataDir);
  const url = new URL(nats);
  url.username = coreUser;
  url.password = openSecrets(config.dataDir).nats;
  return url.href;
}

/** The one screen a start ends with. */
export function screen(endpoints: Endpoints, dataDir: string): string {
  const { analyst, integrator } = endpoints;
  const rows: [string, string][] = [
    ['dashboard', endpoints.dashboard],
    ...endpoints.logins.map(({ role, email, password }): [string, string] => [`  ${role}`, `${email}  ${password}`]),
    ['chargers', `${endpoints.ocpp}/<identity>   (OCPP 1.6, 2.0.1)`],
    ['HTTP API', `${endpoints.api}   (health: ${new URL('/health/ready', endpoints.dashboard).href})`],
    ['NATS', `${endpoints.nats}   user ${integrator.user}, password ${integrator.password}`],
    ['SQL', `${endpoints.clickhouse}   user ${analyst.user}, password ${analyst.password}`],
    ['metrics', `${endpoints.metrics}   (health: ${new URL('/health/ready', endpoints.metrics).href})`],
    ['data', dataDir],
  ];
  const line = '─'.repeat(78);
  return [
    '',
    line,
    ...rows.map(([name, value]) => `  ${name.padEnd(12)} ${value}`),
    line,
    '  Ctrl-C stops everything.',
    '',
  ].join('\n');
}
