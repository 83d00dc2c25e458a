/**
 * The role "simulator": a fleet of virtual chargers that come in through the OCPP door.
 * Settings as for every role; GRIDTICK_OCPP_URL (ws://host:port/ocpp) sends it to a door elsewhere.
 * Lines on stdin: {"quiet":true} brings it to rest, answered by {"quiet":true,"answeredSamples":n}; {"quiet":false}
 * lets it go on. SIGUSR2 is {"quiet":true} too. It ends on SIGTERM, SIGINT, or when stdin closes.
 * Recorded days with a speed are played on the log's own clock, which this role drives; it prints
 * {"progress":{"at":ms,"fraction":0…1,"sessions":n}} on the way and {"finished":{"at":ms,"sessions":n,"energyWh":n}}.
 */
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { pino } from 'pino';
import { loadConfig, reachable, speedOf, type Config } from '#engine/config/config';
import { connectLog, openDriver } from '#engine/log/mod';
import { DrivenClock } from './clock.ts';
import { Drive } from './drive.ts';
import { Fleet, type FleetOptions } from './fleet.ts';
import { loadScenario, scenarioOptions, type Scenario } from './scenario.ts';
import { endOf } from './timeline.ts';

const log = pino(
  { name: 'simulator', level: process.env.GRIDTICK_LOG_LEVEL || 'info' },
  pino.destination({ dest: 2, sync: true }),
);
const say = (line: Record<string, unknown>) => process.stdout.write(`${JSON.stringify(line)}\n`);

/** Milliseconds from the environment; for tests that cannot wait 10 s for a sample. */
function msFrom(name: string): number | undefined {
  const text = process.env[name] ?? '';
  if (text === '') return undefined;
  const ms = Number(text);
  if (!Number.isSafeInteger(ms) || ms < 50) throw new Error(`${name} must be whole ms from 50: '${text}'`);
  return ms;
}

async function main(): Promise<void> {
  const config = loadConfig(process.env);
  const url = process.env.GRIDTICK_OCPP_URL || `ws://${reachable(config.bind)}:${config.ocppPort}/ocpp`;
  const directory = join(config.dataDir, 'simulator');
  const scenario = await loadScenario(scenarioOptions(config, process.env));
  for (const note of scenario.notes) log.warn({ note }, 'sessions file');
  const sampleEveryMs = msFrom('GRIDTICK_TEST_SAMPLE_EVERY_MS');
  const retryMost = msFrom('GRIDTICK_TEST_RETRY_MOST_MS');

  const doubles = config.simulatorDoubles === '' ? undefined : Number(config.simulatorDoubles);
  const options: FleetOptions = {
    url,
    directory,
    timeline: scenario.timeline,
    log,
    versions: config.simulatorVersions,
    ...(doubles !== undefined && { doubles }),
    ...(sampleEveryMs !== undefined && { sampleEveryMs }),
    ...(retryMost !== undefined && { retryMs: { first: Math.min(500, retryMost), most: retryMost } }),
    onFailure: (error) => {
      log.fatal({ error: error.message }, 'memory cannot be written');
      process.exit(1);
    },
  };
  const { fleet, drive } = await (config.clock === 'driven' ? driven(config, scenario, options) : byTheWall(options));

  let ending = false;
  const end = async (why: string) => {
    if (ending) return;
    ending = true;
    log.info({ why }, 'ending');
    drive?.stop();
    await fleet.close();
    process.exit(0);
  };
  const quiet = async () => {
    await drive?.pause();
    const { answeredSamples } = await fleet.quiet();
    say({ quiet: true, answeredSamples });
  };
  const goOn = () => {
    fleet.resume();
    drive?.resume();
  };
  process.on('SIGTERM', () => void end('SIGTERM'));
  process.on('SIGINT', () => void end('SIGINT'));
  process.on('SIGUSR2', () => void quiet());
  const lines = createInterface({ input: process.stdin });
  lines.on('line', (line) => {
    if (/^\s*\{\s*"quiet"\s*:\s*true\s*\}\s*$/.test(line)) void quiet();
    else if (/^\s*\{\s*"quiet"\s*:\s*false\s*\}\s*$/.test(line)) goOn();
    else log.warn({ line: line.slice(0, 200) }, 'unknown line on stdin');
  });
  lines.on('close', () => void end('stdin closed'));
  say({ ready: true, site: scenario.site.id, chargers: fleet.size, anchorAt: fleet.anchorAt });
  await drive?.run();
}

interface Played {
  fleet: Fleet;
  drive?: Drive;
}

const byTheWall = async (options: FleetOptions): Promise<Played> => ({ fleet: await Fleet.open(options) });

/** Samples come every minute of the log, on the minute: a week has enough of them as it is. */
const drivenSampleMs = 60_000;
/** From Finishing to Available, ms. */
const finishingMs = 2_000;

async function driven(config: Config, scenario: Scenario, options: FleetOptions): Promise<Played> {
  const { days, timeline } = scenario;
  const speed = speedOf(config);
  if (days === undefined || speed === null) throw new Error('only recorded days can be played with a speed');
  const nc = await connectLog(config.natsUrl, 'simulator');
  const driver = await openDriver(nc, { partitions: config.partitions });
  const clock = new DrivenClock(Math.max(days.fromAt, driver.now));
  const fleet = await Fleet.open({
    sampleEveryMs: drivenSampleMs,
    ...options,
    finishingMs,
    clock,
    lockStepFrom: days.fromAt,
  });
  clock.onDue = () => fleet.wake();
  const untilAt = Math.max(days.toAt, days.fromAt + endOf(timeline) + finishingMs);
  return { fleet, drive: new Drive({ driver, clock, fleet, fromAt: days.fromAt, untilAt, speed, say }) };
}

main().catch((error: unknown) => {
  log.fatal({ error: (error as Error).message }, 'cannot start');
  process.exit(1);
});
