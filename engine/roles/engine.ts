/** Process of the role "engine". */
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { domain } from '#actors/mod';
import { archiveOfCommands, archiveOfJournal, historySinks } from '../projections/sinks.ts';
import { startEngine } from './engine_role.ts';
import { runRole } from './role_process.ts';
import { watchEventLoop } from './watchdog.ts';

const own = fileURLToPath(import.meta.url);
const trialFile = fileURLToPath(new URL(`trial_main${extname(own)}`, import.meta.url));

await runRole('engine', (context) => {
  watchEventLoop(context.config.stuckMs);
  const sinks = context.config.archiveHolds ? [...historySinks, archiveOfJournal, archiveOfCommands] : historySinks;
  return startEngine({ ...context, domain, sinks, trialFile });
});
