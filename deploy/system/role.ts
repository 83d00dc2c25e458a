/** One process of the product without a supervisor: started with a setting of its own, killed, and started again. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { lineSplitter } from '#engine/supervisor/log_file';

const ownDist = join(import.meta.dirname, '../../dist');

export class Role {
  readonly name: string;
  readonly #child: ChildProcess;
  readonly #ended: Promise<NodeJS.Signals | number | null>;
  readonly #ready: Promise<void>;
  #said: string[] = [];

  /**
   * @param file below `dist`
   * @param onLine gets what it prints
   * @param dist another build than this one
   */
  constructor(
    name: string,
    file: string,
    args: readonly string[],
    env: Readonly<Record<string, string>>,
    onLine: (line: string) => void = () => {},
    dist = ownDist,
  ) {
    this.name = name;
    // It ends with the test's process, whatever becomes of that.
    this.#child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', process.execPath, join(dist, file), ...args], {
      env: { PATH: process.env.PATH, NODE_ENV: 'production', GRIDTICK_LOG_LEVEL: 'warn', ...env },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    let ready!: () => void;
    this.#ready = new Promise((resolve) => (ready = resolve));
    this.#child.stdout!.on(
      'data',
      lineSplitter((line) => {
        if (line.startsWith('{"ready":true')) ready();
        else onLine(line);
      }),
    );
    this.#child.stderr!.on(
      'data',
      lineSplitter((line) => this.#said.push(line)),
    );
    this.#ended = once(this.#child, 'close').then(() => this.#child.signalCode ?? this.#child.exitCode);
  }

  /** Its exit code, or the signal that ended it; undefined while it lives. */
  get end(): NodeJS.Signals | number | undefined {
    return this.#child.signalCode ?? this.#child.exitCode ?? undefined;
  }

  /** Resolves with how it ended when all that it printed has been heard. */
  get ended(): Promise<NodeJS.Signals | number | null> {
    return this.#ended;
  }

  /**
   * Resolves when it serves, or stands at its failpoint before that.
   * @throws with its last words when it ends before; not when it is killed
   */
  async serves(): Promise<this> {
    let isOver = false;
    const stands = async () => {
      while (!isOver && !this.isStopped) await sleep(25);
      return null;
    };
    const end = await Promise.race([this.#ready.then(() => null), this.#ended, stands()]);
    isOver = true;
    if (end !== null && end !== 'SIGKILL') throw new Error(`${this.name} ended (${end}): ${this.lastWords}`);
    return this;
  }

  get lastWords(): string {
    return this.#said.slice(-15).join('\n');
  }

  /** Whether it stands still (SIGSTOP), as at a failpoint. */
  get isStopped(): boolean {
    if (this.end !== undefined) return false;
    const stat = readFileSync(`/proc/${this.#child.pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).startsWith('T');
  }

  /** Lets it stand still until {@link resume}; it knows nothing of it. */
  pause(): void {
    if (this.end === undefined) this.#child.kill('SIGSTOP');
  }

  get pid(): number {
    return this.#child.pid!;
  }

  /** SIGTERM; resolves with how it ended. */
  leave(): Promise<NodeJS.Signals | number | null> {
    this.#child.kill('SIGTERM');
    return this.#ended;
  }

  /** Lets it go on. */
  resume(): void {
    if (this.end === undefined) this.#child.kill('SIGCONT');
  }

  async kill(): Promise<void> {
    if (this.end === undefined) this.#child.kill('SIGKILL');
    await this.#ended;
  }
}
