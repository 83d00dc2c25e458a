/** Reads what a stream holds between two sequences, and never waits for what does not come. */
import type { NatsConnection } from '@nats-io/transport-node';
import { LogApiError, LogDamaged, SequenceGone } from './errors.ts';
import { bounds, readMessage } from './journal.ts';
import { pull, type PullerOptions, type StoredMessage } from './puller.ts';

/** After so long without a message it is looked for by its number. */
const lookAfterMs = 1_000;
/** And when it was not found so often, it is not there. */
const missesMax = 2;
/** Longer than the reader takes to notice that its request or its consumer is gone. */
const silentMsMax = 45_000;

/**
 * All messages from a sequence to another in order, in pieces; nothing is fetched far ahead of who reads.
 * @throws {SequenceGone} when the stream was purged meanwhile
 * @throws {LogDamaged} at a message that the server counts and cannot read
 */
export async function* readRange(
  nc: NatsConnection,
  name: string,
  from: number,
  last: number,
  options: Pick<PullerOptions, 'firstStored'> = {},
): AsyncGenerator<readonly StoredMessage[]> {
  if (from > last) return;
  const arrived: { messages: StoredMessage[]; taken: () => void }[] = [];
  let wake = () => {};
  let isClosed = false;
  const reader = await pull(
    nc,
    name,
    { ...options, from },
    (messages) =>
      new Promise<void>((taken) => {
        if (isClosed) return taken();
        arrived.push({ messages, taken });
        wake();
      }),
  );
  let next = from;
  let ended: { error: Error | undefined } | null = null;
  void reader.ended.then((error) => {
    ended = { error };
    wake();
  });
  const isEnded = () => ended;
  try {
    let silentMs = 0;
    let misses = 0;
    while (next <= last) {
      const [batch] = arrived;
      if (batch) {
        silentMs = misses = 0;
        yield batch.messages.filter(({ sequence }) => sequence <= last);
        next = batch.messages.at(-1)!.sequence + 1;
        arrived.shift();
        batch.taken();
        continue;
      }
      const end = isEnded();
      if (end) throw end.error ?? new Error(`${name} was closed at ${next}`);
      const cameInTime = await new Promise<boolean>((resolve) => {
        const late = setTimeout(() => resolve(false), lookAfterMs);
        wake = () => {
          clearTimeout(late);
          resolve(true);
        };
      });
      if (cameInTime) continue;
      silentMs += lookAfterMs;
      // One look is no proof: the server may just be starting.
      if (await isReadable(nc, name, next)) misses = 0;
      else if (++misses >= missesMax) throw await gap(nc, name, next);
      if (silentMs >= silentMsMax)
        throw new Error(`${name}: nothing came behind ${next - 1} for ${silentMs / 1_000} s`);
    }
  } finally {
    // A reader stops when its last callback has settled; whoever left in the middle has taken nothing.
    isClosed = true;
    for (const { taken } of arrived) taken();
    await reader.stop();
  }
}

async function isReadable(nc: NatsConnection, name: string, sequence: number): Promise<boolean> {
  try {
    return (await readMessage(nc, name, { seq: sequence })) !== undefined;
  } catch (error) {
    // A server that cannot answer now has not said that it lacks it. Bytes that do not fit their checksum it does not find.
    if (error instanceof LogApiError) return true;
    throw error;
  }
}

async function gap(nc: NatsConnection, name: string, sequence: number): Promise<Error> {
  const { first } = await bounds(nc, name);
  return first > sequence
    ? new SequenceGone(name, sequence, first)
    : new LogDamaged(name, sequence, 'is stored, and the server cannot read it');
}
