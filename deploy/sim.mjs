/** `npm run sim -- [--seeds N] [--from SEED] [--mutations] [--json]`: builds and runs deploy/sim/sim.ts as plain JavaScript. */
import { join } from 'node:path';
import { buildServer } from './scripts/build.mjs';
import { checkNode, provideAll } from './scripts/provide.mjs';
import { entry, root, run } from './scripts/run.mjs';

await entry(async () => {
  checkNode();
  await provideAll([]);
  await buildServer();
  const { code } = await run(process.execPath, [join(root, 'dist/deploy/sim/sim.js'), ...process.argv.slice(2)], {
    allowFailure: true,
  });
  process.exitCode = code;
});
