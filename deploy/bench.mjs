/** `npm run bench -- <name> [options]`: builds and runs deploy/bench/<name>.ts as plain JavaScript. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { build } from './scripts/build.mjs';
import { checkNode, provideAll } from './scripts/provide.mjs';
import { entry, Refusal, root, run } from './scripts/run.mjs';

await entry(async () => {
  const [name = '', ...options] = process.argv.slice(2);
  const folder = join(root, 'deploy/bench');
  const names = existsSync(folder)
    ? readdirSync(folder).flatMap((file) => (/^[a-z_]+\.ts$/.test(file) ? [file.slice(0, -3)] : []))
    : [];
  if (!names.includes(name))
    throw new Refusal(`Which bench? npm run bench -- ${names.join(' | ') || '<none is here>'}`);
  checkNode();
  await provideAll(['nats-server', 'redis-server', ...(name === 'monitoring' ? ['chromium'] : [])]);
  await build();
  await run(process.execPath, [join(root, `dist/deploy/bench/${name}.js`), ...options]);
});
