/** Files of bounded size with a hash each. */
import { createHash, type Hash } from 'node:crypto';
import { createReadStream, existsSync, statSync } from 'node:fs';
import { open, rm, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import Type, { type Static } from 'typebox';
import { BackupRefused } from './refused.ts';

/** `path` is relative to the directory of the whole; `sha256` in hex. */
export const Part = Type.Object({
  path: Type.String({ pattern: '^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)?$' }),
  bytes: Type.Integer({ minimum: 0 }),
  sha256: Type.String({ pattern: '^[0-9a-f]{64}$' }),
});
export type Part = Static<typeof Part>;

const partBytes = 64 * 1024 * 1024;

/** Writes one thing as `<name>.000`, `<name>.001` …, each on the disk when the next begins. */
export class PartWriter {
  readonly parts: Part[] = [];
  readonly #directory: string;
  readonly #name: string;
  readonly #bytesMax: number;
  #file: FileHandle | null = null;
  #hash: Hash = createHash('sha256');
  #bytes = 0;

  /** @param bytesMax of a file; @default 64 MiB */
  constructor(directory: string, name: string, bytesMax = partBytes) {
    this.#directory = directory;
    this.#name = name;
    this.#bytesMax = bytesMax;
  }

  async write(bytes: Uint8Array): Promise<void> {
    for (let from = 0; from < bytes.length;) {
      const piece = bytes.subarray(from, from + this.#bytesMax - this.#bytes);
      this.#file ??= await open(join(this.#directory, this.#path), 'wx', 0o600);
      await this.#file.writeFile(piece);
      this.#hash.update(piece);
      this.#bytes += piece.length;
      from += piece.length;
      if (this.#bytes === this.#bytesMax) await this.next();
    }
  }

  /** Ends the present file; what follows goes into another. */
  async next(): Promise<void> {
    if (this.#file === null) return;
    await this.#file.sync();
    await this.#file.close();
    this.parts.push({ path: this.#path, bytes: this.#bytes, sha256: this.#hash.digest('hex') });
    this.#file = null;
    this.#hash = createHash('sha256');
    this.#bytes = 0;
  }

  /** Ends the last file; all of them, in order. */
  async end(): Promise<Part[]> {
    await this.next();
    return this.parts;
  }

  /** Takes everything back. */
  async remove(): Promise<void> {
    await this.#file?.close();
    this.#file = null;
    for (const { path } of this.parts) await rm(join(this.#directory, path), { force: true });
    await rm(join(this.#directory, this.#path), { force: true });
  }

  get #path() {
    return `${this.#name}.${String(this.parts.length).padStart(3, '0')}`;
  }
}

/** What stands in the files, in order, in pieces; hashed on the way. @throws {BackupRefused} when it is not what was written */
export async function* readParts(directory: string, parts: readonly Part[]): AsyncGenerator<Uint8Array> {
  for (const part of parts) {
    const path = join(directory, part.path);
    if (!existsSync(path)) throw new BackupRefused('file_missing', `${path} is missing`);
    const { size } = statSync(path);
    if (size !== part.bytes)
      throw new BackupRefused('file_damaged', `${path} has ${size} bytes instead of ${part.bytes}`);
    const hash = createHash('sha256');
    for await (const bytes of createReadStream(path, { highWaterMark: 256 * 1024 }) as AsyncIterable<Uint8Array>) {
      hash.update(bytes);
      yield bytes;
    }
    if (hash.digest('hex') !== part.sha256)
      throw new BackupRefused('file_damaged', `${path} is not what was written: its SHA-256 differs`);
  }
}

/** Reads everything once and keeps nothing. @throws {BackupRefused} at the first file that is not what was written */
export async function checkParts(
  directory: string,
  parts: readonly Part[],
  onBytes: (bytes: number) => void = () => {},
): Promise<void> {
  for await (const bytes of readParts(directory, parts)) onBytes(bytes.length);
}
