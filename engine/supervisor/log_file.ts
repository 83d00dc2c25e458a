/** One role's output on disk: whole lines with their time, at most two files of `limitBytes`. */
import { closeSync, fstatSync, openSync, renameSync, writeSync } from 'node:fs';

export class LogFile {
  readonly path: string;
  readonly #limitBytes: number;
  readonly #tail: string[] = [];
  #file: number;
  #bytes: number;

  constructor(path: string, limitBytes = 16 * 1024 * 1024) {
    this.path = path;
    this.#limitBytes = limitBytes;
    this.#file = openSync(path, 'a', 0o600);
    this.#bytes = fstatSync(this.#file).size;
  }

  write(line: string): void {
    this.#tail.push(line);
    if (this.#tail.length > 20) this.#tail.shift();
    // A JSON line brings its own time.
    const text = line.startsWith('{') ? `${line}\n` : `${new Date().toISOString()} ${line}\n`;
    const bytes = Buffer.byteLength(text);
    if (this.#bytes > 0 && this.#bytes + bytes > this.#limitBytes) this.#rotate();
    this.#bytes += bytes;
    writeSync(this.#file, text);
  }

  /** The last 20 lines, for the message when a role cannot start. */
  tail(): string {
    return this.#tail.join('\n');
  }

  close(): void {
    closeSync(this.#file);
  }

  #rotate(): void {
    closeSync(this.#file);
    renameSync(this.path, `${this.path}.1`);
    this.#file = openSync(this.path, 'a', 0o600);
    this.#bytes = 0;
  }
}

/** Cuts a stream of bytes into lines; a line longer than `limit` characters is handed out in pieces. */
export function lineSplitter(onLine: (line: string) => void, limit = 64 * 1024): (chunk: Buffer) => void {
  const decoder = new TextDecoder();
  let rest = '';
  return (chunk) => {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) if (line.trim() !== '') onLine(line.trimEnd());
    if (rest.length > limit) {
      onLine(rest);
      rest = '';
    }
  };
}
