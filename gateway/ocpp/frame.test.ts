import { expect, test } from 'vitest';
import { isDeeperThan, readFrame } from './frame.ts';

const read = (text: string) => readFrame(Buffer.from(text));

test('a CALL as OCPP-J writes it', () => {
  expect(read('[2,"19223201","Heartbeat",{}]')).toEqual({
    kind: 'call',
    idText: '"19223201"',
    action: 'Heartbeat',
    payload: {},
    repairs: [],
    frameHash: expect.stringMatching(/^[0-9a-f]{32}$/),
  });
});

test.each([
  ['a byte order mark', '\ufeff[2,"a","Heartbeat",{}]'],
  ['a NUL tail', '[2,"a","Heartbeat",{}]\0\0'],
  ['line breaks around it', '\r\n [2,"a","Heartbeat",{}]\n'],
])('%s is trimmed (R03)', (_, text) => {
  expect(read(text)).toMatchObject({ kind: 'call', idText: '"a"', repairs: ['R03'] });
});

test.each(['', ' ', '\n', '\0'])('the empty message %j is ignored (R03)', (text) => {
  expect(read(text)).toEqual({ kind: 'empty' });
});

test.each([
  ['[2,42,"Heartbeat",{}]', '42'],
  ['[2, 12345678901234567890,"Heartbeat",{}]', '12345678901234567890'],
  ['[2,1.50,"Heartbeat",{}]', '1.50'],
  [`[2,"${'x'.repeat(60)}","Heartbeat",{}]`, `"${'x'.repeat(60)}"`],
])('the id of %s goes back as it came (R01)', (text, idText) => {
  expect(read(text)).toMatchObject({ kind: 'call', idText, repairs: ['R01'] });
});

test('an id with quotes and control characters cannot break the answer', () => {
  const frame = read('[2,"a\\"],\\u0000","Heartbeat",{}]');
  expect(JSON.parse(`[3,${(frame as { idText: string }).idText},{}]`)).toEqual([3, 'a"],\0', {}]);
});

test('answers to our calls are told apart from calls', () => {
  expect(read('[3,"x",{"status":"Accepted"}]')).toEqual({
    kind: 'answer',
    type: 3,
    id: 'x',
    parts: [{ status: 'Accepted' }],
  });
  expect(read('[4,"x","GenericError","no",{}]')).toMatchObject({
    kind: 'answer',
    type: 4,
    parts: ['GenericError', 'no', {}],
  });
});

test('bad JSON behind a readable id can be answered', () => {
  expect(read('[2,"x","MeterValues",{"transactionId":,}]')).toMatchObject({ kind: 'malformed', idText: '"x"' });
  expect(read('[2,7,"MeterValues",')).toMatchObject({ kind: 'malformed', idText: '7' });
  expect(read('[2,"x')).toEqual({ kind: 'unreadable' });
});

test('depth is measured no further than needed', () => {
  expect(isDeeperThan({ a: [{ b: 1 }] }, 3)).toBe(false);
  expect(isDeeperThan({ a: [{ b: 1 }] }, 2)).toBe(true);
  expect(isDeeperThan(JSON.parse('['.repeat(50_000) + ']'.repeat(50_000)), 16)).toBe(true);
});
