/** Process of the role "engine". */
import { domain } from '#actors/mod';
import { historySinks } from '../projections/sinks.ts';
import { startEngine } from './engine_role.ts';
import { runRole } from './role_process.ts';

await runRole('engine', (context) => startEngine({ ...context, domain, sinks: historySinks }));
