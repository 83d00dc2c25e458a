/** The OpenAPI document as the file `openapi.json`; run directly, it writes it. */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { pino } from 'pino';
import { Redis } from 'ioredis';
import { Lockout } from '../auth/lockout.ts';
import { Principals } from '../auth/principal.ts';
import { SignIns } from '../auth/sign_ins.ts';
import { Grid } from '../live/grid.ts';
import { MemoryReplica } from '../live/testing.ts';
import { buildApi } from './app.ts';
import { accountParts } from './parts.ts';

export const openApiFile = fileURLToPath(new URL('openapi.json', import.meta.url));

/** The document of an app that serves nobody. */
export async function openApiText(): Promise<string> {
  const redis = new Redis({ lazyConnect: true });
  const directory = { lookup: async () => undefined, complete: async () => false };
  const never = () => Promise.reject(new Error('serves nobody'));
  const replica = new MemoryReplica(1);
  const log = pino({ level: 'silent' });
  const door = { partitions: 1, request: never, append: never };
  const app = await buildApi({
    ...accountParts({ redis, door, replica, findOutcome: never, log }),
    redis: null,
    grid: new Grid(replica, 1),
    directory,
    principals: new Principals(new SignIns(redis), directory),
    lockout: new Lockout(redis),
    history: {
      ...{ prices: never, trades: never, ledgerEntries: never, batteryStates: never },
      ...{ loads: never, consumption: never, sessions: never, messages: never },
    },
    audit: {
      travel: { find: never },
      locate: never,
      letters: { list: never, show: never, retry: never, discard: never },
    },
    log,
    allowedOrigins: [],
    dashboardDir: null,
    probes: { nats: never, redis: never, projection: never, engine: never, history: never },
  });
  await app.ready();
  const text = `${JSON.stringify(app.swagger(), null, 2)}\n`;
  await app.close();
  redis.disconnect();
  return text;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(openApiFile, await openApiText());
