/** `gridtick provision`: creates or checks all streams. */
import type { Config } from '../config/config.ts';
import { connectLog, provision } from '../log/mod.ts';
import { runningLogUrl } from '../supervisor/log_access.ts';
import type { Screen } from './command.ts';

export async function provisionCommand(config: Config, _args: readonly string[], { say }: Screen): Promise<void> {
  const nc = await connectLog(runningLogUrl(config), 'provision');
  try {
    await provision(nc, { partitions: config.partitions, scale: config.logScale });
    say(`all streams of ${config.partitions} partitions are there`);
  } finally {
    await nc.close();
  }
}
