/** An engine in a process of its own that measures itself on request, and accounts for it to hold. */
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import type { NatsConnection } from '@nats-io/transport-node';
import { openDoor, type Door } from '#engine/log/mod';
import { youngGeneration } from '#engine/supervisor/role';
import type { Answer, Asked } from '../account/measured_process.ts';

type AnswerOf<Is extends Answer['is']> = Extract<Answer, { is: Is }>;

export class MeasuredEngine {
  readonly #child: ChildProcess;
  /** performance.now() of this process when the other one was started. */
  readonly forkedAt = performance.now();

  constructor(env: NodeJS.ProcessEnv) {
    const profileDir = process.env['GRIDTICK_BENCH_PROFILE'];
    const profiling = profileDir ? ['--cpu-prof', `--cpu-prof-dir=${profileDir}`] : [];
    this.#child = fork(new URL('../account/measured_process.js', import.meta.url).pathname, [], {
      env,
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      execArgv: [...profiling, youngGeneration, '--expose-gc'],
    });
  }

  get pid() {
    return this.#child.pid!;
  }

  /** @throws when the process ends instead */
  async next<Is extends Answer['is']>(is: Is): Promise<AnswerOf<Is>> {
    const ended = once(this.#child, 'exit').then(() => Promise.reject(new Error('the engine ended')));
    ended.catch(() => undefined);
    for (;;) {
      const [answer] = (await Promise.race([once(this.#child, 'message'), ended])) as [Answer];
      if (answer.is === is) return answer as AnswerOf<Is>;
    }
  }

  ask<Is extends 'memory' | 'snapshot'>(what: Is): Promise<AnswerOf<Is>> {
    this.#child.send(what satisfies Asked);
    return this.next(what);
  }

  /** Lets it give its partitions away and end. */
  async stop() {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#child.send('stop' satisfies Asked);
    await once(this.#child, 'exit');
  }
}

const callers = 2_048;

/** Adds 3 to each account once; `round` = how often that was done before, and so the dense number of the command's id. */
export async function addToAll(nc: NatsConnection, partitions: number, accounts: number, round: number): Promise<void> {
  const door = await openDoor(nc, { name: `round-${round}`, partitions, inFlightMax: 32_768 });
  let next = 0;
  const caller = async () => {
    for (let i = next++; i < accounts; i = next++) await addTo(door, i, round);
  };
  await Promise.all(Array.from({ length: callers }, caller));
  await door.close();
}

/** @throws when the answer is not the balance that it must be */
export async function addTo(door: Door, account: number, round: number): Promise<void> {
  const id = `account-${account}`;
  const to = { kind: 'account', key: id, id };
  const command = { id: `load:${round + 1}`, to, type: 'add', body: { amount: 3 }, timeoutMs: 60_000 };
  const result = await door.request(command);
  if (!result.ok || result.value !== 3 * (round + 1)) throw new Error(`${id}: ${JSON.stringify(result)}`);
}
