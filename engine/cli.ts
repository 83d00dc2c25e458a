#!/usr/bin/env node
/** `gridtick`: one program, one word per task. */
import { realpathSync } from 'node:fs';
import { parseArgs, type ParseArgsConfig } from 'node:util';
import { pathToFileURL } from 'node:url';
import type { NatsConnection } from '@nats-io/transport-node';
import { ConfigError, loadConfig, unknownVariables, type Config } from './config/config.ts';
import { variable, type SettingName } from './config/settings.ts';

const usage = `gridtick <command>

  up [options]       servers, roles, demo site and simulated chargers under one supervisor
     --sessions FILE --day YYYY-MM-DD [--from HH:MM] [--zone ZONE]
                     plays the real sessions of that day instead of the generated one
     --sessions FILE [--from DATE] [--to DATE] [--zone ZONE] --speed N|max
                     plays those days on a clock of their own, N times as fast or as fast as it goes, and reports
     --no-simulator  without simulated chargers
  provision          creates or checks all streams of the log at GRIDTICK_NATS_URL
  engine | history | gateway
                     one role in this process, against GRIDTICK_NATS_URL, _REDIS_URL and _CLICKHOUSE_URL
  verify [p]         checks hash chain, dense sequences, versions and money of one partition's journal, or of all: of
                     the installation running on GRIDTICK_DATA_DIR, or of the log at GRIDTICK_NATS_URL
  replay --verify [p] [--json]
                     executes the commands of one partition, or of all, again and compares every record of the journal:
                     exit code 0 = all the same, 1 = a difference or damaged data, 2 = not all could be verified
  ledger-hash [--json]
                     one number for all books: the same wherever the same business was done
  backup DIR [--json]
                     log, history and settings of the installation, running or not, as of one moment
  restore DIR [--json]
                     checks a backup and puts it into an empty GRIDTICK_DATA_DIR
  archive DIR [--once | --list] [--json]
                     copies closed segments of the log, and a snapshot a day, for longer than the log keeps them
  integrator add | list | remove
                     who may come by NATS, what each hears and commands; \`gridtick integrator\` tells the options
  settings           lists all settings

Settings are environment variables GRIDTICK_*; deploy/docs/settings.md lists them.`;

/** Options of `up` are settings under a shorter name. */
const upOptions = {
  sessions: { type: 'string' },
  day: { type: 'string' },
  from: { type: 'string' },
  to: { type: 'string' },
  speed: { type: 'string' },
  zone: { type: 'string' },
  'no-simulator': { type: 'boolean' },
} as const satisfies ParseArgsConfig['options'];

const roles = {
  engine: './roles/engine.js',
  history: './projections/main.js',
  gateway: '../gateway/main.js',
} as const;

/** Runs one command line; the exit code is left in `process.exitCode`. */
export async function main(argv: readonly string[]): Promise<void> {
  const [command = 'help', ...args] = argv;
  try {
    if (command === 'up') await up(args);
    else if (command === 'provision') await provision();
    else if (command in roles) await import(new URL(roles[command as keyof typeof roles], import.meta.url).href);
    else if (command === 'verify') await verify(args);
    else if (command === 'replay') await replay(args);
    else if (command === 'ledger-hash') await ledgerHash(args);
    else if (command === 'backup') await backup(args);
    else if (command === 'restore') await restore(args);
    else if (command === 'archive') await archive(args);
    else if (command === 'integrator') await integrator(args);
    else if (command === 'settings') await settings();
    else if (['help', '--help', '-h'].includes(command)) process.stdout.write(`${usage}\n`);
    else throw new ConfigError(`no command '${command}'\n\n${usage}`);
  } catch (error) {
    // Of what could not be looked at nothing bad is known.
    process.exitCode = ['replay', 'ledger-hash'].includes(command) ? 2 : 1;
    // A refusal speaks for itself; a bug needs its stack.
    const expected =
      error instanceof ConfigError || (error instanceof Error && ['LockHeld', 'StartInterrupted'].includes(error.name));
    process.stderr.write(
      `\n${expected ? error.message : error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
    );
  }
}

/** The settings of `up`: command-line options win over the environment. */
export function upConfig(args: readonly string[], env: NodeJS.ProcessEnv): Config {
  let values;
  try {
    ({ values } = parseArgs({ args: [...args], options: upOptions, strict: true, allowPositionals: false }));
  } catch (error) {
    throw new ConfigError(`${(error as Error).message}\n\n${usage}`);
  }
  const { 'no-simulator': noSimulator, ...named } = values;
  const merged = { ...env };
  for (const [name, value] of Object.entries(named)) merged[variable(name as SettingName)] = value;
  if (noSimulator) merged[variable('simulator')] = 'false';
  return loadConfig(merged);
}

async function up(args: readonly string[]): Promise<void> {
  const { runSupervisor } = await import('./supervisor/run.ts');
  const say = (line: string) => void process.stdout.write(`${line}\n`);
  for (const name of unknownVariables(process.env))
    say(`${name} is no setting of Gridtick: deploy/docs/settings.md lists them`);
  await runSupervisor(upConfig(args, process.env), say);
}

async function provision(): Promise<void> {
  const config = loadConfig(process.env);
  const { connectLog, provision: provisionStreams } = await import('./log/mod.ts');
  const nc = await connectLog(await logUrl(config), 'provision');
  try {
    await provisionStreams(nc, { partitions: config.partitions, scale: config.logScale });
    process.stdout.write(`all streams of ${config.partitions} partitions are there\n`);
  } finally {
    await nc.close();
  }
}

async function verify(args: readonly string[]): Promise<void> {
  const config = loadConfig(process.env);
  const [only] = args;
  if (
    only !== undefined &&
    !(Number.isInteger(Number(only)) && Number(only) >= 0 && Number(only) < config.partitions)
  ) {
    throw new ConfigError(`'${only}' is no partition: 0 to ${config.partitions - 1}, or none for all`);
  }
  const partitions = only === undefined ? Array.from({ length: config.partitions }, (_, p) => p) : [Number(only)];
  const { connectLog } = await import('./log/mod.ts');
  const { verifyPartitions } = await import('./partition/verify.ts');
  const nc = await connectLog(await logUrl(config), 'verify', { waitForFirst: false });
  try {
    const verdicts = await verifyPartitions(nc, partitions);
    for (const { partition, first, last, records, epochs, strays, problems: found } of verdicts) {
      const read = last === 0 ? 'empty' : `${first}–${last}: ${records} records, ${epochs} epochs, ${strays} strays`;
      process.stdout.write(`${found.length === 0 ? '✓' : '✗'} partition ${partition} ${read}\n`);
      for (const problem of found) process.stdout.write(`    ${problem}\n`);
    }
    const money = await verifyMoneyOf(nc, config.partitions, only === undefined ? undefined : Number(only));
    const problems = verdicts.reduce((sum, verdict) => sum + verdict.problems.length, money);
    process.stdout.write(problems === 0 ? 'clean\n' : `${problems} problems\n`);
    if (problems > 0) process.exitCode = 1;
  } finally {
    await nc.close();
  }
}

async function replay(args: readonly string[]): Promise<void> {
  const { replayCommand } = await import('./supervisor/replay_command.ts');
  process.exitCode = await replayCommand(loadConfig(process.env), args, print, tellProgress);
}

const tellProgress = (line: string) =>
  void process.stderr.write(process.stderr.isTTY ? `\r\x1b[K${line}\r` : `${line}\n`);

async function backup(args: readonly string[]): Promise<void> {
  const { backupCommand } = await import('./supervisor/backup_command.ts');
  process.exitCode = await backupCommand(loadConfig(process.env), args, print, tellProgress);
}

async function restore(args: readonly string[]): Promise<void> {
  const { restoreCommand } = await import('./supervisor/backup_command.ts');
  process.exitCode = await restoreCommand(loadConfig(process.env), args, print, tellProgress);
}

async function archive(args: readonly string[]): Promise<void> {
  const { archiveCommand } = await import('./supervisor/archive_command.ts');
  process.exitCode = await archiveCommand(loadConfig(process.env), args, print);
}

async function ledgerHash(args: readonly string[]): Promise<void> {
  const { ledgerHashCommand } = await import('./supervisor/ledger_hash_command.ts');
  process.exitCode = await ledgerHashCommand(loadConfig(process.env), args, print);
}

const print = (line: string) => void process.stdout.write(`${line}\n`);

async function integrator(args: readonly string[]): Promise<void> {
  const { integratorCommand } = await import('./supervisor/integrator_command.ts');
  await integratorCommand(loadConfig(process.env), args, (line) => void process.stdout.write(`${line}\n`));
}

/** Prints what is owned where and what is between partitions; returns the number of problems. */
async function verifyMoneyOf(nc: NatsConnection, partitions: number, only: number | undefined): Promise<number> {
  const { domain } = await import('#actors/mod');
  const { verifyMoney } = await import('./partition/verify_money.ts');
  const verdict = await verifyMoney(nc, domain, partitions, only);
  const shown = (sums: readonly (readonly [ledger: string, sum: bigint])[]) =>
    sums.map(([ledger, sum]) => `${ledger} ${sum}`).join(', ') || 'nothing';
  for (const { partition, records, owners, sums } of verdict.partitions) {
    const clean = sums.every(([, sum]) => sum === 0n);
    const of = `${owners} owners after ${records} records`;
    process.stdout.write(`${clean ? '✓' : '✗'} money of partition ${partition} comes to ${shown(sums)} (${of})\n`);
  }
  if (verdict.between) {
    const { transit, carried } = verdict.between;
    process.stdout.write(`  in transit over all partitions: ${shown(transit)}; relays under way: ${shown(carried)}\n`);
  }
  for (const problem of verdict.problems) process.stdout.write(`    ${problem}\n`);
  return verdict.problems.length;
}

async function settings(): Promise<void> {
  const { settingsTable } = await import('./config/settings_table.ts');
  process.stdout.write(settingsTable());
}

/** NATS of the log that is meant: the configured one, or that of the installation running on the data directory. */
async function logUrl(config: Config): Promise<string> {
  const { runningNatsUrl } = await import('./supervisor/endpoints.ts');
  const url = config.natsUrl || runningNatsUrl(config);
  if (!url) {
    throw new ConfigError(
      `nothing runs on ${config.dataDir}: start it, name its data by ${variable('dataDir')}, or set ${variable('natsUrl')}`,
    );
  }
  return url;
}

// A linked `gridtick` is called by its link.
const isProgram =
  process.argv[1] !== undefined && import.meta.url === pathToFileURL(realpathSync(process.argv[1])).href;
if (isProgram) await main(process.argv.slice(2));
