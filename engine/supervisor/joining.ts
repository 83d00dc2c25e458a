/** An engine started by hand finds the installation that it joins: the one that runs on its data directory. */
import { ConfigError, loadConfig } from '../config/config.ts';
import { variable } from '../config/settings.ts';
import { runningNatsUrl } from './endpoints.ts';
import { keptInstallation } from './scenario.ts';

/**
 * The settings of `env` with what the running installation says beside them. One that names its NATS is left as it is.
 * @throws ConfigError when nothing runs there, or it was started with other settings
 */
export function joiningEnvironment(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const config = loadConfig(env);
  if (config.natsUrl !== '') return env;
  const natsUrl = runningNatsUrl(config);
  const kept = keptInstallation(config.dataDir);
  if (natsUrl === null || kept === null)
    throw new ConfigError(
      `nothing runs on ${config.dataDir}: start it, name its data by ${variable('dataDir')}, or set ${variable('natsUrl')}`,
    );
  if (config.configured.has('partitions') && config.partitions !== kept.partitions)
    throw new ConfigError(`${config.dataDir} has ${kept.partitions} partitions: leave ${variable('partitions')} out`);
  if (kept.clock !== config.clock)
    throw new ConfigError(
      `${config.dataDir} goes by the ${kept.clock} clock: give the engine the options that it was started with`,
    );
  return {
    ...env,
    [variable('natsUrl')]: natsUrl,
    // The URL replaces it.
    [variable('natsPort')]: '',
    [variable('partitions')]: String(kept.partitions),
  };
}
