import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { generateScript } from './generate.ts';
import { runInLanes } from './lanes.ts';
import type { ScriptCommand } from './script.ts';

const script = [...generateScript({ shape: 'raw', users: 40, commands: 1_500, seed: 3 })];
const dump: ScriptCommand = { ...script.at(-1)! };

test('commands of a user are answered in the order of the script, at any number of lanes', async () => {
  for (const lanes of [1, 4, 32]) {
    const answered = new Map<string | null, number[]>();
    let [inFlight, most] = [0, 0];
    await runInLanes(
      script,
      async (batch) => {
        expect(batch.length).toBeLessThanOrEqual(64);
        most = Math.max(most, (inFlight += 1));
        // Batches end in another order than they began.
        await sleep(batch[0]!.line % 5);
        inFlight -= 1;
        for (const { user, line } of batch) answered.set(user, [...(answered.get(user) ?? []), line]);
      },
      { lanes },
    );
    expect(most).toBeLessThanOrEqual(lanes);
    if (lanes > 1) expect(most).toBeGreaterThan(1);
    for (const [user, lines] of answered)
      expect(lines).toEqual(script.filter((command) => command.user === user).map(({ line }) => line));
    expect([...answered.values()].flat()).toHaveLength(script.length);
  }
});

test('a dump of all waits for all before it, and all after it wait for the dump', async () => {
  const parts = [script.slice(0, 400), [dump], script.slice(400, 800), [dump], script.slice(800, 810)];
  const marked = parts.flatMap((part, n) => part.map((command) => ({ ...command, line: n })));
  const log: [begins: boolean, part: number][] = [];
  await runInLanes(
    marked,
    async (batch) => {
      log.push(...batch.map(({ line }): [boolean, number] => [true, line]));
      await sleep(2);
      log.push(...batch.map(({ line }): [boolean, number] => [false, line]));
    },
    { lanes: 8, batchMax: 10 },
  );
  const named = log.map(([begins, part]) => `${part} ${begins ? 'begins' : 'ends'}`);
  for (const [part] of parts.slice(1).entries())
    expect(named.lastIndexOf(`${part} ends`)).toBeLessThan(named.indexOf(`${part + 1} begins`));
  expect(named).toHaveLength(2 * marked.length);
});

test('a script is read only as fast as it is sent', async () => {
  let [read, sent] = [0, 0];
  function* counted() {
    for (const command of script.slice(0, -1)) {
      read += 1;
      expect(read - sent).toBeLessThanOrEqual(101);
      yield command;
    }
  }
  await runInLanes(
    counted(),
    async (batch) => {
      await sleep(1);
      sent += batch.length;
    },
    { lanes: 4, waitingMax: 100 },
  );
  expect(sent).toBe(script.length - 1);
});

test('the first failure ends it, and nothing is on its way then', async () => {
  let [began, ended] = [0, 0];
  const run = runInLanes(
    script,
    async () => {
      began += 1;
      await sleep(3);
      ended += 1;
      if (ended === 5) throw new Error('the door is gone');
    },
    { lanes: 4, waitingMax: 200 },
  );
  await expect(run).rejects.toThrow('the door is gone');
  expect(began).toBe(ended);
  expect(began).toBeLessThan(12);
});
