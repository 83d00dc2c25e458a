import { expect, test } from 'vitest';
import { HashingOverloaded, hashPassword, verifyPassword } from './password.ts';

test('a password opens what was made of it, and nothing else does', async () => {
  const stored = await hashPassword('correct horse');
  expect(stored).toMatch(/^scrypt\$15\$8\$3\$[\w-]{22}\$[\w-]{43}$/);
  expect(await verifyPassword('correct horse', stored)).toBe(true);
  expect(await verifyPassword('correct horsf', stored)).toBe(false);
});

test('the same password is stored differently each time', async () => {
  expect(await hashPassword('x')).not.toBe(await hashPassword('x'));
});

test('the same letters typed on another system are the same password', async () => {
  const composed = 'caf\u00e9';
  const decomposed = 'cafe\u0301';
  expect(await verifyPassword(decomposed, await hashPassword(composed))).toBe(true);
});

test('an unknown user is refused as slowly as a known one', async () => {
  const stored = await hashPassword('x');
  const time = async (work: () => Promise<unknown>) => {
    const from = performance.now();
    await work();
    return performance.now() - from;
  };
  await verifyPassword('warm', null);
  const known = await time(() => verifyPassword('wrong', stored));
  const unknown = await time(() => verifyPassword('wrong', null));
  expect(await verifyPassword('wrong', null)).toBe(false);
  expect(unknown).toBeGreaterThan(known / 4);
});

test.each(['', 'plain', 'scrypt$30$8$3$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA', 'scrypt$15$8$3$short$x'])(
  'a stored string that is none of ours is an error, not a hash of any cost: %s',
  async (stored) => {
    await expect(verifyPassword('x', stored)).rejects.toThrow('not a stored password');
  },
);

test('the line of waiting hashes is bounded', async () => {
  const stored = await hashPassword('x');
  const results = await Promise.allSettled(Array.from({ length: 22 }, () => verifyPassword('y', stored)));
  const refused = results.filter((r) => r.status === 'rejected');
  expect(refused).toHaveLength(4);
  expect(refused.every((r) => r.reason instanceof HashingOverloaded)).toBe(true);
});
