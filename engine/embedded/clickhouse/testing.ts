/** A real embedded ClickHouse as a child process, for tests of this folder and others. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

export interface TestClickHouse {
  /** Without credentials; the same after `restart`. */
  readonly url: string;
  readonly user: 'gridtick';
  readonly password: string;
  readonly analystPassword: string;
  readonly dataDir: string;
  /** Resident memory of the process, MB. */
  rssMb(): number;
  /** Ends the process as a crash would; `restart` opens the same data again. */
  kill9(): Promise<void>;
  /** Stops the process if it runs and starts it again on the same data and port. */
  restart(): Promise<void>;
  /** Ends the process and removes its data. */
  stop(): Promise<void>;
}

const main = fileURLToPath(new URL('./main.ts', import.meta.url));
/** `tsx` is found from here, wherever the tests were started. */
const root = fileURLToPath(new URL('../../..', import.meta.url));

interface Running {
  child: ChildProcess;
  port: number;
}

/** Starts the role and waits for its ready line. @throws with what it logged when it ends before that */
async function start(env: Record<string, string>): Promise<Running> {
  const child = spawn(process.execPath, ['--conditions=source', '--import', 'tsx', main], {
    cwd: root,
    env: { ...process.env, GRIDTICK_LOG_LEVEL: 'warn', ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let logged = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (logged = (logged + text).slice(-8_000)));
  const ended = once(child, 'exit').then(() => undefined);
  const line = await Promise.race([once(createInterface(child.stdout), 'line'), ended]);
  if (!line) throw new Error(`the embedded ClickHouse did not start: ${logged}`);
  return { child, port: (JSON.parse(String(line[0])) as { port: number }).port };
}

async function end({ child }: Running, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill(signal);
  await exited;
}

/** @param options.dataDir an existing data directory, which `stop` then leaves in place */
export async function startTestClickHouse(options: { dataDir?: string } = {}): Promise<TestClickHouse> {
  const dataDir = options.dataDir ?? (await mkdtemp(join(tmpdir(), 'gridtick-clickhouse-')));
  const password = 'test-gridtick';
  const analystPassword = 'test-analyst';
  const env = {
    GRIDTICK_DATA_DIR: dataDir,
    GRIDTICK_BIND: '127.0.0.1',
    GRIDTICK_CLICKHOUSE_PORT: '0',
    GRIDTICK_CLICKHOUSE_PASSWORD: password,
    GRIDTICK_ANALYST_PASSWORD: analystPassword,
  };
  let running = await start(env);
  const { port } = running;
  return {
    url: `http://127.0.0.1:${port}`,
    user: 'gridtick',
    password,
    analystPassword,
    dataDir,
    rssMb: () => {
      const status = readFileSync(`/proc/${running.child.pid}/status`, 'utf8');
      return Math.round(Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1000);
    },
    kill9: () => end(running, 'SIGKILL'),
    async restart() {
      await end(running, 'SIGTERM');
      running = await start({ ...env, GRIDTICK_CLICKHOUSE_PORT: String(port) });
    },
    async stop() {
      await end(running, 'SIGTERM');
      if (options.dataDir === undefined) await rm(dataDir, { recursive: true, force: true });
    },
  };
}
