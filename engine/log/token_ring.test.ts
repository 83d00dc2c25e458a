import fc from 'fast-check';
import { expect, test } from 'vitest';
import { TokenRing } from './token_ring.ts';

interface Item {
  token: number;
}

test('whatever comes and goes, each is found under its own number, and no number is given twice', () => {
  fc.assert(
    fc.property(fc.array(fc.option(fc.nat(400), { freq: 3 }), { maxLength: 1_000 }), (steps) => {
      const ring = new TokenRing<Item>();
      const inside = new Map<number, Item>();
      const given = new Set<number>();
      for (const leaves of steps) {
        if (leaves === null) {
          const item = { token: 0 };
          ring.add(item);
          expect(given.has(item.token)).toBe(false);
          given.add(item.token);
          inside.set(item.token, item);
        } else {
          expect(ring.take(leaves)).toBe(inside.get(leaves));
          inside.delete(leaves);
        }
        expect(ring.size).toBe(inside.size);
      }
      expect(new Set(ring)).toEqual(new Set(inside.values()));
    }),
    { numRuns: 100 },
  );
});

test('an item that stays for long is passed over, and still found', () => {
  const ring = new TokenRing<Item>();
  const stays = { token: 0 };
  ring.add(stays);
  for (let i = 0; i < 1_000; i++) {
    const passes = { token: 0 };
    ring.add(passes);
    expect(ring.take(passes.token)).toBe(passes);
  }
  expect([ring.size, ring.take(stays.token), ring.take(stays.token)]).toEqual([1, stays, undefined]);
});

test('a number beyond 32 bits, or none at all, finds nothing', () => {
  const ring = new TokenRing<Item>();
  const item = { token: 0 };
  ring.add(item);
  for (const token of [item.token + 2 ** 32, -1, 0.5, NaN]) expect(ring.take(token)).toBeUndefined();
  expect(ring.take(item.token)).toBe(item);
});
