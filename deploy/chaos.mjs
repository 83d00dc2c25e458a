/**
 * `npm run chaos -- [--rounds N | --kills N] [--only A,B] [--minutes M] [--seed N] [--resume] [--list]`: builds the roles and runs
 * deploy/chaos/chaos.ts against them.
 */
import { buildServer } from './scripts/build.mjs';
import { checkNode, provideAll } from './scripts/provide.mjs';
import { entry, run } from './scripts/run.mjs';

await entry(async () => {
  checkNode();
  await provideAll(['nats-server', 'redis-server']);
  await buildServer();
  const { code } = await run(
    process.execPath,
    ['--conditions=source', '--import', 'tsx', 'deploy/chaos/chaos.ts', ...process.argv.slice(2)],
    { allowFailure: true },
  );
  process.exitCode = code;
});
