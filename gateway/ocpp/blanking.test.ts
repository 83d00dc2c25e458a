import fc from 'fast-check';
import { expect, test } from 'vitest';
import { blanked } from './blanking.ts';

const call = (action: string, payload: unknown) => JSON.stringify([2, 'x-1', action, payload]);
const result = (payload: unknown) => JSON.stringify([3, 'x-1', payload]);
const word = 'hunter2-Geheim';

const secrets: [string, string][] = [
  ['a password that is set (1.6)', call('ChangeConfiguration', { key: 'AuthorizationKey', value: word })],
  [
    'a password that is told',
    result({ configurationKey: [{ key: 'AuthorizationKey', readonly: false, value: word }] }),
  ],
  ['a vendor’s key', result({ configurationKey: [{ value: word, key: 'Acme_WifiPassword', readonly: true }] })],
  [
    'a password that is set (2.0.1)',
    call('SetVariables', {
      setVariableData: [
        {
          attributeValue: word,
          component: { name: 'SecurityCtrlr' },
          variable: { name: 'BasicAuthPassword' },
        },
      ],
    }),
  ],
  [
    'a password that is told (2.0.1)',
    result({ getVariableResult: [{ variable: { name: 'BasicAuthPassword' }, attributeValue: word }] }),
  ],
  [
    'a network profile',
    call('SetNetworkProfile', {
      connectionData: { vpn: { user: 'u', password: 'x', key: word }, apn: { simPin: word } },
    }),
  ],
  ['an address with a password', call('GetDiagnostics', { location: `ftp://user:${word}@files.example/x` })],
  ['a signed address', call('UpdateFirmware', { location: `https://files.example/x?sig=${word}&a=${word}` })],
  [
    'an address that the charger writes with escapes',
    `[2,"x-1","GetLog",{"log":{"remoteLocation":"sftp:\\/\\/u:${word}@h"},"secret":1}]`,
  ],
  ['a signed address with escapes', `[2,"x-1","GetLog",{"log":{"remoteLocation":"https:\\/\\/h\\/x?sig=${word}"}}]`],
  ['text inside of a vendor’s text', call('DataTransfer', { vendorId: 'a', data: JSON.stringify({ password: word }) })],
  ['a query inside of a text', call('DataTransfer', { vendorId: 'a', data: `user=a&password=${word}` })],
  ['what is no JSON', `[2,"x-1","ChangeConfiguration",{"key":"AuthorizationKey","value":"${word}"`],
  ['what is no frame', `password ${word}`],
  ['a field of that name', call('Foo', { clientSecret: { a: [word] }, private_key: word })],
  [
    'what is nested deeper than anything',
    call('Foo', { password: JSON.parse(`${'['.repeat(200)}"${word}"${']'.repeat(200)}`) }),
  ],
];

test.each(secrets)('%s does not get into the log', (_, frame) => {
  expect(frame).toContain(word);
  const kept = blanked(frame);
  expect(kept).not.toContain(word);
  expect(kept).toContain('***');
});

test('names stay readable, and what stands beside the secret too', () => {
  expect(blanked(call('ChangeConfiguration', { key: 'AuthorizationKey', value: word }))).toBe(
    '[2,"x-1","ChangeConfiguration",{"key":"AuthorizationKey","value":"***"}]',
  );
  const asked = call('GetConfiguration', { key: ['AuthorizationKey', 'HeartbeatInterval'] });
  expect(blanked(asked)).toBe(asked);
});

test('tags keep their last three characters, however they are written', () => {
  const tagged = (tag: string) => `[2,"1","Authorize",{"idTag":${tag}}]`;
  expect(blanked(tagged('"DEMO0001"'))).toBe('[2,"1","Authorize",{"idTag":"…001"}]');
  expect(blanked(tagged('123456'))).toBe('[2,"1","Authorize",{"idTag":"…456"}]');
  expect(blanked(tagged('"a\\"bc"'))).toBe('[2,"1","Authorize",{"idTag":"…\\"bc"}]');
  expect(
    blanked(
      call('TransactionEvent', {
        idToken: {
          idToken: '04AABBCC',
          type: 'ISO14443',
          additionalInfo: [{ additionalIdToken: '99887766', type: 'x' }],
        },
      }),
    ),
  ).toBe(
    call('TransactionEvent', {
      idToken: { idToken: '…BCC', type: 'ISO14443', additionalInfo: [{ additionalIdToken: '…766', type: 'x' }] },
    }),
  );
  expect(
    blanked(call('SendLocalList', { localAuthorizationList: [{ idTag: 'AAAA1111' }, { idTag: 'BBBB2222' }] })),
  ).not.toMatch(/AAAA|BBBB/);
});

test('all other messages stay as they are, to the byte', () => {
  const frames = [
    '[2,"1","Heartbeat",{}]',
    '[2,"1","MeterValues",{"connectorId":1,"meterValue":[{"timestamp":"2026-01-01T00:00:00Z","sampledValue":[{"value":"1.50"}]}]}]',
    '[3,"1",{"status":"Accepted"}]',
    '[4,"1","NotSupported","this action is switched off",{}]',
    '  [2 , "1","Foo",{ "a" : "ü" }]\n',
    '',
  ];
  for (const frame of frames) expect(blanked(frame)).toBe(frame);
});

test('whatever a charger sends, it takes little time and does not throw', () => {
  fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => void blanked(text)));
  fc.assert(fc.property(fc.jsonValue(), (value) => void JSON.parse(blanked(JSON.stringify([2, 'password', value])))));
  const size = 256 * 1024;
  const started = performance.now();
  for (const unit of ['passw', '"idTag":"', '://', '?', '?a', '\\"', 'secret:', ']', ' ', '{"password":'])
    blanked(`[2,"1","X",{"password":"${unit.repeat(Math.ceil(size / unit.length))}`);
  // A cost that grew with the square of the length would be minutes.
  expect(performance.now() - started).toBeLessThan(5_000);
});
