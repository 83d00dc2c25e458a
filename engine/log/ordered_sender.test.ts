import { expect, test } from 'vitest';
import { AppendUncertain, StreamRefused } from './errors.ts';
import { OrderedSender } from './ordered_sender.ts';
import type { RingPublisher } from './ring_publisher.ts';

/** A publisher whose every answer is given by the test, in the order the test likes. */
class Scripted implements RingPublisher {
  readonly inFlight = 0;
  connected = true;
  readonly sent: { bytes: Uint8Array; ack(sequence: number): void; fail(error: Error): void }[] = [];
  #wake: (() => void) | undefined;
  publish(_: string, bytes: Uint8Array): Promise<{ sequence: number }> {
    return new Promise((resolve, reject) => {
      this.sent.push({ bytes, ack: (sequence) => resolve({ sequence }), fail: reject });
      this.#wake?.();
    });
  }
  tell(): never {
    throw new Error('every message of a writer is answered');
  }
  close(): void {}
  texts(from = 0): string[] {
    return this.sent.slice(from).map((s) => Buffer.from(s.bytes).toString());
  }
  async untilSent(count: number): Promise<void> {
    while (this.sent.length < count) await new Promise<void>((resolve) => (this.#wake = resolve));
  }
}

const setup = (...texts: string[]) => {
  const publisher = new Scripted();
  const sender = new OrderedSender(publisher, 'c.0');
  const stored: string[] = [];
  const send = (text: string) => sender.send(Buffer.from(text), (sequence) => stored.push(`${text}@${sequence}`));
  texts.forEach(send);
  return { publisher, sender, stored, send, settled: () => new Promise((resolve) => setImmediate(resolve)) };
};
const lost = () => new AppendUncertain('c.0', 'timeout');

test('messages leave at once and count as stored in order, whatever the order of the acks', async () => {
  const { publisher, sender, stored, settled } = setup('a', 'b', 'c');
  expect(publisher.texts()).toEqual(['a', 'b', 'c']);
  publisher.sent[2]?.ack(3);
  publisher.sent[1]?.ack(2);
  await settled();
  expect(stored).toEqual([]);
  publisher.sent[0]?.ack(1);
  await settled();
  expect(stored).toEqual(['a@1', 'b@2', 'c@3']);
  expect(sender.unstored).toBe(0);
});

test('a copy in front of its predecessor does not count; everything from the lost one on is sent again, same bytes', async () => {
  const { publisher, stored, settled } = setup('a', 'b', 'c');
  publisher.sent[0]?.ack(1);
  publisher.sent[1]?.fail(lost());
  publisher.sent[2]?.ack(2);
  await publisher.untilSent(5);
  expect(publisher.texts(3)).toEqual(['b', 'c']);
  publisher.sent[3]?.ack(3);
  await settled();
  expect(stored).toEqual(['a@1', 'b@3']); // c lies at 2, in front of b at 3
  publisher.sent[4]?.ack(4);
  await settled();
  expect(stored).toEqual(['a@1', 'b@3', 'c@4']);
});

test('when the only copy of a message lies in front of its predecessor it is sent again, although it was acknowledged', async () => {
  const { publisher, stored, settled } = setup('a', 'b');
  publisher.sent[0]?.fail(lost());
  publisher.sent[1]?.ack(5);
  await publisher.untilSent(4);
  publisher.sent[2]?.ack(6);
  publisher.sent[3]?.ack(4);
  await publisher.untilSent(5);
  expect(publisher.texts(4)).toEqual(['b']);
  publisher.sent[4]?.ack(7);
  await settled();
  expect(stored).toEqual(['a@6', 'b@7']);
});

test('one failure starts one round, however many copies of the round before fail with it', async () => {
  const { publisher, stored, settled } = setup('a', 'b', 'c');
  for (const copy of publisher.sent) copy.fail(new AppendUncertain('c.0', 'disconnected'));
  await publisher.untilSent(6);
  await settled();
  expect(publisher.texts(3)).toEqual(['a', 'b', 'c']);
  [3, 4, 5].forEach((i) => publisher.sent[i]?.ack(i));
  await settled();
  expect(stored).toEqual(['a@3', 'b@4', 'c@5']);
});

test('what is sent during a failure waits for the round, and nothing is sent while the connection is away', async () => {
  const { publisher, sender, send, settled } = setup('a');
  publisher.connected = false;
  publisher.sent[0]?.fail(new AppendUncertain('c.0', 'disconnected'));
  await settled();
  send('b');
  await new Promise((resolve) => setTimeout(resolve, 120));
  expect(publisher.sent.length).toBe(1);
  publisher.connected = true;
  await publisher.untilSent(3);
  expect(publisher.texts(1)).toEqual(['a', 'b']);
  sender.close();
});

test('a refusal is remembered until the message is stored', async () => {
  const { publisher, sender, settled } = setup('a');
  publisher.sent[0]?.fail(new StreamRefused('c.0', 10077, 'maximum bytes exceeded'));
  await publisher.untilSent(2);
  expect(sender.lastError?.message).toContain('maximum bytes exceeded');
  publisher.sent[1]?.ack(1);
  await settled();
  expect(sender.lastError).toBeUndefined();
});

test('acks that start anew tell that the stream lost its end', async () => {
  const { publisher, sender, stored, send, settled } = setup('a', 'b');
  publisher.sent[0]?.ack(100);
  publisher.sent[1]?.ack(101);
  await settled();
  expect(sender.wentBack).toBe(false);
  send('c');
  send('d');
  publisher.sent[2]?.ack(51);
  publisher.sent[3]?.ack(52);
  await settled();
  expect(sender.wentBack).toBe(true);
  expect(stored).toEqual(['a@100', 'b@101', 'c@51', 'd@52']);
});
