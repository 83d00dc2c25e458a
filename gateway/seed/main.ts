/**
 * The one-shot role "seed": makes the demo site, or the site of a recorded day, and its users, through the door.
 * A second run changes nothing. Passwords are those of `<data>/secrets.json`. Prints {"ready":true,…} when all of it
 * can be used, and ends with 0; else with 1 and the reason.
 */
import { Redis } from 'ioredis';
import { pino } from 'pino';
import { loadConfig } from '#engine/config/config';
import { connectLog, openDoor, openDriver } from '#engine/log/mod';
import { lookup } from '#engine/projections/mod';
import { openSecrets } from '#engine/supervisor/secrets';
import { loadScenario, scenarioOptions } from '#gateway/simulator/scenario';
import { sow } from './sowing.ts';

const log = pino(
  { name: 'seed', level: process.env.GRIDTICK_LOG_LEVEL || 'info' },
  pino.destination({ dest: 2, sync: true }),
);

async function main(): Promise<void> {
  const config = loadConfig(process.env);
  const { operator, admin, customer, trader } = openSecrets(config.dataDir);
  const scenario = await loadScenario(scenarioOptions(config, process.env));
  for (const note of scenario.notes) log.info({ note }, 'sessions file');

  const nc = await connectLog(config.natsUrl, 'seed');
  if (scenario.days !== undefined) {
    // A driven clock shows 1970 until somebody drives it, and a station made then would have 50 years of slots behind it.
    const driver = await openDriver(nc, { partitions: config.partitions });
    if (driver.now < scenario.days.fromAt) await driver.step(scenario.days.fromAt);
    await driver.close();
  }
  const redis = new Redis(config.redisUrl, { maxRetriesPerRequest: null });
  redis.on('error', (error: Error) => log.warn({ error: error.message }, 'redis'));
  const door = await openDoor(nc, { name: 'seed', partitions: config.partitions });
  try {
    const { commands } = await sow(
      {
        partitions: config.partitions,
        request: (command) => door.request(command),
        lookup: (kind, id) => lookup(redis, kind, id),
      },
      { scenario, passwords: { operator, admin, customer, trader } },
    );
    const { chargers, tags } = scenario.timeline;
    process.stdout.write(
      `${JSON.stringify({ ready: true, site: scenario.site.id, commands, chargers: chargers.length, tags: tags.length })}\n`,
    );
  } finally {
    await door.close();
    redis.disconnect();
    await nc.close();
  }
}

// A supervisor that died takes its roles along.
process.stdin
  .on('close', () => process.exit(1))
  .on('error', () => process.exit(1))
  .resume()
  .unref?.();
process.on('SIGTERM', () => process.exit(143));
main().then(
  () => process.exit(0),
  (error: unknown) => {
    log.fatal({ error: (error as Error).message }, (error as Error).message);
    process.exit(1);
  },
);
