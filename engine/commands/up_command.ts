/** `gridtick up`: options are settings under a shorter name. */
import { parseArgs, type ParseArgsConfig } from 'node:util';
import { ConfigError, loadConfig, unknownVariables, type Config } from '../config/config.ts';
import { variable, type SettingName } from '../config/settings.ts';
import { runSupervisor } from '../supervisor/run.ts';
import type { Screen } from './command.ts';
import { usage } from './table.ts';

const options = {
  sessions: { type: 'string' },
  day: { type: 'string' },
  from: { type: 'string' },
  to: { type: 'string' },
  speed: { type: 'string' },
  zone: { type: 'string' },
  engines: { type: 'string' },
  'no-simulator': { type: 'boolean' },
} as const satisfies ParseArgsConfig['options'];

/** The settings of `up`: command-line options win over the environment. @throws {ConfigError} */
export function upConfig(args: readonly string[], env: NodeJS.ProcessEnv): Config {
  let values;
  try {
    ({ values } = parseArgs({ args: [...args], options, strict: true, allowPositionals: false }));
  } catch (error) {
    throw new ConfigError(`${(error as Error).message}\n\n${usage()}`);
  }
  const { 'no-simulator': noSimulator, ...named } = values;
  const merged = { ...env };
  for (const [name, value] of Object.entries(named)) merged[variable(name as SettingName)] = value;
  if (noSimulator) merged[variable('simulator')] = 'false';
  return loadConfig(merged);
}

export async function upCommand(_config: Config, args: readonly string[], { say }: Screen): Promise<void> {
  for (const name of unknownVariables(process.env))
    say(`${name} is no setting of Gridtick: deploy/docs/settings.md lists them`);
  await runSupervisor(upConfig(args, process.env), say);
}
