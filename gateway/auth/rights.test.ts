import { expect, test } from 'vitest';
import { originAllowed } from './origin.ts';
import { signInCookie } from './principal.ts';
import { actionsFor, knownRoles, may, rightsOf } from './rights.ts';

test('each role sees and does what is its own', () => {
  expect(rightsOf(['operator'])).toEqual([
    ...['view_site', 'view_station', 'view_charger', 'view_prices', 'close_session', 'control_charger'],
  ]);
  expect(rightsOf(['customer'])).toEqual(['view_site', 'view_station', 'view_prices', 'trade', 'view_records']);
  expect(rightsOf(['admin'])).toEqual([
    ...['view_site', 'view_station', 'view_charger', 'view_prices', 'view_records'],
    ...[
      'view_health',
      'view_audit',
      'settle_letters',
      'view_people',
      'set_credit',
      'put_tag',
      'close_session',
      'control_charger',
    ],
  ]);
  expect(rightsOf([])).toEqual([]);
});

test('only a customer trades: an operator sees no wallet, an admin spends nobody’s money', () => {
  expect(may(['operator', 'admin'], 'trade')).toBe(false);
  expect(may(['operator'], 'view_records')).toBe(false);
  expect(may(['customer'], 'trade')).toBe(true);
});

test('an action that is not allowed names the refusal it would get', () => {
  expect(actionsFor('station', ['operator'])).toEqual({ live: true, prices: true, quote: 'role_missing' });
  expect(actionsFor('station', ['customer'])).toEqual({ live: true, prices: true, quote: true });
  const { live, 'charger.reset': reset } = actionsFor('charger', ['customer']);
  expect([live, reset]).toEqual(['role_missing', 'role_missing']);
  expect(actionsFor('charger', ['operator'])).toMatchObject({ live: true, 'session.requestStop': true });
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
