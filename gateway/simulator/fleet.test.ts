import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Figures } from './fleet.ts';
import { Random } from './random.ts';
import { TestSystem, type Call } from './testing.ts';

// Real processes: on a busy machine each takes seconds to start.
vi.setConfig({ testTimeout: 120_000 });

let system: TestSystem;
let data: string;
const children: ChildProcess[] = [];

beforeEach(async () => {
  system = await TestSystem.open();
  data = mkdtempSync(join(tmpdir(), 'gridtick-fleet-'));
});
afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  await system.close();
  rmSync(data, { recursive: true, force: true });
});

/** The role as the supervisor starts it, from source. */
async function simulator(env: Record<string, string>) {
  const child = spawn(
    process.execPath,
    ['--conditions=source', '--import', 'tsx', join(import.meta.dirname, 'main.ts')],
    {
      env: { ...process.env, GRIDTICK_OCPP_URL: system.url, GRIDTICK_DATA_DIR: data, ...env },
      stdio: ['pipe', 'pipe', 'pipe'],
    },
  );
  children.push(child);
  let stderr = '';
  child.stderr.on('data', (text: Buffer) => (stderr += text.toString('utf8')));
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const exited = new Promise<{ code: number | null; stderr: string }>((resolve) =>
    child.once('exit', (code) => resolve({ code, stderr })),
  );
  const line = async () => JSON.parse(String((await lines.next()).value ?? 'null')) as Record<string, unknown> | null;
  return { child, line, exited };
}

const header = 'ConnectionStartDateTime,ConnectionEndDateTime,Energy,ChargingStation,UserID';
/** Two sessions one after the other on each of `plugs` plugs; the first ones are open already. Seconds from 07:00. */
function sessionsFile(
  plugs: number,
  [firstEnds, secondStarts, secondEnds]: [number, number, number],
): Record<string, string> {
  const iso = (seconds: number) => new Date(Date.UTC(2019, 4, 15, 7) + seconds * 1_000).toISOString();
  const rows = Array.from({ length: plugs }, (_, p) => [
    `${iso(-600 - p)},${iso(firstEnds + p / 10)},99.5,P-${p},U${p}`,
    `${iso(secondStarts + p / 10)},${iso(secondEnds + p / 10)},9.25,P-${p},V${p}`,
  ]);
  const file = join(data, 'sessions.csv');
  writeFileSync(file, [header, ...rows.flat()].join('\n'));
  return {
    GRIDTICK_SESSIONS: file,
    GRIDTICK_DAY: '2019-05-15',
    GRIDTICK_FROM: '07:00',
    GRIDTICK_ZONE: 'UTC',
    GRIDTICK_TEST_SAMPLE_EVERY_MS: '200',
    GRIDTICK_TEST_RETRY_MOST_MS: '200',
  };
}

const figures = () => JSON.parse(readFileSync(join(data, 'simulator/answered.json'), 'utf8')) as Figures;
/** Starts, samples and stops, whichever version told them. */
const kinds = {
  start: ['StartTransaction', 'Started'],
  sample: ['MeterValues', 'Updated'],
  stop: ['StopTransaction', 'Ended'],
} as const;
const told = (kind: keyof typeof kinds) =>
  system.calls.filter(({ action, payload }) =>
    (kinds[kind] as readonly unknown[]).includes(payload.eventType ?? action),
  );
const distinct = (calls: readonly Call[]) => [
  ...new Map(calls.map((call) => [JSON.stringify([call.identity, call.payload]), call])).values(),
];
const contents = (kind: keyof typeof kinds) => distinct(told(kind));

type Sampled = { value: unknown; unit?: string; unitOfMeasure?: { unit: string } };
const sampledOf = ({ payload }: Call): Sampled[] =>
  ((payload.meterValue ?? []) as { sampledValue: Sampled[] }[]).flatMap(({ sampledValue }) => sampledValue);
/** Sampled values that the system has heard, each once. */
const heardSamples = () => distinct(system.calls).reduce((sum, call) => sum + sampledOf(call).length, 0);
const tagOf = ({ payload }: Call) => payload.idTag ?? (payload.idToken as { idToken?: string } | undefined)?.idToken;
const transactionOf = ({ payload }: Call) =>
  payload.transactionId ?? (payload.transactionInfo as { transactionId?: string } | undefined)?.transactionId;
const registerOf = (call: Call) =>
  call.payload.meterStart ??
  call.payload.meterStop ??
  sampledOf(call).find(({ unit, unitOfMeasure }) => (unit ?? unitOfMeasure?.unit) === 'Wh')?.value;

test('kill -9 at random moments: nothing that was answered is forgotten, nothing owed is lost, no register falls', async () => {
  const seed = Number(process.env.GRIDTICK_TEST_SEED ?? Date.now() % 1_000_000);
  const random = new Random(`kill ${seed}`);
  // What the system took: kept when it answers, and kept too when it hangs up instead of answering.
  system.react = (call: Call) => (call.action !== 'BootNotification' && random.next() < 0.05 ? 'cut' : undefined);
  // The second cars stay: however slow the machine, no session begins and ends between two lives.
  const env = sessionsFile(5, [8, 9, 3_600]);
  let kills = 0;
  let running = await simulator(env);
  expect(await running.line()).toMatchObject({ ready: true, site: 'jpl', chargers: 5 });
  while (kills < 5) {
    await new Promise((resolve) => setTimeout(resolve, 300 + random.below(1_200)));
    running.child.kill('SIGKILL');
    await running.exited;
    kills += 1;
    running = await simulator(env);
    expect(await running.line(), `seed ${seed}`).toMatchObject({ ready: true, chargers: 5 });
  }
  const changed = () => contents('stop').length === 5 && contents('start').length === 10;
  await system.until(changed, `all cars to change (seed ${seed})`, 60_000);
  system.react = () => undefined;
  running.child.stdin?.write('{"quiet":true}\n');
  const quiet = await running.line();
  const known = figures();
  expect(quiet, `seed ${seed}`).toEqual({ quiet: true, answeredSamples: known.answeredSamples });

  const context = `seed ${seed}`;
  expect(known.unanswered, context).toBe(0);
  expect(contents('start'), context).toHaveLength(10);
  expect(contents('stop'), context).toHaveLength(5);
  expect(known.answeredSamples, context).toBe(heardSamples());
  expect(new Set(system.calls.map((c) => c.id)).size, context).toBe(system.calls.length);
  for (const charger of known.chargers) {
    const [first, second] = charger.sessions;
    expect(charger.sessions, context).toHaveLength(2);
    expect(
      charger.sessions.map((s) => s.settled),
      context,
    ).toEqual([true, false]);
    const own = (call: Call) => call.identity === charger.charger;
    expect(contents('start').filter(own).map(tagOf), context).toEqual(charger.sessions.map((s) => s.tag));
    expect(second?.startWh, context).toBe(first?.stopWh);
    expect(new Set(told('stop').filter(own).map(transactionOf)), context).toEqual(new Set([first?.transaction]));
    // In order of arrival, resends included, a register may repeat but never fall.
    const seen = system.calls
      .filter(own)
      .map(registerOf)
      .filter((v) => v !== undefined)
      .map(Number);
    expect(
      seen.every((v, i) => i === 0 || v >= (seen[i - 1] ?? 0)),
      context,
    ).toBe(true);
  }
}, 180_000);

test('SIGTERM leaves the figures behind, and the next start goes on in the same day', async () => {
  const env = sessionsFile(2, [600, 700, 800]);
  const first = await simulator(env);
  const ready = await first.line();
  await system.until(() => told('sample').length >= 8, 'samples');
  first.child.kill('SIGTERM');
  expect((await first.exited).code).toBe(0);
  const rest = figures();
  const samplesThen = told('sample').length;
  expect(rest.answeredSamples + 2 * rest.unanswered).toBeGreaterThanOrEqual(2 * (samplesThen - 2));

  const second = await simulator(env);
  expect((await second.line())?.anchorAt).toBe(ready?.anchorAt);
  await system.until(() => told('sample').length >= samplesThen + 8, 'more samples');
  expect(contents('start')).toHaveLength(2);
  expect(system.of('BootNotification')).toHaveLength(4);
  // The role's end of the pipe: a supervisor that died takes it along.
  second.child.stdin?.end();
  expect((await second.exited).code).toBe(0);
});

test('at rest no car moves, and it goes on when told', async () => {
  const running = await simulator(sessionsFile(2, [600, 700, 800]));
  await running.line();
  await system.until(() => told('sample').length >= 4, 'samples');
  running.child.stdin?.write('{"quiet":true}\n');
  expect(await running.line()).toEqual({ quiet: true, answeredSamples: heardSamples() });
  expect(figures().answeredSamples).toBe(heardSamples());
  const atRest = system.calls.length;
  running.child.stdin?.write('{"quiet":false}\n');
  await system.until(() => system.calls.length > atRest, 'more samples');
  running.child.kill('SIGUSR2');
  expect(await running.line()).toEqual({ quiet: true, answeredSamples: heardSamples() });
});

test('a directory keeps its scenario, and a setting that cannot be is named', async () => {
  const first = await simulator(sessionsFile(2, [600, 700, 800]));
  await first.line();
  first.child.kill('SIGTERM');
  await first.exited;
  const other = await (await simulator({ GRIDTICK_SEED: '1' })).exited;
  expect(other.code).toBe(1);
  expect(other.stderr).toMatch(/holds the chargers of another scenario .* GRIDTICK_DATA_DIR/);
  const none = await (await simulator({ GRIDTICK_SESSIONS: 'f.csv' })).exited;
  expect(none.stderr).toMatch(/needs a day to play/);
});

test('the demo fleet comes up with 20 chargers and the open sessions of 07:30', async () => {
  const running = await simulator({ GRIDTICK_SEED: '1' });
  expect(await running.line()).toMatchObject({ ready: true, site: 'demo', chargers: 20 });
  const complete = () =>
    system.of('BootNotification').length >= 20 && contents('start').length >= 8 && told('sample').length >= 8;
  await system.until(complete, 'all chargers and the open sessions');
  expect(new Set(system.calls.map((c) => c.identity)).size).toBe(20);
  expect(system.of('BootNotification')).toHaveLength(20);
  expect(contents('start').length).toBeGreaterThanOrEqual(8);
  expect(told('start').every((call) => /^DEMO00[0-4]\d$/.test(tagOf(call) as string))).toBe(true);
  // Half of them speak 2.0.1.
  expect(new Set(told('start').map(({ action }) => action))).toEqual(new Set(['StartTransaction', 'TransactionEvent']));
  running.child.stdin?.write('{"quiet":true}\n');
  await running.line();
  expect(figures().chargers.filter(({ version }) => version === '2.0.1')).toHaveLength(10);
});
