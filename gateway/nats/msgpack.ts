/**
 * MessagePack from strangers: what JSON can say and nothing else. A general decoder also takes extensions, some of which
 * change how it reads what comes later.
 */
const utf8 = new TextDecoder('utf-8', { fatal: true });
/** Nothing a command says is deeper. */
const depthMax = 16;

/** Throws on anything that is not exactly one value of nil, booleans, numbers, text, arrays and maps with text keys. */
export function decodeMsgpack(bytes: Uint8Array): unknown {
  const reader = new Reader(bytes);
  const value = reader.value(depthMax);
  if (reader.rest > 0) throw new Error(`${reader.rest} bytes after the value`);
  return value;
}

class Reader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get rest(): number {
    return this.#bytes.length - this.#at;
  }

  value(depth: number): unknown {
    if (depth === 0) throw new Error(`deeper than ${depthMax}`);
    const byte = this.#uint(1);
    if (byte < 0x80) return byte;
    if (byte < 0x90) return this.#map(byte & 0x0f, depth);
    if (byte < 0xa0) return this.#array(byte & 0x0f, depth);
    if (byte < 0xc0) return this.#text(byte & 0x1f);
    if (byte >= 0xe0) return byte - 0x100;
    switch (byte) {
      case 0xc0:
        return null;
      case 0xc2:
        return false;
      case 0xc3:
        return true;
      case 0xca:
        return this.#view.getFloat32(this.#take(4));
      case 0xcb:
        return this.#view.getFloat64(this.#take(8));
      case 0xcc:
      case 0xcd:
      case 0xce:
      case 0xcf:
        return this.#uint(1 << (byte - 0xcc));
      case 0xd0:
        return this.#view.getInt8(this.#take(1));
      case 0xd1:
        return this.#view.getInt16(this.#take(2));
      case 0xd2:
        return this.#view.getInt32(this.#take(4));
      case 0xd3:
        return Number(this.#view.getBigInt64(this.#take(8)));
      case 0xd9:
      case 0xda:
      case 0xdb:
        return this.#text(this.#uint(1 << (byte - 0xd9)));
      case 0xdc:
      case 0xdd:
        return this.#array(this.#uint(2 << (byte - 0xdc)), depth);
      case 0xde:
      case 0xdf:
        return this.#map(this.#uint(2 << (byte - 0xde)), depth);
      default:
        throw new Error(`type 0x${byte.toString(16)} is not taken`);
    }
  }

  #take(count: number): number {
    const from = this.#at;
    if (count > this.rest) throw new Error('it ends too early');
    this.#at += count;
    return from;
  }

  #uint(size: number): number {
    const from = this.#take(size);
    if (size === 1) return this.#view.getUint8(from);
    if (size === 2) return this.#view.getUint16(from);
    // Beyond 2^53 it is no safe integer any more, which every schema refuses.
    return size === 4 ? this.#view.getUint32(from) : Number(this.#view.getBigUint64(from));
  }

  #text(length: number): string {
    const from = this.#take(length);
    return utf8.decode(this.#bytes.subarray(from, from + length));
  }

  #array(length: number, depth: number): unknown[] {
    if (length > this.rest) throw new Error('it ends too early');
    return Array.from({ length }, () => this.value(depth - 1));
  }

  #map(length: number, depth: number): Record<string, unknown> {
    if (length > this.rest) throw new Error('it ends too early');
    // As JSON.parse does: a key called __proto__ is a field like any other, and then one too many.
    return Object.fromEntries(
      Array.from({ length }, () => {
        const key = this.value(depth - 1);
        if (typeof key !== 'string') throw new Error('a key that is no text');
        return [key, this.value(depth - 1)];
      }),
    );
  }
}
