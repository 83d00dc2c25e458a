import { appendFileSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { apply, memoryOf, newMemory, type ChargerMemory, type Fact, type KeptMemory } from './memory.ts';
import { MemoryStore } from './store.ts';
import { v16 } from './v16.ts';
import { v201 } from './v201.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'gridtick-memory-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const open = (compactBytes?: number) =>
  MemoryStore.open(directory, {
    ...(compactBytes && { compactBytes }),
    onFailure: (error) => expect.fail(error.message),
  });
const c = 'CP-1';
const at = 1_700_000_000_000;

/** A session of two samples: messages 1 to 4. */
const session: Fact[] = [
  { k: 'begin', c, n: 1, i: 0, tag: 'T', at, wh: 0 },
  { k: 'sample', c, n: 2, at: at + 1, w: 6_600, wh: 0 },
  { k: 'answer', c, n: 1, tx: 42 },
  { k: 'sample', c, n: 3, at: at + 2, w: 6_600, wh: 15 },
  { k: 'answer', c, n: 2 },
  { k: 'end', c, n: 4, at: at + 3, wh: 20, rest: 7, reason: 'EVDisconnected' },
];
const folded = (facts: Fact[]): ChargerMemory => {
  const memory = newMemory();
  for (const fact of facts) apply(memory, fact);
  return memory;
};

test('memory comes back as it was, whether from facts or from a snapshot', async () => {
  const first = await open();
  for (const fact of session) first.append(fact);
  await first.flush();
  expect(first.durable).toBe(session.length);
  // No close: as after a kill.
  const second = await open();
  expect(second.memory(c)).toEqual(folded(session));
  second.append({ k: 'answer', c, n: 3 });
  await second.close();
  const third = await open();
  expect(third.memory(c)).toEqual(folded([...session, { k: 'answer', c, n: 3 }]));
  await third.close();
  await first.close();
  expect(readdirSync(directory).sort()).toEqual(['journal.3.ndjson', 'memory.json']);
});

test('a line torn by a power cut never happened; a damaged one is not passed over', async () => {
  const store = await open();
  for (const fact of session) store.append(fact);
  await store.close();
  const journal = join(directory, 'journal.1.ndjson');
  appendFileSync(journal, '{"k":"answer","c":"CP-1","n"');
  const again = await open();
  expect(again.memory(c)).toEqual(folded(session));
  again.append({ k: 'answer', c, n: 3 });
  await again.close();
  const next = join(directory, 'journal.2.ndjson');
  writeFileSync(next, `{"k":"ans\n${readFileSync(next, 'utf8')}`);
  await expect(open()).rejects.toThrow(/memory is damaged at .*journal\.2\.ndjson, line 1/);
});

test('compaction in the middle of a stream of facts loses and doubles none', async () => {
  const store = await open(2_000);
  const facts: Fact[] = [session[0] as Fact, { k: 'answer', c, n: 1, tx: 1 }];
  for (let n = 2; n < 500; n += 1) {
    facts.push({ k: 'sample', c, n, at: at + n, w: 1, wh: n }, { k: 'answer', c, n });
  }
  // Everybody is told, and nobody before his own fact is safe: a message sent earlier could be answered and forgotten.
  const told: boolean[] = [];
  for (const [index, fact] of facts.entries()) {
    store.append(fact, () => (told[index] = store.durable >= index + 1));
    // Now and then the store comes to its compaction; in between facts arrive while it writes.
    if (index % 100 === 99) await store.flush();
    else if (index % 5 === 4) await new Promise((resolve) => setImmediate(resolve));
  }
  await store.flush();
  expect(store.durable).toBe(facts.length);
  expect(told).toEqual(facts.map(() => true));
  expect(Number(/\d+/.exec(readdirSync(directory)[0] ?? '')?.[0])).toBeGreaterThan(5);
  const again = await open();
  expect(again.memory(c)).toEqual(folded(facts));
  expect(again.memory(c).answeredSamples).toBe(2 * 498);
  await Promise.all([store.close(), again.close()]);
});

test('an answer counts once, and only for what is next', () => {
  const memory = folded(session);
  apply(memory, { k: 'answer', c, n: 2 });
  apply(memory, { k: 'answer', c, n: 4 });
  expect(memory).toEqual(folded(session));
  apply(memory, { k: 'answer', c, n: 3 });
  apply(memory, { k: 'answer', c, n: 4 });
  expect(memory).toMatchObject({ answeredSamples: 4, answeredMessages: 4, queue: [], wh: 20, rest: 7 });
  expect(memory.sessions).toMatchObject([
    { n: 1, i: 0, tag: 'T', startAt: at, startWh: 0, stopAt: at + 3, stopWh: 20, transaction: 42, settled: true },
  ]);
});

test('a register that falls, a gap in the numbers, or a sample of no session is a bug', () => {
  const memory = folded(session.slice(0, 4));
  expect(() => apply(memory, { k: 'sample', c, n: 4, at, w: 0, wh: 14 })).toThrow(/register fell from 15 to 14/);
  expect(() => apply(memory, { k: 'sample', c, n: 5, at, w: 0, wh: 15 })).toThrow(/not the next one, 4/);
  expect(() => apply(newMemory(), { k: 'sample', c, n: 1, at, w: 0, wh: 0 })).toThrow(/without a session/);
});

test('what is told is made of the memory alone', () => {
  const memory = folded(session);
  expect(memory.queue.map((message) => v16.message(memory, message))).toEqual([
    [
      'MeterValues',
      {
        connectorId: 1,
        transactionId: 42,
        meterValue: [
          {
            timestamp: '2023-11-14T22:13:20.002Z',
            sampledValue: [
              {
                value: '6600',
                context: 'Sample.Periodic',
                measurand: 'Power.Active.Import',
                location: 'Outlet',
                unit: 'W',
              },
              {
                value: '15',
                context: 'Sample.Periodic',
                measurand: 'Energy.Active.Import.Register',
                location: 'Outlet',
                unit: 'Wh',
              },
            ],
          },
        ],
      },
    ],
    [
      'StopTransaction',
      {
        transactionId: 42,
        idTag: 'T',
        meterStop: 20,
        timestamp: '2023-11-14T22:13:20.003Z',
        reason: 'EVDisconnected',
      },
    ],
  ]);
});

test('of very many sessions the newest 256 are listed and the others summed', () => {
  const memory = newMemory();
  for (let i = 0; i < 300; i += 1) {
    apply(memory, { k: 'begin', c, n: 2 * i + 1, i, tag: 'T', at, wh: 10 * i });
    apply(memory, { k: 'answer', c, n: 2 * i + 1, tx: i + 1 });
    apply(memory, { k: 'end', c, n: 2 * i + 2, at, wh: 10 * i + 10, rest: 0, reason: 'Local' });
    apply(memory, { k: 'answer', c, n: 2 * i + 2 });
  }
  expect(memory.sessions).toHaveLength(256);
  expect(memory.older).toEqual({ sessions: 44, wh: 440 });
});

test('a memory of an earlier build, which knew neither 2.0.1 nor orders, is understood', () => {
  const session = {
    i: 7,
    tag: 'T',
    startAt: at,
    startWh: 0,
    stopAt: null,
    stopWh: null,
    transaction: 42,
    settled: false,
  };
  const kept: KeptMemory = {
    next: 12,
    cursor: 7,
    wh: 15,
    rest: 3,
    answeredSamples: 2,
    answeredMessages: 2,
    refusedMessages: 0,
    sessions: [session],
    older: { sessions: 7, wh: 100 },
    queue: [{ n: 11, kind: 'sample', i: 7, at: at + 2, w: 6_600, wh: 15, reason: '' }],
    lastSampleAt: at + 2,
  };
  const memory = memoryOf(structuredClone(kept));
  expect(v16.message(memory, memory.queue[0] ?? expect.fail())[1]).toMatchObject({ transactionId: 42 });
  apply(memory, { k: 'answer', c, n: 11 });
  apply(memory, { k: 'end', c, n: 12, at: at + 3, wh: 20, rest: 0, reason: 'Local' });
  apply(memory, { k: 'answer', c, n: 12 });
  expect(memory).toMatchObject({ answeredSamples: 4, queue: [], keys: {}, parked: null });
  expect(memory.sessions[0]).toMatchObject({ settled: true, stopWh: 20 });
});

test('2.0.1 tells the same facts as events of one transaction, numbered, with what they carry', () => {
  const memory = folded([
    { k: 'begin', c, n: 1, i: 0, tag: 'T', at, wh: 5, w: 6_600, tx: 'tx-1', remoteStart: 9 },
    { k: 'sample', c, n: 2, at: at + 1, w: 0, wh: 6, changed: true, offline: true },
    { k: 'end', c, n: 3, at: at + 2, wh: 6, rest: 0, reason: 'Remote', told: 1 },
  ]);
  const [start, sample, stop] = memory.queue.map((message) => v201.message(memory, message)[1]);
  expect(start).toEqual({
    eventType: 'Started',
    timestamp: '2023-11-14T22:13:20.000Z',
    triggerReason: 'RemoteStart',
    seqNo: 0,
    transactionInfo: { transactionId: 'tx-1', chargingState: 'Charging', remoteStartId: 9 },
    evse: { id: 1, connectorId: 1 },
    idToken: { idToken: 'T', type: 'ISO14443' },
    meterValue: [
      {
        timestamp: '2023-11-14T22:13:20.000Z',
        sampledValue: [
          {
            value: 6_600,
            context: 'Transaction.Begin',
            measurand: 'Power.Active.Import',
            location: 'Outlet',
            unitOfMeasure: { unit: 'W' },
          },
          {
            value: 5,
            context: 'Transaction.Begin',
            measurand: 'Energy.Active.Import.Register',
            location: 'Outlet',
            unitOfMeasure: { unit: 'Wh' },
          },
        ],
      },
    ],
  });
  expect(sample).toMatchObject({
    eventType: 'Updated',
    triggerReason: 'ChargingStateChanged',
    seqNo: 1,
    offline: true,
    transactionInfo: { transactionId: 'tx-1', chargingState: 'SuspendedEV' },
  });
  expect(stop).toMatchObject({
    eventType: 'Ended',
    triggerReason: 'RemoteStop',
    seqNo: 2,
    transactionInfo: { chargingState: 'EVConnected', stoppedReason: 'Remote' },
  });
  expect(stop?.meterValue).toMatchObject([{ sampledValue: [{ context: 'Transaction.End', value: 6 }] }]);
  for (const n of [1, 2, 3]) apply(memory, { k: 'answer', c, n });
  // Two values with the start, two sampled, one with the end.
  expect(memory.answeredSamples).toBe(5);
});
