import fc from 'fast-check';
import { expect, test } from 'vitest';
import { packr } from '#engine/wire';
import { decodeMsgpack } from './msgpack.ts';

test('it reads what JSON can say, as the general encoder writes it', () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 5 }), (value) => {
      // −0 has no JSON of its own.
      const plain = JSON.parse(JSON.stringify(value)) as unknown;
      expect(decodeMsgpack(packr.pack(plain))).toEqual(plain);
    }),
  );
});

test('all widths of integers and lengths are read', () => {
  for (const n of [
    0,
    127,
    128,
    255,
    256,
    65_535,
    65_536,
    2 ** 32 - 1,
    2 ** 32,
    2 ** 53 - 1,
    -1,
    -32,
    -33,
    -128,
    -129,
    -32_769,
  ])
    expect(decodeMsgpack(packr.pack(n))).toBe(n);
  expect(decodeMsgpack(Uint8Array.of(0xd3, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe))).toBe(-2);
  expect(decodeMsgpack(Uint8Array.of(0xd2, 0xff, 0xff, 0xff, 0xfd))).toBe(-3);
  for (const length of [31, 32, 255, 256, 65_536])
    expect(decodeMsgpack(packr.pack('x'.repeat(length)))).toHaveLength(length);
  for (const length of [15, 16, 65_536])
    expect(decodeMsgpack(packr.pack(Array.from({ length }, () => 1)))).toHaveLength(length);
});

test('arbitrary bytes are a value or an error, in no time', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      try {
        decodeMsgpack(bytes);
      } catch (error) {
        expect(error).toBeInstanceOf(Error);
      }
    }),
    { numRuns: 2_000 },
  );
});

test.each([
  ['nothing', [], 'ends too early'],
  ['bytes behind', [0xc0, 0xc0], '1 bytes after'],
  ['an extension', [0xd4, 0x01, 0x00], 'type 0xd4 is not taken'],
  ['binary', [0xc4, 0x01, 0x00], 'type 0xc4 is not taken'],
  ['a key that is a number', [0x81, 0x01, 0x01], 'no text'],
  ['a list of four billion', [0xdd, 0xff, 0xff, 0xff, 0xff], 'ends too early'],
  ['17 levels', [...Array.from({ length: 17 }, () => 0x91), 0xc0], 'deeper than 16'],
])('%s is refused', (_, bytes, why) => {
  expect(() => decodeMsgpack(Uint8Array.from(bytes))).toThrow(why);
});

test('a field called __proto__ is a field', () => {
  const value = decodeMsgpack(Uint8Array.of(0x81, 0xa9, ...new TextEncoder().encode('__proto__'), 0x80));
  expect(Object.keys(value as object)).toEqual(['__proto__']);
  expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
});
