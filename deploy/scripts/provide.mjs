/** What a fresh machine lacks, provided with words and progress: Node packages, nats-server, redis-server, chromium. */
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findProgram, Refusal, root, run, say } from './run.mjs';

const wantedNode = [20, 20];

/** Debian's package for each program. */
const packages = { 'nats-server': 'nats-server', 'redis-server': 'redis-server', chromium: 'chromium' };

/** Services that Debian enables when their package comes in. Gridtick runs its own, under its own passwords. */
const services = { 'nats-server': 'nats-server', 'redis-server': 'redis-server' };

export function checkNode() {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  if (major > wantedNode[0] || (major === wantedNode[0] && minor >= wantedNode[1])) return;
  throw new Refusal(
    `Gridtick needs Node ${wantedNode.join('.')} or newer; this is ${process.versions.node} (${process.execPath}).`,
  );
}

/** True when node_modules holds exactly what the lockfile says; npm keeps its own record of what it installed. */
function dependenciesMatch() {
  const read = (path) => {
    try {
      return JSON.parse(readFileSync(join(root, path), 'utf8')).packages ?? {};
    } catch {
      return null;
    }
  };
  const wanted = read('package-lock.json');
  const installed = read('node_modules/.package-lock.json');
  if (!wanted || !installed) return false;
  return Object.entries(wanted).every(
    // Optional ones belong to other platforms.
    ([path, entry]) => path === '' || entry.optional || entry.devOptional || installed[path]?.version === entry.version,
  );
}

async function provideDependencies() {
  if (dependenciesMatch()) return;
  const first = !existsSync(join(root, 'node_modules'));
  say(first ? 'Installing Node packages (once, about a minute) …' : 'The lockfile changed: installing Node packages …');
  // No install script is needed: what is native comes prebuilt as an optional package.
  await run('npm', ['ci', '--include=dev', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'], {
    quiet: true,
    progress: 'still installing Node packages',
    limitMs: 900_000,
    env: { PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD: '1', NPM_CONFIG_UPDATE_NOTIFIER: 'false', NODE_ENV: 'development' },
  });
  say('Node packages are there.');
}

/** @param {string[]} programs names out of `packages` */
async function providePrograms(programs) {
  const missing = programs.filter((program) => !findProgram(program));
  if (missing.length === 0) return;
  const names = missing.map((program) => packages[program]);
  const byHand = `sudo apt-get update && sudo apt-get install --no-install-recommends ${names.join(' ')}`;
  if (!findProgram('apt-get')) {
    throw new Refusal(
      `Missing: ${missing.join(', ')}. This machine has no apt-get; install them with its own package manager and start again.`,
    );
  }
  const become = await administrator(missing, byHand);
  say(`Installing ${names.join(', ')} from the system's packages …`);
  const restore = await holdServices(become);
  try {
    const apt = (args, limitMs) =>
      run(
        become[0] ?? 'env',
        [
          ...(become.length ? [...become.slice(1), 'env'] : []),
          'DEBIAN_FRONTEND=noninteractive',
          'apt-get',
          '-q',
          '-y',
          '-o',
          'DPkg::Lock::Timeout=120',
          ...args,
        ],
        { quiet: true, progress: `apt-get ${args[0]}`, limitMs },
      );
    await apt(['update'], 180_000);
    await apt(['install', '--no-install-recommends', ...names], 900_000);
  } catch (error) {
    throw new Refusal(`${error.message}\n\napt-get could not provide ${names.join(', ')}. Try by hand:\n  ${byHand}`);
  } finally {
    await restore();
  }
  for (const program of missing) {
    if (!findProgram(program))
      throw new Refusal(`'${program}' is still missing after its installation. Try by hand:\n  ${byHand}`);
    const service = services[program];
    if (service) await disableService(become, service);
  }
  say(`${missing.join(', ')}: there.`);
}

/** The words before a command that must run as root. */
async function administrator(missing, byHand) {
  if (process.getuid?.() === 0) return [];
  const sudo = findProgram('sudo');
  if (sudo && (await run(sudo, ['-n', 'true'], { quiet: true, allowFailure: true })).code === 0) return [sudo, '-n'];
  throw new Refusal(
    `Missing: ${missing.join(', ')}. Installing needs root or a sudo without password. Do this once and start again:\n  ${byHand}`,
  );
}

/** Until the returned function runs, no package starts a service (Debian's own mechanism); an existing policy is left alone. */
async function holdServices(become) {
  const policy = '/usr/sbin/policy-rc.d';
  if (existsSync(policy)) return async () => {};
  const text = '#!/bin/sh\n# Gridtick runs its own servers: held during one apt-get.\nexit 101\n';
  if (become.length === 0) {
    writeFileSync(policy, text, { mode: 0o755 });
    return async () => rmSync(policy, { force: true });
  }
  const write = `printf '%s' "$1" > ${policy} && chmod 755 ${policy}`;
  await run(become[0], [...become.slice(1), 'sh', '-c', write, 'sh', text], { quiet: true });
  return async () => {
    await run(become[0], [...become.slice(1), 'rm', '-f', policy], { quiet: true, allowFailure: true, cleanup: true });
  };
}

/** Not at the next boot either: by systemd's own links and by those of sysv. */
async function disableService(become, service) {
  const quietly = (command) => `${command} >/dev/null 2>&1`;
  const script = [
    quietly(`systemctl disable ${service}.service`),
    quietly(`deb-systemd-helper disable ${service}.service`),
    quietly(`update-rc.d ${service} disable`),
    'true',
  ].join('; ');
  const [command = 'sh', ...rest] = [...become, 'sh'];
  await run(command, [...rest, '-c', script], { quiet: true, allowFailure: true, limitMs: 30_000 });
}

/** Both kinds at once: npm waits for the network, apt for the disk. A failure is told when the other one is done. */
export async function provideAll(programs) {
  const outcomes = await Promise.allSettled([provideDependencies(), providePrograms(programs)]);
  for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
}
