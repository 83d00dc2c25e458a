/**
 * An installation as its user starts it: `gridtick up` as a process of its own, in a temporary directory, on free ports.
 * It ends with the test's process, whatever becomes of that.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Endpoints } from '#engine/supervisor/endpoints';
import { lineSplitter } from '#engine/supervisor/log_file';
import { startTime } from '#engine/supervisor/processes';
import type { Figures } from '#gateway/simulator/fleet';

const root = join(import.meta.dirname, '../..');
const pollMs = 25;

export const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** Polls until there is something; the error says what was waited for. */
export async function until<T>(what: string, limitMs: number, look: () => Promise<T | undefined> | T | undefined) {
  const deadline = Date.now() + limitMs;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (Date.now() > deadline) throw new Error(`${what}: not within ${limitMs} ms`);
    await sleep(pollMs);
  }
}

export interface InstallationOptions {
  /** Arguments of `gridtick up`. */
  args?: readonly string[];
  env?: Readonly<Record<string, string>>;
}

interface Process {
  role: string;
  pid: number;
  started: string;
}

export class Installation {
  readonly dataDir = mkdtempSync(join(tmpdir(), 'gridtick-system-'));
  readonly #options: InstallationOptions;
  #supervisor: ChildProcess | null = null;
  #endpoints: Endpoints | null = null;
  /** Everything the supervisor said, of all its runs. */
  readonly said: string[] = [];
  /** Roles that have ended and do not serve again yet. */
  readonly #down = new Set<string>();

  constructor(options: InstallationOptions = {}) {
    this.#options = options;
  }

  get endpoints(): Endpoints {
    if (this.#endpoints === null) throw new Error('the installation does not run');
    return this.#endpoints;
  }

  /** `nats://…` with the core account's password. */
  get coreUrl(): string {
    const { nats } = JSON.parse(readFileSync(join(this.dataDir, 'secrets.json'), 'utf8')) as { nats: string };
    return this.endpoints.nats.replace('//', `//core:${nats}@`);
  }

  get integratorUrl(): string {
    const { user, password } = this.endpoints.integrator;
    return this.endpoints.nats.replace('//', `//${user}:${encodeURIComponent(password)}@`);
  }

  /** Starts it; resolves when it serves, with the ms it took. */
  async start(): Promise<number> {
    const startedAt = Date.now();
    this.#down.clear();
    const child = (this.#supervisor = this.#spawn(this.#options.args ?? []));
    let serving = false;
    this.#hear(child, (line) => {
      const ended = /^(\S+) ended \(/.exec(line);
      if (ended?.[1]) this.#down.add(ended[1]);
      const again = /^(\S+) serves again$/.exec(line);
      if (again?.[1]) this.#down.delete(again[1]);
      if (line.includes('serving after')) serving = true;
    });
    await until('the installation serves', 90_000, () => {
      if (child.exitCode !== null || child.signalCode !== null)
        throw new Error(`it ended during its start:\n${this.said.slice(-20).join('\n')}`);
      return serving || undefined;
    });
    this.#endpoints = JSON.parse(readFileSync(join(this.dataDir, 'endpoints.json'), 'utf8')) as Endpoints;
    return Date.now() - startedAt;
  }

  /** Tries a start on the same data that cannot be. @throws with what it says */
  async beside(args = this.#options.args ?? []): Promise<void> {
    const child = this.#spawn(args);
    const words: string[] = [];
    this.#hear(child, (line) => words.push(line));
    const overdue = setTimeout(() => child.kill('SIGKILL'), 20_000);
    const [code] = (await once(child, 'close')) as [number | null];
    clearTimeout(overdue);
    if (code !== 0) throw new Error(words.join('\n'));
  }

  #hear(child: ChildProcess, onLine: (line: string) => void): void {
    for (const output of [child.stdout, child.stderr]) {
      output!.on(
        'data',
        lineSplitter((line) => {
          this.said.push(line);
          onLine(line);
        }),
      );
    }
  }

  #spawn(args: readonly string[]): ChildProcess {
    const ports = Object.fromEntries(
      ['HTTP', 'OCPP', 'NATS', 'REDIS', 'CLICKHOUSE'].map((name) => [`GRIDTICK_${name}_PORT`, '0']),
    );
    const { env = {} } = this.#options;
    const program = [process.execPath, join(root, 'dist/engine/cli.js'), 'up', ...args];
    const own = Object.fromEntries(
      Object.entries(process.env).filter(([name]) => !/^(GRIDTICK_|NODE_|VITEST|npm_)/.test(name)),
    );
    return spawn('setpriv', ['--pdeathsig', 'KILL', '--', ...program], {
      env: { ...own, ...ports, GRIDTICK_DATA_DIR: this.dataDir, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  }

  /** Children that the supervisor has noted, alive or not. */
  children(): Process[] {
    const { children } = JSON.parse(readFileSync(join(this.dataDir, 'pids'), 'utf8')) as { children: Process[] };
    return children;
  }

  /** Those of `processes` that still live. */
  static alive(processes: readonly Process[]): Process[] {
    return processes.filter(({ pid, started }) => startTime(pid) === started);
  }

  /** kill -9 of a role. */
  kill(role: string): void {
    const child = this.children().find((one) => one.role === role);
    if (!child) throw new Error(`no '${role}' runs here`);
    this.#down.add(role);
    process.kill(child.pid, 'SIGKILL');
  }

  /** Whether a role has ended and does not serve again yet. */
  isDown(role: string): boolean {
    return this.#down.has(role);
  }

  /** kill -9 of the supervisor; returns after how many ms none of its children was left. */
  async killSupervisor(limitMs: number): Promise<number> {
    const supervisor = this.#supervisor;
    if (supervisor === null) throw new Error('no supervisor runs');
    const children = this.children();
    const gone = once(supervisor, 'exit');
    const killedAt = Date.now();
    supervisor.kill('SIGKILL');
    await gone;
    this.#supervisor = this.#endpoints = null;
    await until('no child is left', limitMs, () => (Installation.alive(children).length === 0 ? true : undefined));
    return Date.now() - killedAt;
  }

  /** Every role serves, and the gateway finds all it needs. */
  async ready(limitMs = 60_000): Promise<void> {
    const health = new URL('/health/ready', this.endpoints.dashboard);
    await until(`all roles serve (down: ${[...this.#down].join(', ') || 'none'})`, limitMs, async () => {
      if (this.#down.size > 0) return undefined;
      const answer = await fetch(health, { signal: AbortSignal.timeout(3_000) }).catch(() => null);
      await answer?.body?.cancel();
      return answer?.status === 200 && this.#down.size === 0 ? true : undefined;
    });
  }

  /** Brings the simulated chargers to rest: all that they said has been answered. Returns what they know. */
  async quiet(limitMs = 90_000): Promise<Figures> {
    const log = join(this.dataDir, 'logs/simulator.log');
    const answers = () =>
      existsSync(log)
        ? readFileSync(log, 'utf8')
            .split('\n')
            .filter((line) => line.startsWith('{"quiet":true')).length
        : 0;
    const before = answers();
    const simulator = this.children().find(({ role }) => role === 'simulator');
    if (!simulator) throw new Error('no simulator runs here');
    process.kill(simulator.pid, 'SIGUSR2');
    await until('the chargers are at rest', limitMs, () => (answers() > before ? true : undefined));
    return this.figures();
  }

  /** What the chargers knew when it was last written: at rest, at the end, and every 10 s. */
  figures(): Figures {
    return JSON.parse(readFileSync(join(this.dataDir, 'simulator/answered.json'), 'utf8')) as Figures;
  }

  /** SIGTERM; returns the ms it took. */
  async stop(): Promise<number> {
    const supervisor = this.#supervisor;
    if (supervisor === null) return 0;
    this.#supervisor = this.#endpoints = null;
    const startedAt = Date.now();
    const gone = once(supervisor, 'exit');
    supervisor.kill('SIGTERM');
    const overdue = setTimeout(() => supervisor.kill('SIGKILL'), 20_000);
    await gone;
    clearTimeout(overdue);
    return Date.now() - startedAt;
  }

  /** Stops it and removes its data; on request the logs are shown before. */
  async dispose(failed = false): Promise<void> {
    await this.stop();
    if (failed || process.env.GRIDTICK_TEST_KEEP) {
      console.log(`${this.dataDir} is kept:\n${this.said.slice(-40).join('\n')}`);
    } else rmSync(this.dataDir, { recursive: true, force: true });
  }
}
