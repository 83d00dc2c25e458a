/**
 * The installation under test: a running one, named by GRIDTICK_TEST_ENDPOINTS (its endpoints.json), or one of its own
 * with a new data directory and free ports, which ends with the tests.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Endpoints {
  dashboard: string;
  api: string;
  /** `ws://host:port/ocpp`; the charger's identity is appended as `/<identity>`. */
  ocpp: string;
  logins: { role: string; email: string; password: string }[];
}

const variable = 'GRIDTICK_TEST_ENDPOINTS';
const startLimitMs = 180_000;
const ports = ['HTTP', 'OCPP', 'NATS', 'REDIS', 'CLICKHOUSE'];

export const endpoints = (): Endpoints => JSON.parse(readFileSync(process.env[variable] ?? '', 'utf8')) as Endpoints;

export interface Started {
  /** Its endpoints.json. */
  file: string;
  stop(): Promise<void>;
}

/** `gridtick up` with a new data directory and free ports. */
export async function startInstallation(args: readonly string[] = []): Promise<Started> {
  const dataDir = mkdtempSync(join(tmpdir(), 'gridtick-e2e-'));
  const child = spawn(process.execPath, [join(import.meta.dirname, '../../dist/engine/cli.js'), 'up', ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...process.env,
      ...Object.fromEntries(ports.map((name) => [`GRIDTICK_${name}_PORT`, '0'])),
      GRIDTICK_DATA_DIR: dataDir,
      GRIDTICK_LOG_SCALE: '0.05',
    },
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (output += String(text)));
  const ended = once(child, 'exit');
  const stop = async () => {
    child.kill('SIGTERM');
    await ended;
    rmSync(dataDir, { recursive: true, force: true });
  };

  const file = join(dataDir, 'endpoints.json');
  const deadline = Date.now() + startLimitMs;
  while (!existsSync(file)) {
    if (child.exitCode !== null || Date.now() > deadline) {
      await stop();
      throw new Error(`the installation did not start; is it built (npm run build)?\n${output.slice(-4_000)}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  return { file, stop };
}

/** For all tests that look and change nothing. */
export default async function start(): Promise<() => Promise<void>> {
  if (process.env[variable]) return async () => {};
  const { file, stop } = await startInstallation();
  process.env[variable] = file;
  return stop;
}
