/** `npm run soak -- [--minutes 60] [--chargers 900] [--warm N] [--max-bytes 8MiB]`: builds and runs deploy/soak/soak.ts as plain JavaScript. */
import { join } from 'node:path';
import { build } from './scripts/build.mjs';
import { checkNode, provideAll } from './scripts/provide.mjs';
import { entry, root, run } from './scripts/run.mjs';

await entry(async () => {
  checkNode();
  await provideAll(['nats-server', 'redis-server']);
  await build();
  const { code } = await run(process.execPath, [join(root, 'dist/deploy/soak/soak.js'), ...process.argv.slice(2)], {
    allowFailure: true,
  });
  process.exitCode = code;
});
