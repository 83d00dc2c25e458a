/**
 * Engine processes come, go, die and stand still every two seconds, under load: every command is answered rightly, and applied once.
 * Then a whole installation with three engines under kill -9. GRIDTICK_TEST_SEED and GRIDTICK_TEST_MINUTES choose another run.
 */
import { afterEach, expect, test, type TestContext } from 'vitest';
import { connectLog, openDoor, provision } from '#engine/log/mod';
import { startTestNats } from '#engine/log/testing';
import { verifyPartitions } from '#engine/partition/verify';
import { engineNames } from '#engine/supervisor/parts';
import { Random } from '#gateway/simulator/random';
import { sleep } from './installation.ts';
import { KilledDay } from './killed_day.ts';
import { rolesOfTheCommit } from './kills.ts';
import { Role } from './role.ts';

const seed = Number(process.env.GRIDTICK_TEST_SEED || Date.now() % 1_000_000);
const minutes = Number(process.env.GRIDTICK_TEST_MINUTES || 2);
const partitions = 16;
const accounts = 512;
const turnMs = 2_000;
const livingMax = 4;
/** Longer than it takes to be taken for dead. */
const pauseMs = 3_000;

const day = new KilledDay();
afterEach((context: TestContext) => day.dispose(context.task.result?.state === 'fail'));

test(`engines join, leave, die and stand still for ${minutes} min; every command is applied once (seed ${seed})`, async () => {
  const random = new Random(`engines ${seed}`);
  const nats = await startTestNats();
  const nc = await connectLog(nats.url, 'engines test');
  await provision(nc, { partitions });
  const env = { GRIDTICK_NATS_URL: nats.url, GRIDTICK_PARTITIONS: String(partitions) };
  const engines: Role[] = [];
  const join = async () => {
    const engine = new Role('engine', 'deploy/bench/account/engine_process.js', [], env);
    engines.push(engine);
    await engine.serves();
  };
  const take = () => engines.splice(random.below(engines.length), 1)[0]!;
  await join();
  await join();

  const door = await openDoor(nc, { name: 'test', partitions, lagMax: { commands: 50_000, ms: 30_000 } });
  const until = Date.now() + minutes * 60_000;
  const wrong: string[] = [];
  let answered = 0;
  const callers = Array.from({ length: accounts }, async (_, i) => {
    const id = `account-${i}`;
    for (let n = 1; Date.now() < until; n++) {
      const to = { kind: 'account', key: id, id };
      const result = await door.request({ id: `test:${n}`, to, type: 'add', body: { amount: 3 }, timeoutMs: 30_000 });
      answered += 1;
      if (!result.ok || result.value !== 3 * n) wrong.push(`${id} ${n}: ${JSON.stringify(result)}`);
      await sleep(random.below(1_000));
    }
  });
  const done = { joined: 0, left: 0, killed: 0, paused: 0 };
  const crashed: unknown[] = [];
  const turns = ['joined', 'left', 'killed', 'paused'] as const;
  for (let turn = 0; Date.now() < until - 10_000; turn++) {
    await sleep(turnMs);
    // Each in its turn, but among whom and in between is chance.
    const next = random.below(3) === 0 ? turns[random.below(turns.length)]! : turns[turn % turns.length]!;
    const isJoining = engines.length < 2 || (next === 'joined' && engines.length < livingMax);
    const what = isJoining ? 'joined' : next === 'joined' ? 'left' : next;
    done[what] += 1;
    if (what === 'joined') await join();
    else if (what === 'left') {
      const end = await take().leave();
      if (end !== 0) crashed.push(end);
    } else if (what === 'killed') await take().kill();
    else {
      const sleeper = engines[random.below(engines.length)]!;
      sleeper.pause();
      await sleep(pauseMs);
      sleeper.resume();
    }
  }
  await Promise.all(callers);
  for (const engine of engines) if (engine.end !== undefined) crashed.push(engine.lastWords);
  for (const engine of engines) await engine.kill();
  const verdicts = await verifyPartitions(
    nc,
    Array.from({ length: partitions }, (_, p) => p),
  );
  await door.close();
  await nc.close();
  await nats.stop();
  const epochs = verdicts.reduce((sum, verdict) => sum + verdict.epochs, 0);
  console.log(`seed ${seed}: ${JSON.stringify(done)}, ${answered} answered, ${epochs} epochs`);
  expect([wrong.slice(0, 5), crashed]).toEqual([[], []]);
  expect(verdicts.flatMap(({ problems }) => problems)).toEqual([]);
  expect(Math.min(...Object.values(done))).toBeGreaterThan(0);
});

test(`an installation with three engines loses nothing and doubles nothing under kill -9 (seed ${seed})`, () => {
  const { engine: weight, ...others } = rolesOfTheCommit;
  const weights = { ...others, ...Object.fromEntries(engineNames(3).map((name) => [name, weight!])) };
  return day.play({ seed, kills: 40, supervisors: 2, weights, minutes: 15, engines: 3 });
});
