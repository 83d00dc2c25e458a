/** Process of a trial by the rules of this installation. */
import { domain } from '#actors/mod';
import { runTrial } from './trial_process.ts';

await runTrial(domain);
