/** Every word of `gridtick`: what it does, and where that is. Loaded on call, so that one word carries nothing of another. */
import type { Run } from './command.ts';

export interface Command {
  /** Lines of the help: the word with its arguments, then what it does. */
  usage: readonly [call: string, ...about: string[]];
  load(): Promise<Run>;
  /** Exit code when it could not do its work. @default 1 */
  failed?: 2;
}

export const commands: Readonly<Record<string, Command>> = {
  up: {
    usage: [
      'up [options]',
      'servers, roles, demo site and simulated chargers under one supervisor',
      '--sessions FILE --day YYYY-MM-DD [--from HH:MM] [--zone ZONE]: plays the real sessions of that day',
      '--sessions FILE [--from DATE] [--to DATE] [--zone ZONE] --speed N|max: plays those days on a clock of their own,',
      'N times as fast or as fast as it goes, and reports',
      '--no-simulator: without simulated chargers',
      '--engines N: N engine processes that share the partitions',
    ],
    load: async () => (await import('./up_command.ts')).upCommand,
  },
  provision: {
    usage: ['provision', 'creates or checks all streams of the log at GRIDTICK_NATS_URL'],
    load: async () => (await import('./provision_command.ts')).provisionCommand,
  },
  ps: {
    usage: ['ps [--json]', 'what runs: processes with state, CPU, memory and restarts; partitions with their owners'],
    load: async () => (await import('./ps_command.ts')).psCommand,
  },
  lag: {
    usage: ['lag [--json]', 'how far partitions are behind their commands, and readers behind the journal'],
    load: async () => (await import('./lag_command.ts')).lagCommand,
  },
  inspect: {
    usage: [
      'inspect <id> [--at <time|p:seq>] [--json]',
      'any entity as it is, or as it was: <kind>:<id>, or an id alone, which is looked up in all kinds',
    ],
    load: async () => (await import('./inspect_command.ts')).inspectCommand,
  },
  'dead-letters': {
    usage: [
      'dead-letters [list [--all] | show | retry | discard <p:seq:i>] [--json]',
      'commands that could not be applied: what they were, and what is to become of them',
    ],
    load: async () => (await import('./dead_letters_command.ts')).deadLettersCommand,
  },
  export: {
    usage: [
      'export <view | entity kind> [--from T] [--to T] [--format jsonl|csv]',
      'rows of the history, or all entities of a kind as they are, however many',
    ],
    load: async () => (await import('./export_command.ts')).exportCommand,
  },
  rebuild: {
    usage: [
      'rebuild redis | clickhouse [--drop-older] [--json]',
      'drops a projection and makes it anew from the journal; doors answer 503 until it is whole',
    ],
    load: async () => (await import('./rebuild_command.ts')).rebuildCommand,
  },
  doctor: {
    usage: [
      'doctor [--json]',
      'looks for what is wrong, and says what to do: versions, disk, streams, clocks, readers',
    ],
    load: async () => (await import('./doctor_command.ts')).doctorCommand,
  },
  verify: {
    usage: ['verify [p] [--json]', 'checks hash chain, dense sequences, versions and money of the journals'],
    load: async () => (await import('./verify_command.ts')).verifyCommand,
  },
  replay: {
    usage: [
      'replay --verify [p] [--json]',
      'executes the commands again and compares every record of the journal:',
      'exit code 0 = all the same, 1 = a difference or damaged data, 2 = not all could be verified',
    ],
    load: async () => {
      const { replayCommand } = await import('../supervisor/replay_command.ts');
      return (config, args, { say, tell }) => replayCommand(config, args, say, tell);
    },
    // Of what could not be looked at nothing bad is known.
    failed: 2,
  },
  'ledger-hash': {
    usage: ['ledger-hash [--json]', 'one number for all books: the same wherever the same business was done'],
    load: async () => {
      const { ledgerHashCommand } = await import('../supervisor/ledger_hash_command.ts');
      return (config, args, { say }) => ledgerHashCommand(config, args, say);
    },
    failed: 2,
  },
  backup: {
    usage: ['backup DIR [--json]', 'log, history and settings of the installation, running or not, as of one moment'],
    load: async () => {
      const { backupCommand } = await import('../supervisor/backup_command.ts');
      return (config, args, { say, tell }) => backupCommand(config, args, say, tell);
    },
  },
  restore: {
    usage: ['restore DIR [--json]', 'checks a backup and puts it into an empty GRIDTICK_DATA_DIR'],
    load: async () => {
      const { restoreCommand } = await import('../supervisor/backup_command.ts');
      return (config, args, { say, tell }) => restoreCommand(config, args, say, tell);
    },
  },
  archive: {
    usage: [
      'archive DIR [--once | --list] [--json]',
      'copies closed segments of the log, and a snapshot a day, for longer than the log keeps them',
    ],
    load: async () => {
      const { archiveCommand } = await import('../supervisor/archive_command.ts');
      return (config, args, { say }) => archiveCommand(config, args, say);
    },
  },
  'trade-script': {
    usage: [
      'trade-script FILE[.gz]... [options]',
      'plays day-trading commands into a book of their own, from files or with --generate coherent|raw --users N',
      '--commands N --seed S, and adds up what came of them; `trade-script --help` has all options',
    ],
    // The doors stand above the engine, so it is named and not imported.
    load: async () => {
      const place = new URL('../../gateway/trading/script_command.js', import.meta.url).href;
      return ((await import(place)) as { tradeScriptCommand: Run }).tradeScriptCommand;
    },
  },
  integrator: {
    usage: ['integrator add | list | remove', 'who may come by NATS, what each hears and commands'],
    load: async () => {
      const { integratorCommand } = await import('../supervisor/integrator_command.ts');
      return (config, args, { say }) => integratorCommand(config, args, say);
    },
  },
  settings: {
    usage: ['settings', 'lists all settings'],
    load: async () => {
      const { settingsTable } = await import('../config/settings_table.ts');
      return async (_config, _args, { say }) => say(settingsTable().trimEnd());
    },
  },
};

export const roles: Readonly<Record<string, string>> = {
  engine: '../roles/engine.js',
  history: '../projections/main.js',
  gateway: '../../gateway/main.js',
};

const indent = 24;

export function usage(): string {
  const words = Object.values(commands).flatMap(({ usage: [call, ...about] }) => {
    const fits = call.length < indent - 3;
    const [first = '', ...rest] = fits ? about : ['', ...about];
    return [`  ${call.padEnd(indent - 2)}${first}`.trimEnd(), ...rest.map((line) => `${' '.repeat(indent)}${line}`)];
  });
  return [
    'gridtick <command>',
    '',
    ...words,
    '  engine | history | gateway',
    `${' '.repeat(indent)}one role in this process, against GRIDTICK_NATS_URL, _REDIS_URL and _CLICKHOUSE_URL; an engine without`,
    `${' '.repeat(indent)}GRIDTICK_NATS_URL joins the installation running on GRIDTICK_DATA_DIR, until SIGTERM`,
    '',
    'Settings are environment variables GRIDTICK_*; deploy/docs/settings.md lists them.',
  ].join('\n');
}
