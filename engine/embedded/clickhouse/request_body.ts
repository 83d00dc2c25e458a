/** The body of a request: decompressed, bounded, in memory while small and in a file when large. */
import { createWriteStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { pipeline, Readable, type Transform } from 'node:stream';
import { pipeline as piped } from 'node:stream/promises';
import * as zlib from 'node:zlib';
import { exception } from './exception.ts';

const MiB = 1024 * 1024;
/** Bytes after decompression; more is refused with QUERY_IS_TOO_LARGE. */
export const bodyMax = 1024 * MiB;
/** Statements without data. */
export const statementMax = 1 * MiB;
/** Data up to this size stays in memory. */
export const memoryMax = 4 * MiB;

type Decoder = () => Transform;
// zstd came with Node 22.15; on older versions the encoding is refused by name.
const zstd = (zlib as { createZstdDecompress?: Decoder }).createZstdDecompress;
const decoders: Record<string, Decoder | undefined> = {
  gzip: zlib.createGunzip,
  deflate: zlib.createInflate,
  br: zlib.createBrotliDecompress,
  zstd,
};

/** @throws NOT_IMPLEMENTED for an encoding that this Node.js does not have */
export function decoded(request: IncomingMessage): Readable {
  const encoding = request.headers['content-encoding'] ?? 'identity';
  if (encoding === 'identity') return request;
  const decoder = Object.hasOwn(decoders, encoding) ? decoders[encoding] : undefined;
  if (!decoder) {
    throw exception('NOT_IMPLEMENTED', `Content-Encoding '${encoding}' is not available; use gzip or none`);
  }
  // The error reaches the reader through the decoder.
  return pipeline(request, decoder(), () => undefined);
}

/** A byte stream whose beginning can be looked at before the rest is read. */
export class Body {
  readonly #source: AsyncIterator<Buffer, unknown>;
  #held: Buffer;
  #size: number;
  #ended = false;

  /** @param prefix text of the URL that stands before the body */
  constructor(prefix: Buffer, source: AsyncIterable<Buffer, unknown>) {
    this.#held = prefix;
    this.#size = prefix.length;
    this.#source = source[Symbol.asyncIterator]();
  }

  async #next(): Promise<Buffer | undefined> {
    if (this.#ended) return undefined;
    const step = await this.#source.next();
    if (step.done) {
      this.#ended = true;
      return undefined;
    }
    const { value } = step;
    this.#size += value.length;
    if (this.#size > bodyMax) throw exception('QUERY_IS_TOO_LARGE', `The body exceeds ${bodyMax} bytes`);
    return value;
  }

  /** The first `bytes` bytes, or all when there are fewer; they stay to be read again. */
  async peek(bytes: number): Promise<Buffer> {
    const parts = [this.#held];
    let length = this.#held.length;
    while (length < bytes) {
      const chunk = await this.#next();
      if (!chunk) break;
      parts.push(chunk);
      length += chunk.length;
    }
    this.#held = Buffer.concat(parts);
    return this.#held.subarray(0, bytes);
  }

  /** Everything from an offset inside what was peeked. */
  async *from(offset: number): AsyncGenerator<Buffer> {
    if (this.#held.length > offset) yield this.#held.subarray(offset);
    this.#held = Buffer.alloc(0);
    for (let chunk = await this.#next(); chunk; chunk = await this.#next()) yield chunk;
  }
}

export type Spooled = { bytes: Buffer; path?: never } | { path: string; bytes?: never };

let files = 0;

/** Reads data to its end, so that nothing is inserted of a body that breaks off. A file is the caller's to remove. */
export async function spool(source: AsyncIterable<Buffer>, directory: string): Promise<Spooled> {
  const parts: Buffer[] = [];
  let length = 0;
  const iterator = source[Symbol.asyncIterator]();
  for (let step = await iterator.next(); !step.done; step = await iterator.next()) {
    parts.push(step.value);
    length += step.value.length;
    if (length > memoryMax) return { path: await toFile(parts, iterator, directory) };
  }
  return { bytes: parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts, length) };
}

/** Data as a file, for formats that only the engine's file reader takes. */
export const bytesToFile = (bytes: Buffer, directory: string) =>
  toFile([bytes], { next: async () => ({ done: true, value: undefined }) }, directory);

async function toFile(parts: Buffer[], rest: AsyncIterator<Buffer>, directory: string): Promise<string> {
  const path = join(directory, `insert-${process.pid}-${++files}`);
  async function* all() {
    yield* parts;
    for (let step = await rest.next(); !step.done; step = await rest.next()) yield step.value;
  }
  try {
    await piped(Readable.from(all(), { objectMode: false }), createWriteStream(path, { flags: 'wx', mode: 0o600 }));
    return path;
  } catch (error) {
    await rm(path, { force: true });
    throw error;
  }
}
