/** Process of the role "history". */
import { runRole } from '../roles/role_process.ts';
import { runHistory } from './history_role.ts';

await runRole('history', ({ config, ...context }) => runHistory(config, context));
