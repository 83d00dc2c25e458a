import { expect, test } from 'vitest';
import { acceptableExtensions, chooseVersion } from './subprotocol.ts';

test("the charger's own spelling of a version is echoed", () => {
  expect(chooseVersion('OCPP1.6')).toEqual({ version: 'ocpp1.6', spelling: 'OCPP1.6' });
  expect(chooseVersion('ocpp1.6, OCPP2.0.1')).toEqual({ version: 'ocpp2.0.1', spelling: 'OCPP2.0.1' });
});

test('of the versions that a charger offers the newest is chosen, unless an operator prefers another', () => {
  expect(chooseVersion('ocpp2.1,  ocpp1.6 ,ocpp2.0.1')).toEqual({ version: 'ocpp2.0.1', spelling: 'ocpp2.0.1' });
  expect(chooseVersion('ocpp2.0.1, ocpp1.6', ['ocpp1.6', 'ocpp2.0.1'])?.version).toBe('ocpp1.6');
});

test('only implemented versions are offered', () => {
  expect(chooseVersion('ocpp2.0, ocpp2.1')).toBeNull();
  expect(chooseVersion('ocpp1.6.1')).toBeNull();
  expect(chooseVersion('')).toBeNull();
  expect(chooseVersion(undefined)).toBeNull();
});

test.each([
  ['permessage-deflate; client_max_window_bits', 'permessage-deflate; client_max_window_bits'],
  [
    'permessage-deflate; client_max_window_bits=15; server_max_window_bits=12',
    'permessage-deflate; client_max_window_bits; server_max_window_bits=12',
  ],
  ['x-webkit-deflate-frame, permessage-deflate; client_max_window_bits', 'permessage-deflate; client_max_window_bits'],
  ['permessage-deflate', undefined],
  ['permessage-deflate; client_max_window_bits; server_max_window_bits=8', undefined],
  ['permessage-deflate; client_max_window_bits=9', undefined],
  ['permessage-deflate; client_max_window_bits; surprise=1', undefined],
  [';;;=,', undefined],
  [undefined, undefined],
])('of the extensions %s the library sees %s', (header, seen) => {
  expect(acceptableExtensions(header)).toBe(seen);
});
