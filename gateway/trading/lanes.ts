/**
 * Sends the commands of a script side by side without ever turning round two of one user.
 *
 * L1 All commands of a user go down one lane, in the order of the script. A lane sends a batch, waits for its results, then
 *    sends the next: what is sent later can never be decided earlier.
 * L2 A DUMPLOG of all is a barrier: all before it has results when it is sent, and nothing after it is sent before it has.
 * L3 The script is read only as fast as it is sent: what waits in all lanes is bounded.
 */
import { setImmediate } from 'node:timers/promises';
import { hashOf } from '../simulator/random.ts';
import type { ScriptCommand } from './script.ts';

export interface LaneOptions {
  /** How many batches are on their way at once. */
  lanes: number;
  /** Commands of a batch. @default 64 */ batchMax?: number;
  /** Commands that wait in all lanes together. @default 16_384 */ waitingMax?: number;
}

/** Resolves when all is sent and answered; the first error of `send` or of the script ends everything. */
export async function runInLanes<Command extends ScriptCommand>(
  commands: AsyncIterable<Command> | Iterable<Command>,
  send: (batch: readonly Command[]) => Promise<void>,
  { lanes, batchMax = 64, waitingMax = 16_384 }: LaneOptions,
): Promise<void> {
  const queues = Array.from({ length: lanes }, (): Command[] => []);
  const running = new Map<number, Promise<void>>();
  let waiting = 0;
  let failure: { error: unknown } | null = null;
  let wake = () => {};

  async function run(lane: number): Promise<void> {
    const queue = queues[lane]!;
    try {
      while (queue.length > 0 && failure === null) {
        const batch = queue.splice(0, batchMax);
        await send(batch);
        waiting -= batch.length;
        wake();
      }
    } catch (error) {
      failure ??= { error };
      wake();
    } finally {
      running.delete(lane);
    }
  }
  const put = (command: Command, user: string) => {
    const lane = hashOf(user) % lanes;
    queues[lane]!.push(command);
    waiting += 1;
    // A lane begins when more of the script was read, so that a batch is more than its first command.
    if (!running.has(lane))
      running.set(
        lane,
        setImmediate().then(() => run(lane)),
      );
  };
  const throwFailure = () => {
    if (failure !== null) throw failure.error;
  };
  const allAnswered = async () => {
    await Promise.all(running.values());
    throwFailure();
  };

  try {
    for await (const command of commands) {
      if (command.user === null) {
        await allAnswered();
        await send([command]);
        continue;
      }
      put(command, command.user);
      while (waiting >= waitingMax && failure === null) await new Promise<void>((resolve) => (wake = resolve));
      throwFailure();
    }
  } finally {
    // Nothing is on its way any more when this ends, however it ends.
    await Promise.all(running.values());
  }
  throwFailure();
}
