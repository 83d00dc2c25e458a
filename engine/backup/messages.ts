/** Messages of a stream one behind the other in files: length (4 bytes, big-endian), then [sequence, store time ms, bytes]. */
import { packr } from '../wire.ts';

export interface KeptMessage {
  sequence: number;
  /** Store timestamp, unix ms. */
  at: number;
  bytes: Uint8Array;
}

export function packMessage({ sequence, at, bytes }: KeptMessage): Uint8Array {
  const packed = packr.pack([sequence, at, bytes]);
  const whole = Buffer.allocUnsafe(4 + packed.length);
  whole.writeUInt32BE(packed.length);
  whole.set(packed, 4);
  return whole;
}

/** The messages in a run of bytes, however it is cut into pieces. @throws when it ends inside a message */
export async function* unpackMessages(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<KeptMessage> {
  let rest = Buffer.alloc(0);
  for await (const piece of pieces) {
    rest = rest.length === 0 ? Buffer.from(piece) : Buffer.concat([rest, piece]);
    let from = 0;
    for (; rest.length - from >= 4;) {
      const end = from + 4 + rest.readUInt32BE(from);
      if (rest.length < end) break;
      const [sequence, at, bytes] = packr.unpack(rest.subarray(from + 4, end)) as [number, number, Uint8Array];
      yield { sequence, at, bytes };
      from = end;
    }
    rest = rest.subarray(from);
  }
  if (rest.length > 0) throw new Error(`${rest.length} bytes at the end are no whole message`);
}
