/** The engine role over the benched machine, in a process of its own. */
import { startEngine } from '#engine/roles/engine_role';
import { runRole } from '#engine/roles/role_process';
import { accountDomain } from './account.ts';

await runRole('engine', (context) => startEngine({ ...context, domain: accountDomain, sinks: [] }));
