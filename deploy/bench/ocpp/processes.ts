/** Child processes of the OCPP benchmark that talk in JSON lines. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface, type Interface } from 'node:readline';

export type Line = Record<string, unknown>;

/** A benchmark program of this folder, running. */
export class Program {
  readonly child: ChildProcess;
  readonly #lines: Interface;
  #last: Line = {};
  #listener: (line: Line) => void = () => undefined;
  readonly #ended: Promise<void>;

  constructor(file: string, options: Record<string, string | number | true>, onLine?: (line: Line) => void) {
    if (onLine) this.#listener = onLine;
    const args = Object.entries(options).flatMap(([name, value]) =>
      value === true ? [`--${name}`] : [`--${name}`, String(value)],
    );
    this.child = spawn(process.execPath, [new URL(file, import.meta.url).pathname, ...args], {
      // A program ends when this pipe does, so none is left behind a benchmark that was killed.
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.#lines = createInterface({ input: this.child.stdout! });
    this.#lines.on('line', (text) => {
      this.#last = JSON.parse(text) as Line;
      this.#listener(this.#last);
    });
    this.#ended = Promise.all([once(this.child, 'exit'), once(this.#lines, 'close')]).then(() => undefined);
  }

  get pid(): number {
    return this.child.pid!;
  }

  /** The next line that has this field. */
  line(field: string): Promise<Line> {
    return new Promise((resolve, reject) => {
      const before = this.#listener;
      this.#listener = (line) => {
        before(line);
        if (field in line) resolve(line);
      };
      void this.#ended.then(() => reject(new Error(`ended without '${field}'`)));
    });
  }

  /** Waits for its end; resolves with its last line, throws when it failed. */
  async result<Result>(limitMs: number): Promise<Result> {
    const timer = setTimeout(() => this.child.kill('SIGKILL'), limitMs);
    await this.#ended;
    clearTimeout(timer);
    if (this.child.exitCode !== 0) throw new Error(`a benchmark program ended with ${this.child.exitCode ?? 'a kill'}`);
    return this.#last as Result;
  }

  async stop(): Promise<Line> {
    this.child.kill('SIGTERM');
    await this.#ended;
    return this.#last;
  }
}
