/**
 * One supervised process: started under a guard, watched, started again when it ends by itself.
 *
 * The guard is the kernel. A child begins as `setpriv --pdeathsig KILL sh`, which asks for SIGKILL at the death of its
 * parent, says `armed`, waits for a word on stdin and only then becomes the role (exec, same pid). So:
 * 1. a supervisor that is killed takes all children with it at once, also those that watch no pipe (nats-server, redis);
 * 2. one that dies before the word leaves nothing: the shell reads the end of its stdin and goes;
 * 3. the pid stands in `<data>/pids` before the role runs its first instruction.
 */
import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import type { Readable, Writable } from 'node:stream';
import { LogFile, lineSplitter } from './log_file.ts';
import type { PidFile } from './pid_file.ts';
import { signalGroup } from './processes.ts';

export interface ChildSpec {
  /** Name on the screen, of its log file and in `pids()`. */
  role: string;
  command: string;
  args: readonly string[];
  env: Readonly<Record<string, string | undefined>>;
  /** Whether this line of output says that it serves. */
  isReady(line: string): boolean;
  /** What of this line belongs on the screen; null = nothing. */
  warning(line: string): string | null;
  /** Told of every line of output. */
  heard?(line: string): void;
  /** Ends by itself with code 0 when its work is done. */
  oneShot?: boolean;
}

export interface ChildSurroundings {
  pids: PidFile;
  logFile: string;
  say(line: string): void;
  /** How long a first start may take. @default 60 s */
  readyMs?: number;
  /** Failures in a row after which a first start is given up. @default 5 */
  attempts?: number;
}

/** 0.2 s, doubled with every failure in a row, at most 5 s. */
export const backOffMs = (failures: number) => Math.min(200 * 2 ** Math.max(0, failures - 1), 5_000);

/** A child that lived this long ended for a new reason. */
const stableMs = 30_000;
/** Lines a role may put on the screen per minute; the rest is in its log. */
const warningsPerMinute = 10;

const armed = 'gridtick: armed';
const waitForTheWord = `echo '${armed}'; read -r go && exec "$@"`;

type Running = ChildProcessByStdio<Writable, Readable, Readable>;

export class Child {
  readonly spec: ChildSpec;
  readonly #around: ChildSurroundings;
  readonly #log: LogFile;
  #running: Running | null = null;
  #ready = false;
  /** Was ready at least once. */
  #served = false;
  #stopping = false;
  #stopped: Promise<void> | null = null;
  #failures = 0;
  #startedAt = 0;
  #restart: NodeJS.Timeout | null = null;
  #waiters: { resolve: () => void; reject: (error: Error) => void }[] = [];
  #warned = { minute: 0, count: 0 };

  constructor(spec: ChildSpec, around: ChildSurroundings) {
    this.spec = spec;
    this.#around = around;
    this.#log = new LogFile(around.logFile);
  }

  /** The process that runs now, or null between two runs. */
  get pid(): number | null {
    return this.#running?.pid ?? null;
  }

  get ready(): boolean {
    return this.#ready;
  }

  /**
   * Starts it. Resolves when it serves (a one-shot: when it is done); failures on the way are repeated with back-off.
   * @throws when it fails too often, takes too long or is stopped meanwhile; the message holds its last words
   */
  async start(): Promise<void> {
    this.#launch();
    const { readyMs = 60_000 } = this.#around;
    const overdue = setTimeout(() => this.#giveUp(`is not ready after ${readyMs / 1000} s`), readyMs);
    try {
      await this.whenReady();
    } finally {
      clearTimeout(overdue);
    }
  }

  /** Resolves when it serves: now, or after the next start. */
  whenReady(): Promise<void> {
    if (this.#ready) return Promise.resolve();
    return new Promise((resolve, reject) => this.#waiters.push({ resolve, reject }));
  }

  /** Sends a signal to it and its own children; false when it does not run. Without `stop` before, it comes back. */
  kill(signal: NodeJS.Signals): boolean {
    return this.pid !== null && signalGroup(this.pid, signal);
  }

  /** Ends it for good: asks, and kills after `limitMs`. Resolves when the process is gone. */
  stop(limitMs: number): Promise<void> {
    this.#stopped ??= this.#stop(limitMs);
    return this.#stopped;
  }

  async #stop(limitMs: number): Promise<void> {
    this.#stopping = true;
    if (this.#restart) clearTimeout(this.#restart);
    this.#settle(new Error(`${this.spec.role} is being stopped`));
    const running = this.#running;
    if (running) {
      const gone = once(running, 'close');
      this.kill('SIGCONT');
      this.kill('SIGTERM');
      running.stdin.end();
      const overdue = setTimeout(() => {
        this.#around.say(`${this.spec.role} does not end within ${(limitMs / 1000).toFixed(1)} s: killed`);
        this.kill('SIGKILL');
      }, limitMs);
      await gone;
      clearTimeout(overdue);
    }
    this.#log.close();
  }

  #launch(): void {
    const { role, command, args, env } = this.spec;
    this.#restart = null;
    this.#startedAt = Date.now();
    // A session of its own: Ctrl-C on the terminal reaches the supervisor alone, which then stops all in order.
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', 'sh', '-c', waitForTheWord, role, command, ...args], {
      env: { ...env },
      detached: true,
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    this.#running = child;
    child.stdin.on('error', () => {}); // it ended before it read: 'close' tells
    const onLine = (line: string) => {
      if (line === armed && child.pid !== undefined) {
        this.#around.pids.add(role, child.pid);
        child.stdin.write('go\n');
      } else this.#heard(line);
    };
    child.stdout.on('data', lineSplitter(onLine));
    child.stderr.on(
      'data',
      lineSplitter((line) => this.#heard(line)),
    );
    child.once('error', (error) => this.#heard(`${role} cannot be started: ${error.message}`));
    // 'close' comes after the last line, also when the process could not be made at all.
    child.once('close', (code, signal) => this.#ended(child, code, signal));
  }

  #heard(line: string): void {
    this.#log.write(line);
    this.spec.heard?.(line);
    if (!this.#ready && !this.spec.oneShot && this.spec.isReady(line)) {
      this.#ready = true;
      if (this.#failures > 0) this.#around.say(`${this.spec.role} serves again`);
      this.#settle(null);
    }
    const warning = this.spec.warning(line);
    if (warning === null) return;
    const minute = Math.floor(Date.now() / 60_000);
    if (minute !== this.#warned.minute) this.#warned = { minute, count: 0 };
    this.#warned.count += 1;
    if (this.#warned.count <= warningsPerMinute) this.#around.say(`${this.spec.role}: ${warning}`);
    else if (this.#warned.count === warningsPerMinute + 1)
      this.#around.say(`${this.spec.role}: more of it in ${this.#log.path}`);
  }

  #ended(child: Running, code: number | null, signal: NodeJS.Signals | null): void {
    const { role, oneShot } = this.spec;
    // Nobody of its group outlives it, or the next one meets the old one's children.
    if (child.pid !== undefined) {
      signalGroup(child.pid, 'SIGKILL');
      this.#around.pids.remove(child.pid, !this.#stopping && !(oneShot && code === 0));
    }
    this.#running = null;
    this.#ready = false;
    if (this.#stopping) return;
    if (oneShot && code === 0) {
      this.#ready = true;
      return this.#settle(null);
    }
    this.#failures = Date.now() - this.#startedAt > stableMs ? 1 : this.#failures + 1;
    const how = signal ? `killed by ${signal}` : `code ${code}`;
    const first = this.#waiters.length > 0 && !this.#served;
    if (first && this.#failures >= (this.#around.attempts ?? 5))
      return this.#giveUp(`ended ${this.#failures} times (${how})`);
    const delayMs = backOffMs(this.#failures);
    const notice = `${role} ended (${how}), starts again in ${delayMs / 1000} s`;
    this.#log.write(notice);
    this.#around.say(notice);
    this.#restart = setTimeout(() => this.#launch(), delayMs);
  }

  #giveUp(why: string): void {
    this.#settle(new Error(`${this.spec.role} ${why}; its log (${this.#log.path}) ends with:\n${this.#log.tail()}`));
  }

  #settle(error: Error | null): void {
    if (error === null) this.#served = true;
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const { resolve, reject } of waiters) {
      if (error) reject(error);
      else resolve();
    }
  }
}
