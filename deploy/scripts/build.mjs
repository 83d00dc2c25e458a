/** tsc → dist/, vite → dist/dashboard, each only when what it reads has changed. */
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { entry, root, run, say } from './run.mjs';

const common = ['package.json', 'package-lock.json', 'tsconfig.json'];
const serverFolders = ['actors', 'engine', 'gateway', 'deploy'];

/** Paths below `folder` from the root, in a fixed order. */
function* files(folder) {
  const absolute = join(root, folder);
  if (!existsSync(absolute)) return;
  for (const item of readdirSync(absolute, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1))) {
    if (item.name === 'node_modules' || item.name.startsWith('.')) continue;
    const path = `${folder}/${item.name}`;
    if (item.isDirectory()) yield* files(path);
    else yield path;
  }
}

function contentHash(paths) {
  const hash = createHash('sha256');
  for (const path of paths)
    if (existsSync(join(root, path)))
      hash
        .update(path)
        .update('\0')
        .update(readFileSync(join(root, path)));
  return hash.digest('hex');
}

async function whenChanged(name, paths, work) {
  const stamp = join(root, 'dist', `.${name}`);
  const hash = contentHash(paths);
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === hash) return false;
  rmSync(stamp, { force: true });
  await work();
  mkdirSync(dirname(stamp), { recursive: true });
  writeFileSync(stamp, hash);
  return true;
}

const isAsset = (path) => !['.ts', '.mjs', '.md', '.map'].includes(extname(path)) && !/\/(docs|testing)\//.test(path);

export async function buildServer() {
  const sources = serverFolders.flatMap((folder) => [...files(folder)]).filter((path) => !/\.test\.ts$/.test(path));
  const built = await whenChanged('server', [...common, 'tsconfig.build.json', ...sources], async () => {
    say('Building the server …');
    await run(process.execPath, ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json'], {
      quiet: true,
      limitMs: 300_000,
    });
    // Sources that are gone must not go on in their old shape.
    for (const folder of serverFolders) {
      for (const path of files(`dist/${folder}`)) {
        if (path.endsWith('.js') && !existsSync(join(root, path.slice('dist/'.length, -2) + 'ts')))
          rmSync(join(root, path));
      }
    }
    for (const path of sources.filter(isAsset)) cpSync(join(root, path), join(root, 'dist', path));
  });
  return built;
}

export async function buildDashboard() {
  const config = 'dashboard/vite.config.ts';
  if (!existsSync(join(root, config))) return false;
  const sources = [...files('dashboard'), ...files('actors/schema'), ...files('gateway/schema')].filter(
    (path) => !/\.test\.ts$/.test(path) && !path.startsWith('dashboard/e2e/'),
  );
  return whenChanged('dashboard', [...common, ...sources], async () => {
    say('Building the dashboard …');
    await run(
      process.execPath,
      [
        'node_modules/vite/bin/vite.js',
        'build',
        '--config',
        config,
        '--outDir',
        join(root, 'dist/dashboard'),
        '--emptyOutDir',
      ],
      { quiet: true, limitMs: 300_000, env: { NODE_ENV: 'production' } },
    );
  });
}

export async function build() {
  const server = await buildServer();
  const dashboard = await buildDashboard();
  return server || dashboard;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await entry(async () => say((await build()) ? 'Built.' : 'Nothing changed since the last build.'));
}
