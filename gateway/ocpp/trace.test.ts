import { setTimeout as delay } from 'node:timers/promises';
import type { NatsConnection } from '@nats-io/transport-node';
import { afterAll, beforeAll, beforeEach, expect, onTestFinished, test } from 'vitest';
import { decodeMessageBatch, messageRows, type MessageRow } from '#engine/history/messages';
import { connectLog, provision, pull } from '#engine/log/mod';
import { startTestNats, type TestNats } from '#engine/log/testing';
import { boot, meterValues } from './testing/messages.ts';
import { startGateway } from './testing/gateway.ts';
import { openTrace, type TraceOptions } from './trace.ts';

let nats: TestNats;
let nc: NatsConnection;
const noon = Date.UTC(2026, 4, 15, 12);
const silent = () => undefined;
const log = { info: silent, warn: silent, error: silent };

beforeAll(async () => {
  nats = await startTestNats();
  nc = await connectLog(nats.url, 'trace test');
  await provision(nc, { partitions: 1, scale: 1 / 64 });
});
afterAll(async () => {
  await nc.close();
  await nats.stop();
});

let gateway = '';
let made = 0;
beforeEach(() => {
  gateway = `gw-${++made}`;
});
const trace = (options: Partial<TraceOptions> = {}) => {
  const opened = openTrace(nc, { gateway, clock: { now: () => noon }, log, ...options });
  onTestFinished(() => opened.close());
  return opened;
};

/** Rows of this test's gateway as they come out of the stream, until there are `count`. */
async function stored(count: number): Promise<(MessageRow & { dropped: number })[]> {
  const rows: (MessageRow & { dropped: number })[] = [];
  let done: () => void = () => undefined;
  const complete = new Promise<void>((resolve) => (done = resolve));
  const reader = await pull(nc, 'OCPP', { from: 1, filter: `raw.${gateway}` }, (messages) => {
    for (const { bytes } of messages) {
      const batch = decodeMessageBatch(bytes);
      rows.push(...messageRows(batch).map((row) => ({ ...row, dropped: batch.dropped })));
    }
    if (rows.length >= count) done();
  });
  await complete;
  await reader.stop();
  return rows;
}

test('what a charger and its gateway say to each other is in the stream, each answer with its action and latency', async () => {
  const { open, gateway: door } = await startGateway({ trace: trace(), gatewayId: gateway });
  const charger = await open('CP-1');
  await charger.call('BootNotification', boot, 'b"1');
  await charger.call('Nonsense', {}, 17);
  await charger.call('Authorize', { idTag: 'DEMO0001' }, 'a');
  charger.send('keine OCPP-Nachricht');
  await charger.call('MeterValues', meterValues(), 'm');
  expect(door.stats().sockets).toBe(1);
  const rows = await stored(9);
  expect(rows.map((r) => [r.direction, r.type, r.action, r.message_id])).toEqual([
    ['in', 'call', 'BootNotification', 'b"1'],
    ['out', 'result', 'BootNotification', 'b"1'],
    ['in', 'call', 'Nonsense', '17'],
    ['out', 'error', 'Nonsense', '17'],
    ['in', 'call', 'Authorize', 'a'],
    ['out', 'result', 'Authorize', 'a'],
    ['in', 'other', '', ''],
    ['in', 'call', 'MeterValues', 'm'],
    ['out', 'result', 'MeterValues', 'm'],
  ]);
  expect(rows[0]).toMatchObject({
    charger: 'CP-1',
    at: '2026-05-15 12:00:00.000',
    connection_seq: 1,
    latency_ms: null,
    gateway,
    sequence: 1,
    index: 0,
    payload: JSON.stringify(boot),
  });
  expect(rows[1]?.latency_ms).toBeGreaterThanOrEqual(0);
  expect(rows[4]?.payload).toBe('{"idTag":"…001"}');
  expect(rows[6]?.payload).toBe('keine OCPP-Nachricht');
  expect(new Set(rows.map((r) => `${r.sequence}/${r.index}`)).size).toBe(9);
});

test('our own calls are paired with the charger’s answers, which may come late, twice or never', async () => {
  const tap = trace().tap('CP-2', () => 5);
  tap.outgoing('[2,"r1","Reset",{"type":"Soft"}]');
  // The charger uses the same id for a call of its own.
  tap.incoming(Buffer.from('[2,"r1","Heartbeat",{}]'));
  tap.incoming(Buffer.from('[3,"r1",{"status":"Accepted"}]'));
  tap.incoming(Buffer.from('[3,"r1",{"status":"Accepted"}]'));
  tap.outgoing('[3,"r1",{"currentTime":"x"}]');
  for (let i = 0; i < 200; i++) tap.outgoing(`[2,"n${i}","Reset",{}]`);
  tap.incoming(Buffer.from('[3,"n0",{}]'));
  tap.incoming(Buffer.from('[3,"n199",{}]'));
  const rows = await stored(207);
  expect(rows.slice(2, 5).map((r) => r.action)).toEqual(['Reset', '', 'Heartbeat']);
  // More open calls than anybody waits for: the oldest are forgotten.
  expect(rows.slice(-2).map((r) => r.action)).toEqual(['', 'Reset']);
});

test('a frame that is too long is cut, between characters', async () => {
  const tap = trace().tap('CP-3', () => 1);
  tap.incoming(Buffer.from(`[2,"1","DataTransfer",{"data":"${'😀'.repeat(50_000)}"}]`));
  const [row] = await stored(1);
  expect(row).toMatchObject({ type: 'call', action: 'DataTransfer' });
  expect(row?.payload.length).toBeLessThan(33_000);
  expect(row?.payload.endsWith('…')).toBe(true);
  expect(Buffer.from(row?.payload ?? '').toString()).toBe(row?.payload);
});

test('without a stream, memory stays bounded, nobody waits, and what is missing is told when it is back', async () => {
  const { stats, tap } = trace({ waitingMax: 10_000 });
  const frames = tap('CP-4', () => 1);
  await nats.kill9();
  const frame = `[2,"1","DataTransfer",{"data":"${'x'.repeat(450)}"}]`;
  const started = performance.now();
  for (let i = 0; i < 1_000; i++) frames.outgoing(frame);
  expect(performance.now() - started).toBeLessThan(1_000);
  expect(stats().waiting).toBeLessThanOrEqual(10_000);
  const { dropped } = stats();
  expect(dropped).toBeGreaterThan(900);
  await nats.restart();
  await expect.poll(() => stats().waiting, { timeout: 20_000 }).toBe(0);
  frames.outgoing('[2,"last","Heartbeat",{}]');
  const rows = await stored(1_000 - dropped + 1);
  expect(stats()).toEqual({ kept: 1_001 - dropped, dropped, waiting: 0 });
  expect(rows.at(-1)).toMatchObject({ message_id: 'last', dropped });
}, 60_000);

test('an answer does not wait for the trace: a paused log delays no charger', async () => {
  const { open } = await startGateway({ trace: trace(), gatewayId: gateway });
  const charger = await open('CP-1');
  nats.pause();
  const started = performance.now();
  for (let i = 0; i < 50; i++) await charger.call('Heartbeat', {});
  expect(performance.now() - started).toBeLessThan(2_000);
  nats.resume();
  expect((await stored(100)).length).toBe(100);
}, 60_000);

test('closing sends what is held', async () => {
  const opened = trace();
  opened.tap('CP-5', () => 1).outgoing('[2,"1","Heartbeat",{}]');
  await opened.close();
  expect(opened.stats()).toEqual({ kept: 1, dropped: 0, waiting: 0 });
  opened.tap('CP-5', () => 1).outgoing('[2,"2","Heartbeat",{}]');
  await delay(0);
  expect(opened.stats()).toMatchObject({ kept: 1, dropped: 1 });
});
