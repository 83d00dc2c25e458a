import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import pino from 'pino';
import { connectLog, openDoor, provision } from '../log/mod.ts';
import { startTestNats } from '../log/testing.ts';
import { startClickhouseSink } from '../projections/clickhouse_sink.ts';
import { natsJournal } from '../projections/journal.ts';
import { startEngine } from '../roles/engine_role.ts';
import { accountAddress, tallyDomain } from '../simulation/tally.ts';
import { decodeFrame, encodeFrame } from '../wire.ts';
import { openTracer, type Tracer } from './tracer.ts';

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

interface Span {
  service: string;
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  name: string;
  from: number;
  to: number;
}

/** A collector that takes spans as OTLP/HTTP brings them. */
async function collector() {
  const spans: Span[] = [];
  const server = createServer((request, response) => {
    let text = '';
    request.on('data', (chunk: Buffer) => (text += chunk.toString()));
    request.on('end', () => {
      for (const { resource, scopeSpans } of JSON.parse(text).resourceSpans) {
        const named = resource.attributes.find(({ key }: { key: string }) => key === 'service.name');
        for (const { startTimeUnixNano: from, endTimeUnixNano: to, ...span } of scopeSpans.flatMap(
          (s: { spans: object[] }) => s.spans,
        ))
          spans.push({ ...span, service: named.value.stringValue, from: Number(from), to: Number(to) });
      }
      response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  closers.push(async () => server.close());
  return { spans, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/traces` };
}

test('a followed frame is one trace: door, stored, decided, committed, sink; one that is not leaves nothing', async () => {
  const { spans, url } = await collector();
  const open = async (role: string, tracesRatio = 1) => {
    const tracer = (await openTracer({ traces: url, tracesRatio }, role)) as Tracer;
    closers.push(() => tracer.close());
    return tracer;
  };
  const nats = await startTestNats();
  closers.push(() => nats.stop());
  const nc = await connectLog(nats.url, 'traces');
  closers.push(() => nc.close());
  await provision(nc, { partitions: 1 });
  const onFatal = (error: unknown) => expect(error).toBeUndefined();
  const engine = await startEngine({
    config: { natsUrl: nats.url, partitions: 1 },
    ...{ domain: tallyDomain, log: pino({ level: 'silent' }), sinks: [], onFatal, tracer: await open('engine') },
  });
  closers.push(() => engine.close());
  const [done, nowhere] = [async () => {}, async () => new Map()];
  const store = { insert: done, putAside: done, readPositions: nowhere, writePositions: done };
  const sink = await startClickhouseSink(store, natsJournal(nc, 1), {
    ...{ rowsOf: () => undefined, onFatal, tracer: await open('history'), idlePositionsMs: 50 },
  });
  closers.push(() => sink.close());
  const ask = async (ratio: number) => {
    const door = await openDoor(nc, { name: `gw-${ratio}`, partitions: 1, tracer: await open('gateway', ratio) });
    closers.push(() => door.close());
    const command = { id: null, to: accountAddress('a'), type: 'add', body: { amount: 5 }, correlation: 'request-7' };
    expect(await door.request(command)).toMatchObject({ ok: true });
  };
  await ask(0);
  await ask(1);
  await expect.poll(() => spans.length, { timeout: 20_000 }).toBe(5);
  const root = spans.find(({ name }) => name === 'door') as Span;
  expect(root.parentSpanId ?? '').toBe('');
  expect(new Set(spans.map(({ traceId }) => traceId))).toEqual(new Set([root.traceId]));
  const below = spans.filter((span) => span !== root);
  expect(below.map(({ parentSpanId }) => parentSpanId)).toEqual(Array(4).fill(root.spanId));
  expect(new Set(below.map(({ service, name }) => `${service} ${name}`))).toEqual(
    new Set(['gateway stored', 'engine decided', 'engine committed', 'history sink']),
  );
  // A reader may see a record before its owner has heard that it is stored, never before it was decided.
  const of = (name: string) => below.find((span) => span.name === name) as Span;
  expect(of('sink').from).toBeGreaterThanOrEqual(of('decided').to);
  for (const { from, to } of spans) expect(to).toBeGreaterThanOrEqual(from);
}, 60_000);

test('a frame carries a context only when it is followed, also under a clock that is driven', () => {
  const frame = { kind: 'commands' as const, writer: 'w', first: 1, commands: [] };
  const trace = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
  expect(decodeFrame(encodeFrame(frame))).toEqual(frame);
  expect(decodeFrame(Uint8Array.from(encodeFrame({ ...frame, trace })))).toEqual({ ...frame, trace });
  expect(decodeFrame(encodeFrame({ ...frame, at: 5, trace }))).toEqual({ ...frame, at: 5, trace });
});

test('without an address no code for traces is loaded: one file imports it, and that file is imported on call', async () => {
  expect(await openTracer({ traces: '', tracesRatio: 1 }, 'engine')).toBeUndefined();
  const root = join(import.meta.dirname, '../..');
  const sources = execFileSync('git', ['ls-files', 'actors/*.ts', 'engine/*.ts', 'gateway/*.ts'], {
    cwd: root,
    encoding: 'utf8',
  });
  const importing = (pattern: RegExp) =>
    sources
      .split('\n')
      .filter((path) => /(?<!\.test)\.ts$/.test(path) && pattern.test(readFileSync(join(root, path), 'utf8')));
  expect(importing(/from '@opentelemetry\//)).toEqual(['engine/telemetry/otlp_tracer.ts']);
  expect(importing(/import\('@opentelemetry\//)).toEqual([]);
  expect(importing(/from '.*otlp_tracer\.ts'/)).toEqual([]);
  expect(importing(/await import\('.\/otlp_tracer\.ts'\)/)).toEqual(['engine/telemetry/tracer.ts']);
});
