import { expect, test } from 'vitest';
import { originAllowed } from './origin.ts';
import { signInCookie } from './principal.ts';
import { actionsFor, knownRoles, may, rightsOf } from './rights.ts';

test('an operator sees stations, a customer does not yet', () => {
  expect(may(['operator'], 'view_station')).toBe(true);
  expect(may(['customer'], 'view_station')).toBe(false);
  expect(may([], 'view_station')).toBe(false);
  expect(rightsOf(['admin'])).toEqual(['view_site', 'view_station', 'view_charger', 'view_prices']);
});

test('an action that is not allowed names the refusal it would get', () => {
  expect(actionsFor('station', ['operator'])).toEqual({ live: true, prices: true });
  expect(actionsFor('station', ['customer'])).toEqual({ live: 'role_missing', prices: 'role_missing' });
});

test('a stored role that nobody knows gives no right', () => {
  expect(knownRoles(['root', 'operator'])).toEqual(['operator']);
});

test.each([
  ['http://127.0.0.1:8080', true],
  ['https://127.0.0.1:8080', true],
  [undefined, true],
  ['https://desk.example', true],
  ['http://127.0.0.1:8081', false],
  ['http://evil.example', false],
  ['null', false],
  ['', false],
  ['http://127.0.0.1:8080.evil.example', false],
  ['chrome-extension://127.0.0.1:8080', false],
  ['http://', false],
])('an origin of %s on host 127.0.0.1:8080 is allowed: %s', (origin, allowed) => {
  expect(originAllowed(origin, '127.0.0.1:8080', ['https://desk.example'])).toBe(allowed);
});

test('the sign-in is found among other cookies', () => {
  expect(signInCookie('a=1; gridtick=abc; b=2')).toBe('abc');
  expect(signInCookie('notgridtick=abc')).toBeUndefined();
  expect(signInCookie(undefined)).toBeUndefined();
});
