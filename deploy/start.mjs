/**
 * `npm start`: provides what is missing, builds what changed, becomes the supervisor (in this very process, so that a
 * signal has one receiver).
 */
import { build } from './scripts/build.mjs';
import { checkNode, provideAll } from './scripts/provide.mjs';
import { entry } from './scripts/run.mjs';

await entry(async () => {
  checkNode();
  await provideAll([
    ...(process.env.GRIDTICK_NATS_URL ? [] : ['nats-server']),
    ...(process.env.GRIDTICK_REDIS_URL ? [] : ['redis-server']),
  ]);
  await build();
  const { main } = await import(new URL('../dist/engine/cli.js', import.meta.url).href);
  await main(['up', ...process.argv.slice(2)]);
});
