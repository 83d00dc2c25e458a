/** Commands that end the process that decides them: by exit, by never coming to an end, by eating all memory. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { connectLog, journalBounds, openDoor, provision, readJournal, type Door } from '../log/mod.ts';
import { startTestNats, type TestNats } from '../log/testing.ts';
import { watchEventLoop } from './watchdog.ts';

const stuckMs = 1_500;
const file = fileURLToPath(new URL('./testing_deadly.ts', import.meta.url));
let nats: TestNats;
let nc: Awaited<ReturnType<typeof connectLog>>;
let door: Door;
let engine: ChildProcess;
let starts = 0;
let isOver = false;
let log = '';

/** As a supervisor does: whatever ends is started again. */
function start() {
  starts += 1;
  engine = spawn(process.execPath, ['--conditions=source', '--import', 'tsx', '--max-old-space-size=192', file], {
    env: {
      ...process.env,
      GRIDTICK_NATS_URL: nats.url,
      GRIDTICK_PARTITIONS: '1',
      GRIDTICK_STUCK_MS: String(stuckMs),
    },
    stdio: ['pipe', 'ignore', 'pipe'],
  });
  engine.stderr!.on('data', (chunk: Buffer) => (log = (log + chunk.toString()).slice(-20_000)));
  engine.once('exit', () => {
    if (!isOver) start();
  });
}

beforeAll(async () => {
  nats = await startTestNats();
  nc = await connectLog(nats.url, 'isolation test');
  await provision(nc, { partitions: 1 });
  door = await openDoor(nc, { name: 'test', partitions: 1, lagMax: { commands: 1_000, ms: 3_600_000 } });
  start();
}, 60_000);
afterAll(async () => {
  isOver = true;
  const gone = engine.exitCode === null && engine.signalCode === null ? once(engine, 'exit') : undefined;
  engine.kill('SIGKILL');
  await gone;
  await door.close();
  await nc.close();
  await nats.stop();
});

const to = { kind: 'account', key: 'a', id: 'a' };
let n = 0;
const send = (type: string, body: Record<string, unknown> = {}) =>
  door.request({ id: `test:${(n += 1)}`, to, type, body, timeoutMs: 500_000 });

async function letters() {
  const { first, last } = await journalBounds(nc, 0);
  const found = [];
  for (let sequence = first; sequence <= last; sequence++) {
    const stored = await readJournal(nc, 0, sequence);
    for (const event of stored?.record.events ?? [])
      if (event.kind === 'audit') found.push({ units: stored?.record.cut?.units, ...event.payload });
  }
  return found;
}

test('what ends the process is put aside after the third start, alone, and everything around it is decided once', async () => {
  expect(await send('add', { amount: 1 })).toMatchObject({ ok: true, value: 1 });
  const before = starts;
  const results = await Promise.all([
    send('add', { amount: 10 }),
    send('exit'),
    send('add', { amount: 100 }),
    send('loop'),
    send('exhaust'),
    send('add', { amount: 1_000 }),
  ]);
  expect([results, log]).toMatchObject([
    [
      { ok: true, value: 11 },
      { ok: false, code: 'command_isolated' },
      { ok: true, value: 111 },
      { ok: false, code: 'command_isolated' },
      { ok: false, code: 'command_isolated' },
      { ok: true, value: 1_111 },
    ],
    {},
  ]);
  // It died of the first of them, and twice more where it had stopped: the third start asks.
  expect(starts - before).toBeLessThanOrEqual(3);
  const found = await letters();
  expect(found.map(({ command, reason, entity, units }) => [command, reason, entity, units])).toEqual(
    ['exit', 'loop', 'exhaust'].map((command) => [command, 'command_isolated', 'account/a', 1]),
  );
  for (const { detail } of found)
    expect(detail).toMatchObject({
      key: 'a',
      body: {},
      uncommitted: true,
      writer: expect.any(String),
      unit: expect.stringMatching(/^\d+:\d+$/),
    });
  const left = starts;
  expect(await send('add', { amount: 1 })).toMatchObject({ ok: true, value: 1_112 });
  expect(starts).toBe(left);
}, 600_000);

test('a loop that goes round is left alone', async () => {
  const watchdog = watchEventLoop(500);
  await new Promise((resolve) => setTimeout(resolve, 1_200));
  await watchdog.close();
});
