/** What a socket may be sent by somebody who means no good: each frame has its answer, and nothing changes. */
import { connect } from 'node:net';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { refusedUpgrade, startTestApi, TestScreen, type TestApi } from '../api/testing.ts';
import type { ServerFrame } from '../schema/live.ts';
import { Recorder } from './testing.ts';

let api: TestApi;
let cookie: string;
const screens: TestScreen[] = [];
beforeAll(async () => {
  api = await startTestApi({ limits: { flushEveryMs: 20 } });
  cookie = await api.cookieOf('operator');
});
afterAll(() => api.close());
afterEach(() => {
  for (const screen of screens.splice(0)) screen.ws.terminate();
});
async function look() {
  const screen = await TestScreen.open(api.base, cookie);
  screens.push(screen);
  return screen;
}

const sub = (changes: Record<string, unknown>) =>
  JSON.stringify({ op: 'sub', id: 1, topic: 'station:nord-1', ...changes });
const without = (key: string) => sub({ [key]: undefined });

test.each<[name: string, frame: string, code: string, id: number | null]>([
  ['nothing', '', 'bad_request', null],
  ['no JSON', 'hello', 'bad_request', null],
  ['half of an object', '{"op":"sub"', 'bad_request', null],
  ['JSON with a tail', '{"op":"ping"}{"op":"ping"}', 'bad_request', null],
  ['a number', '7', 'bad_request', null],
  ['null', 'null', 'bad_request', null],
  ['a list of frames', '[{"op":"ping"}]', 'bad_request', null],
  ['an object without op', '{"id":1}', 'bad_request', 1],
  ['an op that is a number', '{"op":1,"id":1}', 'bad_request', 1],
  ['an op that is not there', '{"op":"delete","id":1}', 'bad_request', 1],
  ['an op of the server', '{"op":"snap","id":1,"cursor":"a","now":1,"data":{}}', 'bad_request', 1],
  ['an op that every object has', '{"op":"constructor","id":1}', 'bad_request', 1],
  ['another prototype', '{"__proto__":{"op":"sub"},"id":1,"topic":"health"}', 'bad_request', 1],
  ['the former word for hidden', '{"op":"view","hidden":true}', 'bad_request', null],
  ['hidden that is a word', '{"op":"hidden","hidden":"yes"}', 'bad_request', null],
  ['no id', without('id'), 'bad_request', null],
  ['an id below zero', sub({ id: -1 }), 'bad_request', null],
  ['an id that is no whole number', sub({ id: 1.5 }), 'bad_request', null],
  ['an id above 31 bits', sub({ id: 2 ** 31 }), 'bad_request', null],
  ['an id that is text', sub({ id: '1' }), 'bad_request', null],
  ['no topic', without('topic'), 'bad_request', 1],
  ['a topic that is a list', sub({ topic: ['health'] }), 'bad_request', 1],
  ['an empty topic', sub({ topic: '' }), 'bad_request', 1],
  ['a topic of 161 characters', sub({ topic: `station:${'x'.repeat(153)}` }), 'bad_request', 1],
  ['a key that no frame has', sub({ user: 'admin' }), 'bad_request', 1],
  ['a cursor that is a number', sub({ cursor: 7 }), 'bad_request', 1],
  ['a cursor of nothing', sub({ cursor: '' }), 'bad_request', 1],
  ['a cursor of somebody else’s making', sub({ cursor: 'abc' }), 'bad_request', 1],
  ['a cursor above all numbers', sub({ cursor: cursorOf(`0:${'9'.repeat(16)}:0`) }), 'bad_request', 1],
  ['a cursor with a sign', sub({ cursor: cursorOf('0:-1:0') }), 'bad_request', 1],
  ['a kind of topic that is not there', sub({ topic: 'frames:CP-0001' }), 'unknown_topic', 1],
  ['a channel, which is not there', sub({ topic: 'channel:1' }), 'unknown_topic', 1],
  ['a topic without its id', sub({ topic: 'station:' }), 'unknown_topic', 1],
  ['a topic that every object has', sub({ topic: 'toString:1' }), 'unknown_topic', 1],
  ['everything', sub({ topic: '*' }), 'unknown_topic', 1],
  ['a station that is not there', sub({ topic: 'station:../admin' }), 'unknown_topic', 1],
  ['a command whose id would end a line', sub({ topic: 'command:a\nb' }), 'unknown_topic', 1],
  ['a command whose id is too long', sub({ topic: `command:${'x'.repeat(129)}` }), 'unknown_topic', 1],
  ['the account of another', sub({ topic: 'me:customer' }), 'unknown_topic', 1],
  ['a topic that needs more', sub({ topic: 'health' }), 'role_missing', 1],
  ['the end of what never began', '{"op":"unsub","id":9}', 'unknown_topic', 9],
  ['2,000 lists in each other', `${'['.repeat(2_000)}${']'.repeat(2_000)}`, 'bad_request', null],
  ['2,000 objects in each other', `${'{"a":'.repeat(2_000)}1${'}'.repeat(2_000)}`, 'bad_request', null],
])('%s is refused, and the socket goes on', async (_name, frame, code, id) => {
  const screen = await look();
  screen.ws.send(frame);
  expect(await screen.next('refuse')).toMatchObject({ op: 'refuse', id, code });
  expect(await screen.settled()).toEqual([]);
  expect(api.hub.load.topics).toBe(0);
});

function cursorOf(text: string): string {
  return Buffer.from(text).toString('base64url');
}

test('a cursor of another partition, or of the future, gets the whole state', async () => {
  const screen = await look();
  for (const text of ['15:1:1', '281474976710655:0:0', '6:99999:99999']) {
    screen.send({ op: 'sub', id: 1, topic: 'station:nord-1', cursor: cursorOf(text) });
    expect((await screen.next('snap')).data).toHaveProperty('station');
  }
});

test('an id is one topic at a time', async () => {
  const screen = await look();
  screen.send({ op: 'sub', id: 1, topic: 'station:nord-1' });
  await screen.next('snap');
  screen.send({ op: 'sub', id: 1, topic: 'tree:demo' });
  expect(await screen.next('refuse')).toMatchObject({ id: 1, code: 'bad_request', detail: { field: '/id' } });
});

test.each<[name: string, data: string | Buffer, code: number]>([
  ['a frame of 16 KiB and a byte', 'x'.repeat(16 * 1024 + 1), 1009],
  ['a frame of a megabyte', 'x'.repeat(2 ** 20), 1009],
  ['a binary frame', Buffer.from('{"op":"ping"}'), 1003],
])('%s ends the socket with %s', async (_name, data, code) => {
  const screen = await look();
  screen.ws.send(data);
  expect((await screen.closed).code).toBe(code);
});

test('text that is no UTF-8 ends the socket', async () => {
  const screen = await look();
  screen.ws.send(Buffer.from([0xc3, 0x28]), { binary: false });
  expect((await screen.closed).code).toBe(1007);
});

test('32 bad frames are enough', async () => {
  const screen = await look();
  for (let i = 0; i < 40; i++) screen.ws.send('{');
  expect((await screen.closed).code).toBe(1008);
});

test('more frames than anybody needs are refused before they are read', async () => {
  const screen = await look();
  const recorder = new Recorder(screen.ws);
  for (let i = 0; i < 159; i++) screen.ws.send('{"op":"ping"}');
  await recorder.until((f) => f.op === 'refuse');
  const pongs = recorder.frames.filter((f: ServerFrame) => f.op === 'pong');
  expect(pongs.length).toBeGreaterThanOrEqual(128);
  expect(recorder.frames.find((f) => f.op === 'refuse')).toMatchObject({ code: 'rate_limited', id: null });
});

test.each<[name: string, headers: () => Record<string, string>, status: number, code: string]>([
  ['no cookie', () => ({}), 401, 'signed_out'],
  ['a cookie that nobody was given', () => ({ cookie: `gridtick=${'A'.repeat(43)}` }), 401, 'signed_out'],
  ['a cookie that is a path', () => ({ cookie: 'gridtick=../../signin' }), 401, 'signed_out'],
  ['a page of another site', () => ({ cookie, origin: 'https://evil.example' }), 403, 'bad_origin'],
  ['a page that hides where it is from', () => ({ cookie, origin: 'null' }), 403, 'bad_origin'],
  ['a page of the same host and another port', () => ({ cookie, origin: 'http://127.0.0.1:1' }), 403, 'bad_origin'],
])('an upgrade with %s is refused', async (_name, headers, status, code) => {
  const before = api.hub.size;
  const refused = await refusedUpgrade(`${api.base}/live`, { headers: headers() });
  expect(refused).toMatchObject({ status, body: { ok: false, code } });
  expect(api.hub.size).toBeLessThanOrEqual(before);
});

test('bytes that are no frame end that socket and no other', async () => {
  const other = await look();
  const { port, host } = new URL(api.base);
  const raw = connect(Number(port), '127.0.0.1');
  raw.on('error', () => {});
  raw.write(
    `GET /live HTTP/1.1\r\nHost: ${host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n` +
      `Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nCookie: ${cookie}\r\n\r\n`,
  );
  await new Promise((resolve) => raw.once('data', resolve));
  const gone = new Promise((resolve) => raw.once('close', resolve));
  raw.resume();
  // A frame without its mask, of a kind that is reserved.
  raw.write(Buffer.from([0xf3, 0x05, 1, 2, 3, 4, 5]));
  await gone;
  other.send({ op: 'ping' });
  await other.next('pong');
});
