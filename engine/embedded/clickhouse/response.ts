/** One answer: headers, compression, backpressure, and errors before or within the stream. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import type { Transform } from 'node:stream';
import * as zlib from 'node:zlib';
import type { ClickHouseException } from './exception.ts';
import { contentType } from './statement.ts';

export interface Summary {
  readRows?: number;
  readBytes?: number;
  writtenRows?: number;
  writtenBytes?: number;
  elapsedMs: number;
}

// See request_body.ts: absent before Node 22.15.
const zstd = (zlib as { createZstdCompress?: () => Transform }).createZstdCompress;

export class Response {
  encoding: 'gzip' | 'zstd' | undefined;
  readonly #response: ServerResponse;
  readonly #version: string;
  readonly #sendTimeoutMs: number;
  /** Marks the end of a broken stream so that no data can imitate it. */
  readonly #tag = randomBytes(8).toString('hex');
  #compressor: Transform | undefined;

  constructor(response: ServerResponse, version: string, sendTimeoutMs: number) {
    this.#response = response;
    this.#version = version;
    this.#sendTimeoutMs = sendTimeoutMs;
    response.setHeader('X-ClickHouse-Server-Display-Name', 'gridtick');
    response.setHeader('X-ClickHouse-Timezone', 'UTC');
  }

  identify(queryId: string): void {
    // A header cannot carry every id a client may invent.
    this.#response.setHeader('X-ClickHouse-Query-Id', queryId.replace(/[^\x20-\x7e]/g, '?'));
  }

  plain(status: number, text: string): void {
    this.#response.writeHead(status, { 'Content-Type': 'text/plain; charset=UTF-8' }).end(text);
  }

  /** Sends the headers of a good answer. */
  begin(format: string, summary: Summary): void {
    const response = this.#response;
    response.statusCode = 200;
    response.setHeader('Content-Type', contentType(format));
    response.setHeader('X-ClickHouse-Format', format);
    response.setHeader('X-ClickHouse-Exception-Tag', this.#tag);
    response.setHeader('X-ClickHouse-Summary', summaryText(summary));
    if (this.encoding === 'gzip') this.#compressor = zlib.createGzip({ level: 1 });
    else if (this.encoding === 'zstd') this.#compressor = zstd?.();
    if (!this.#compressor) return;
    response.setHeader('Content-Encoding', this.encoding ?? 'identity');
    response.setHeader('Vary', 'Accept-Encoding');
    this.#compressor.pipe(response);
    response.on('close', () => this.#compressor?.destroy());
  }

  /** Resolves when the client can take more. @throws when it went away or takes nothing for the send timeout */
  async write(bytes: Uint8Array, signal: AbortSignal): Promise<void> {
    const out = this.#compressor ?? this.#response;
    if (signal.aborted) throw signal.reason;
    if (out.write(bytes)) return;
    const stalled = AbortSignal.timeout(this.#sendTimeoutMs);
    try {
      await once(out, 'drain', { signal: AbortSignal.any([signal, stalled]) });
    } catch (error) {
      this.#response.destroy();
      throw error;
    }
  }

  end(): void {
    (this.#compressor ?? this.#response).end();
  }

  /** Before the first byte: status and text. Within a stream: the framed text that clients look for, then the end. */
  fail(e: ClickHouseException, status: number): void {
    const response = this.#response;
    if (response.writableEnded || response.destroyed) return;
    const line = e.line(this.#version);
    if (response.headersSent || response.hasHeader('X-ClickHouse-Exception-Tag')) {
      const frame = `\r\n__exception__\r\n${this.#tag}\r\n${line}${Buffer.byteLength(line)} ${this.#tag}\r\n__exception__\r\n`;
      const out = this.#compressor ?? response;
      out.write(frame);
      out.end();
      return;
    }
    if (status === 401) response.setHeader('WWW-Authenticate', 'Basic realm="ClickHouse"');
    response.setHeader('X-ClickHouse-Exception-Code', String(e.code));
    response.setHeader('Connection', 'close');
    this.plain(status, line);
  }
}

function summaryText({ readRows = 0, readBytes = 0, writtenRows = 0, writtenBytes = 0, elapsedMs }: Summary): string {
  return JSON.stringify({
    read_rows: String(readRows),
    read_bytes: String(readBytes),
    written_rows: String(writtenRows),
    written_bytes: String(writtenBytes),
    total_rows_to_read: '0',
    result_rows: String(writtenRows),
    result_bytes: String(writtenBytes),
    elapsed_ns: String(Math.round(elapsedMs * 1e6)),
  });
}
