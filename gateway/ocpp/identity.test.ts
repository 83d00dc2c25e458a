import { expect, test } from 'vitest';
import { foldIdentity, identityFromUrl } from './identity.ts';

test.each([
  ['/ocpp/CP-1', 'CP-1'],
  ['/ocpp/CP-1/', 'CP-1'],
  ['/ocpp/CP-1///', 'CP-1'],
  ['/ocpp/1.6/tenant/CP-1', 'CP-1'],
  ['/CP-1', 'CP-1'],
  ['/ocpp/CP-1?token=%zz', 'CP-1'],
  ['/ocpp/L%C3%A4nk%20%231', 'Länk #1'],
  [`/ocpp/${'x'.repeat(48)}`, 'x'.repeat(48)],
])('%s names a charger, whatever surrounds its last segment (R25)', (url, identity) => {
  expect(identityFromUrl(url)).toEqual({ ok: true, identity });
});

test.each([
  '/',
  '',
  '/ocpp',
  '/OCPP/',
  '/%zz',
  '/ocpp/%c3',
  '/ocpp/a%2Fb',
  '/ocpp/a%3ab',
  '/ocpp/a%7f',
  '/ocpp/é',
  undefined,
])('%s names none', (url) => {
  expect(identityFromUrl(url).ok).toBe(false);
});

test('identities that differ in case are the same charger', () => {
  expect(foldIdentity('Cp-ÅÄ')).toBe(foldIdentity('cP-åä'));
  expect(foldIdentity('Cp-1')).not.toBe(foldIdentity('Cp-2'));
});
