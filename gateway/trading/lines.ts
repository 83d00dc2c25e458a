/** Lines of a stream of bytes, plain or gzip, in memory that is bounded whatever the bytes are. */
import { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';

/** The bytes themselves, or what they hold when they begin like a gzip. */
async function* unpacked(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const source = bytes[Symbol.asyncIterator]();
  let begin: Uint8Array = Buffer.alloc(0);
  for (let next = await source.next(); !next.done; next = await source.next()) {
    begin = Buffer.concat([begin, next.value]);
    if (begin.length >= 2) break;
  }
  const whole = (async function* () {
    yield begin;
    yield* { [Symbol.asyncIterator]: () => source };
  })();
  if (begin[0] !== 0x1f || begin[1] !== 0x8b) return yield* whole;
  const gunzip = createGunzip();
  // An error of the source must end the reader of the unpacked bytes, too.
  Readable.from(whole)
    .on('error', (error) => gunzip.destroy(error))
    .pipe(gunzip);
  yield* gunzip as AsyncIterable<Uint8Array>;
}

/**
 * The lines that each piece of the stream completes; `\n` and `\r\n` end them, a mark of the byte order is left out. Of a line
 * longer than `charsMax` a little more than that is handed out.
 */
export async function* linesOf(bytes: AsyncIterable<Uint8Array>, charsMax: number): AsyncGenerator<string[]> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of unpacked(bytes)) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
    rest = lines.pop()!.slice(0, charsMax + 2);
    yield lines.map(withoutReturn);
  }
  rest += decoder.decode();
  if (rest !== '') yield [withoutReturn(rest)];
}

const withoutReturn = (line: string) => (line.endsWith('\r') ? line.slice(0, -1) : line);
