/** Everything hostile or broken gets a precise answer, changes nothing, and the process lives on. */
import { expect, test } from 'vitest';
import { openCharger, rawRequest, upgrade, upgradeText } from './testing/charger.ts';
import { startGateway } from './testing/gateway.ts';
import { boot, meterValues, start, status, stop } from './testing/messages.ts';

const basic = (user: string, secret: string) => ({
  Authorization: `Basic ${Buffer.from(`${user}:${secret}`).toString('base64')}`,
});

const upgrades: [string, { path: string; headers?: Record<string, string>; method?: string }, number, string][] = [
  ['a broken percent escape', { path: '/%zz' }, 400, 'bad_request'],
  ['a broken percent escape behind /ocpp', { path: '/ocpp/%E0%A4%A' }, 400, 'bad_request'],
  ['an identity that is not UTF-8', { path: '/ocpp/%ff%fe' }, 400, 'bad_request'],
  ['no path', { path: '/' }, 400, 'bad_request'],
  ['no identity', { path: '/ocpp/' }, 400, 'bad_request'],
  ['an identity of 49 characters', { path: `/ocpp/${'x'.repeat(49)}` }, 400, 'bad_request'],
  ['an overlong URL', { path: `/ocpp/${'x/'.repeat(2_000)}CP-1` }, 400, 'bad_request'],
  ['a control character', { path: '/ocpp/CP%00-1' }, 400, 'bad_request'],
  ['a line break', { path: '/ocpp/CP%0d%0a-1' }, 400, 'bad_request'],
  ['an encoded slash', { path: '/ocpp/a%2fb' }, 400, 'bad_request'],
  ['an encoded colon', { path: '/ocpp/a%3ab' }, 400, 'bad_request'],
  ['an unknown charger', { path: '/ocpp/NOBODY' }, 404, 'unknown_charger'],
  ['no credentials where they are needed', { path: '/ocpp/SEC-1' }, 401, 'wrong_password'],
  ['a wrong password', { path: '/ocpp/SEC-1', headers: basic('SEC-1', 'wrong') }, 401, 'wrong_password'],
  [
    "another charger's user",
    { path: '/ocpp/SEC-1', headers: basic('CP-1', '0123456789abcdef') },
    401,
    'wrong_password',
  ],
  [
    'an unreadable authorization',
    { path: '/ocpp/SEC-1', headers: { Authorization: 'Basic %%%' } },
    401,
    'wrong_password',
  ],
  ['a bearer token', { path: '/ocpp/SEC-1', headers: { Authorization: 'Bearer abc' } }, 401, 'wrong_password'],
  ['a charger that must use TLS', { path: '/ocpp/TLS-1' }, 403, 'bad_origin'],
  ['the origin of a web page', { path: '/ocpp/CP-1', headers: { Origin: 'http://evil.example' } }, 403, 'bad_origin'],
  ['another protocol', { path: '/ocpp/CP-1', headers: { Upgrade: 'h2c' } }, 400, 'bad_request'],
  ['a malformed key', { path: '/ocpp/CP-1', headers: { 'Sec-WebSocket-Key': 'short' } }, 400, 'bad_request'],
  ['an old WebSocket version', { path: '/ocpp/CP-1', headers: { 'Sec-WebSocket-Version': '7' } }, 426, 'bad_request'],
  ['a POST', { path: '/ocpp/CP-1', method: 'POST' }, 405, 'bad_request'],
];

test.each(upgrades)('an upgrade with %s is refused', async (_, { path, headers, method }, expectedStatus, code) => {
  const { port, door } = await startGateway();
  const answer = await upgrade(port, path, headers, method);
  expect(answer.status).toBe(expectedStatus);
  expect(answer.body.error.code).toBe(code);
  expect(door.commands).toEqual([]);
  expect((await upgrade(port, '/ocpp/CP-1')).status).toBe(101);
});

test('while the directory cannot be asked, chargers are told when to come back', async () => {
  const { port, door } = await startGateway({ resolve: () => Promise.reject(new Error('Connection is closed.')) });
  const answer = await upgrade(port, '/ocpp/CP-1');
  expect([answer.status, answer.body.error.code]).toEqual([503, 'starting']);
  expect(door.commands).toEqual([]);
});

test('a plain GET is told what this port is for', async () => {
  const { port } = await startGateway();
  expect(await rawRequest(port, 'GET /ocpp/CP-1 HTTP/1.1\r\nHost: localhost\r\n\r\n')).toBe(
    'HTTP/1.1 426 Upgrade Required',
  );
});

test.each([
  ['raw control characters in the URL', upgradeText('/ocpp/CP\x01-1')],
  ['raw bytes beyond ASCII in the URL', upgradeText('/ocpp/CP\xe9-1')],
  ['no HTTP at all', 'hello?\r\n\r\n'],
])('%s get a 400', async (_, text) => {
  const { port, door } = await startGateway();
  expect(await rawRequest(port, text)).toBe('HTTP/1.1 400 Bad Request');
  expect(door.commands).toEqual([]);
});

test('headers without end get a 431', async () => {
  const { port } = await startGateway();
  const text = upgradeText('/ocpp/CP-1').replace('\r\n\r\n', `\r\nX: ${'y'.repeat(20_000)}\r\n\r\n`);
  expect(await rawRequest(port, text)).toBe('HTTP/1.1 431 Request Header Fields Too Large');
});

test.each([
  ['no subprotocol', null],
  ['a version that is not offered', 'ocpp2.1'],
  ['an unknown version', 'ocpp0.9, mqtt'],
  ['an empty list', ','],
])('%s: the handshake ends without one and the socket closes 1002', async (_, protocol) => {
  const { port, door } = await startGateway();
  const charger = await openCharger(port, '/ocpp/CP-1', { protocol });
  expect(charger.ws.protocol).toBe('');
  expect((await charger.closed).code).toBe(1002);
  expect(door.commands).toEqual([]);
});

const nested = (depth: number): unknown => (depth === 0 ? 1 : { a: nested(depth - 1) });

const frames: [string, unknown, string, object?][] = [
  ['bad JSON behind a readable id', '[2,"x","MeterValues",{"transactionId":,}]', 'FormationViolation'],
  ['a missing action', [2, 'x'], 'FormationViolation'],
  ['an action that is a number', [2, 'x', 5, {}], 'FormationViolation'],
  ['an unknown action', [2, 'x', 'MakeCoffee', {}], 'NotImplemented'],
  ['an action named like a property of objects', [2, 'x', 'constructor', {}], 'NotImplemented'],
  ['an action of our side', [2, 'x', 'RemoteStartTransaction', {}], 'NotImplemented'],
  ['an action of another version', [2, 'x', 'TransactionEvent', {}], 'NotImplemented'],
  ['a known action that is switched off', [2, 'x', 'FirmwareStatusNotification', { status: 'Idle' }], 'NotSupported'],
  ['a payload that is an array', [2, 'x', 'BootNotification', [1]], 'FormationViolation'],
  ['a payload that is a string', [2, 'x', 'Heartbeat', 'now'], 'FormationViolation'],
  ['no payload where fields are needed', [2, 'x', 'Authorize'], 'FormationViolation'],
  [
    'a missing field',
    [2, 'x', 'BootNotification', { chargePointVendor: 'A' }],
    'OccurenceConstraintViolation',
    { path: '/chargePointModel', rule: 'required' },
  ],
  [
    'a field of the wrong type',
    [2, 'x', 'StatusNotification', { ...status(), connectorId: 'one' }],
    'TypeConstraintViolation',
    { path: '/connectorId', rule: 'type' },
  ],
  ['a tag that is an object', [2, 'x', 'Authorize', { idTag: {} }], 'TypeConstraintViolation'],
  [
    'an unknown status',
    [2, 'x', 'StatusNotification', status('Sleeping')],
    'PropertyConstraintViolation',
    { path: '/status', rule: 'enum' },
  ],
  [
    'an unknown error code',
    [2, 'x', 'StatusNotification', { ...status(), errorCode: 'Bad' }],
    'PropertyConstraintViolation',
  ],
  [
    'an unknown field',
    [2, 'x', 'BootNotification', { ...boot, colour: 'red' }],
    'ProtocolError',
    { path: '/colour', rule: 'additionalProperties' },
  ],
  [
    'an unknown field in a sample',
    [
      2,
      'x',
      'MeterValues',
      {
        ...meterValues(),
        meterValue: [{ timestamp: '2026-03-01T12:00:00Z', sampledValue: [{ value: '1', colour: 'red' }] }],
      },
    ],
    'ProtocolError',
  ],
  ['a tag of 21 characters', [2, 'x', 'Authorize', { idTag: 'T'.repeat(21) }], 'PropertyConstraintViolation'],
  ['a negative connector', [2, 'x', 'StartTransaction', { ...start, connectorId: -1 }], 'PropertyConstraintViolation'],
  [
    'a meter beyond exact integers',
    [2, 'x', 'StartTransaction', { ...start, meterStart: 1e300 }],
    'PropertyConstraintViolation',
  ],
  [
    'a transaction beyond 32 bits',
    [2, 'x', 'StopTransaction', { ...stop, transactionId: 2 ** 31 }],
    'PropertyConstraintViolation',
  ],
  [
    'meter values that are no list',
    [2, 'x', 'MeterValues', { connectorId: 1, meterValue: {} }],
    'TypeConstraintViolation',
  ],
  ['a sample that is null', [2, 'x', 'MeterValues', { connectorId: 1, meterValue: [null] }], 'TypeConstraintViolation'],
  ['a payload 17 levels deep', [2, 'x', 'Authorize', nested(17)], 'FormationViolation', { path: '', rule: 'depth' }],
  [
    'a payload 20,000 levels deep',
    `[2,"x","Authorize",${'['.repeat(20_000)}${']'.repeat(20_000)}]`,
    'FormationViolation',
  ],
  ['a key that would poison prototypes', '[2,"x","Heartbeat",{"__proto__":{"a":1}}]', 'ProtocolError'],
];

test.each(frames)(
  'a frame with %s is answered by its error, and the log hears nothing',
  async (_, frame, code, details = undefined) => {
    const { open, door } = await startGateway();
    const charger = await open('CP-1');
    charger.send(typeof frame === 'string' ? frame : JSON.stringify(frame));
    const [type, id, errorCode, description, errorDetails] = await charger.next();
    expect([type, id, errorCode]).toEqual([4, 'x', code]);
    expect(description.length).toBeLessThanOrEqual(255);
    if (details) expect(errorDetails).toEqual(details);
    expect(door.facts).toEqual([]);
    expect((await charger.call('Heartbeat', {}))[0]).toBe(3);
  },
);

test.each([
  ['no array', '{"a":1}'],
  ['a bare word', 'hello'],
  ['no readable id', '[2,{},"Heartbeat",{}]'],
  ['an id that is null', '[2,null,"Heartbeat",{}]'],
  ['half a frame', '[2,"x'],
  ['a type that is text', '["2","x","Heartbeat",{}]'],
  ['an unknown message type', '[9,"x","Heartbeat",{}]'],
  ['a SEND of version 2.1', '[6,"x","NotifyPeriodicEventStream",{}]'],
  ['an answer that nobody asked for', '[3,"x",{}]'],
  ['an error that nobody asked for', '[4,"x","GenericError","",{}]'],
  ['an empty message', ''],
])('%s gets no reply, as OCPP 1.6 has none for it', async (_, frame) => {
  const { open, door, gateway } = await startGateway();
  const charger = await open('CP-1');
  charger.send(frame);
  const [type, id] = await charger.call('Heartbeat', {}, 'after');
  expect([type, id]).toEqual([3, 'after']);
  const { ignored, unreadable, unmatched } = gateway.stats().counters.oddFrames;
  expect(ignored + unreadable + unmatched).toBe(1);
  expect(door.facts.map(({ type: t }) => t)).toEqual(['charger.alive']);
});

test('fifty unreadable frames in a row close the socket', async () => {
  const { open } = await startGateway();
  const charger = await open('CP-1');
  for (let i = 0; i < 49; i++) charger.send('nonsense');
  expect((await charger.call('Heartbeat', {}))[0]).toBe(3);
  for (let i = 0; i < 50; i++) charger.send('nonsense');
  expect((await charger.closed).code).toBe(1002);
});

test('text that is not UTF-8 closes the socket 1007', async () => {
  const { open } = await startGateway();
  const charger = await open('CP-1');
  charger.ws.send(Buffer.from([0x5b, 0x32, 0xff, 0xfe, 0x5d]), { binary: false });
  expect((await charger.closed).code).toBe(1007);
});

test('a message beyond 256 KiB closes the socket 1009', async () => {
  const { open, door } = await startGateway();
  const charger = await open('CP-1');
  charger.send(JSON.stringify([2, 'x', 'DataTransfer', { vendorId: 'A', data: 'x'.repeat(256 * 1024) }]));
  expect((await charger.closed).code).toBe(1009);
  expect(door.facts).toEqual([]);
});
