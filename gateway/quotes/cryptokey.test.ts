import { createHmac } from 'node:crypto';
import { expect, test } from 'vitest';
import { Cryptokeys, parseSecrets } from './cryptokey.ts';

const [one, two, three] = ['k1', 'k2', 'k3'].map((keyId) => ({ keyId, secret: `${keyId} secret`.padEnd(32, '.') }));
const quote = { symbol: 'ABC', priceE5Sek: 27_683_000, user: 'anna', at: 1_546_300_800_001 };

test('the key is what anybody with the secret computes from symbol, price, user, time and key id', () => {
  const right = createHmac('sha256', one!.secret).update('ABC|276.83|anna|1546300800001|k1').digest('base64url');
  expect(new Cryptokeys(one!).sign(quote)).toBe(right);
  expect(right).toMatch(/^[\w-]{43}$/);
});

test('a key opens its own quote and no other', () => {
  const keys = new Cryptokeys(one!);
  const key = keys.sign(quote);
  expect(keys.verify(quote, key)).toBe(true);
  for (const other of [{ symbol: 'ABD' }, { priceE5Sek: 27_683_001 }, { user: 'bert' }, { at: quote.at + 1 }])
    expect(keys.verify({ ...quote, ...other }, key)).toBe(false);
  for (const bad of ['', key.slice(1), `${key}A`, `A${key.slice(1)}`]) expect(keys.verify(quote, bad)).toBe(false);
});

test('during a rotation two keys are good, and the one before them no longer', () => {
  const keys = new Cryptokeys(one!);
  const first = keys.sign(quote);
  keys.rotate(two!);
  const second = keys.sign(quote);
  expect(second).not.toBe(first);
  expect([first, second].map((key) => keys.verify(quote, key))).toEqual([true, true]);
  keys.rotate(three!);
  expect([first, second].map((key) => keys.verify(quote, key))).toEqual([false, true]);
  expect(() => keys.rotate(three!)).toThrow("'k3' signs already");
});

test('processes restarted one by one understand each other at every step of a rotation', () => {
  const [a, b] = [one!, two!].map(({ keyId, secret }) => `${keyId}:${secret.replace(' ', '.')}`) as [string, string];
  const steps = [a, `${a},${b}`, `${b},${a}`, b].map(parseSecrets);
  for (const [i, next] of steps.slice(1).entries()) {
    const before = steps[i]!;
    expect(next.verify(quote, before.sign(quote))).toBe(true);
    expect(before.verify(quote, next.sign(quote))).toBe(true);
  }
});

test.each([
  ['', 'ID:SECRET'],
  ['k1', 'ID:SECRET'],
  ['k1:short', 'at least'],
  [`k1:${'a'.repeat(32)},k1:${'b'.repeat(32)}`, 'two keys'],
  [`k1:${'a'.repeat(32)},k2:${'b'.repeat(32)},k3:${'c'.repeat(32)}`, 'at most two'],
])("keys of quotes '%s' are refused, and no secret is shown", (text, reason) => {
  expect(() => parseSecrets(text)).toThrow(reason);
  expect(() => parseSecrets(text)).not.toThrow(/aaaa|short$/);
});
