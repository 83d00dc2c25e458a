/** What an owner does when those before it died of what comes next; the dying itself is in roles/isolation.long.test.ts. */
import { expect, test } from 'vitest';
import { Life } from '../simulation/life.ts';
import { MemoryLog } from '../simulation/memory_log.ts';
import { accountAddress, tallyDomain, type Account } from '../simulation/tally.ts';
import { World } from '../simulation/world.ts';
import { encodeFrame, type CommandEnvelope, type Frame, type ReplyOut } from '../wire.ts';
import { compileDomain } from './catalogue.ts';
import { PartitionOwner, type DeadlyUnit } from './owner.ts';
import { decodeRecord } from './record.ts';

class Line {
  readonly world = new World(11);
  readonly log = new MemoryLog(this.world, 1);
  readonly replies: ReplyOut[] = [];
  readonly failures: Error[] = [];

  async owner(probe?: (deadly: readonly string[]) => Promise<DeadlyUnit | null>) {
    const owner = new PartitionOwner({
      ...{ partition: 0, partitions: 1, build: 'test', catalogue: compileDomain({ ...tallyDomain, slots: [] }) },
      ports: this.log.ports(0, new Life(), (_at, replies) => this.replies.push(...replies)),
      onFailed: (error) => this.failures.push(error),
      ...(probe && { probe }),
    });
    let started = false;
    void owner.start().then(() => (started = true));
    await this.world.run(10_000, () => started);
    return owner;
  }
  async stop(owner: PartitionOwner) {
    let stopped = false;
    void owner.stop().then(() => (stopped = true));
    await this.world.run(10_000, () => stopped);
  }
  store(frame: Frame) {
    this.log.commands[0]!.store(Uint8Array.from(encodeFrame(frame)));
  }
  add(first: number, ...amounts: number[]) {
    const commands = amounts.map((amount): CommandEnvelope => ({
      ...{ id: null, to: accountAddress('a'), type: 'add', body: { amount } },
      ...{ reply: { inbox: 'i', token: 0 }, deadline: 0, correlation: 'c' },
    }));
    this.store({ kind: 'commands', writer: 'door', first, commands });
  }
  get journal() {
    return this.log.journals[0]!.messages.map(({ bytes }) => decodeRecord(bytes));
  }
}

test('the third owner at the same offset asks, and refuses what it is told, alone in its record; the rest is applied', async () => {
  const line = new Line();
  line.store({ kind: 'hello', writer: 'door', first: 1, commands: [] });
  const asked: (readonly string[])[] = [];
  const probe = async (deadly: readonly string[]) => {
    asked.push(deadly);
    return deadly.length === 0 ? { unit: '2:2', sequence: 2 } : null;
  };
  const first = await line.owner(probe);
  await line.world.run(2_000, () => line.journal.length > 1);
  await line.stop(first);
  for (let i = 0; i < 2; i++) await line.stop(await line.owner(probe));
  expect(asked).toEqual([]);
  line.add(1, 1, 10, 100);
  const third = await line.owner(probe);
  await line.world.run(10_000, () => line.replies.length === 3);
  expect(asked).toEqual([[], ['2:2']]);
  expect(line.replies.map(({ result }) => result)).toEqual([
    { ok: true, value: 1 },
    { ok: false, code: 'command_isolated' },
    { ok: true, value: 101 },
  ]);
  expect((third.state.entity('account', 'a')!.stored.context as unknown as Account).balance).toBe(101);
  const [record] = line.journal.filter(({ events }) => events.length > 0);
  expect(record).toMatchObject({
    cut: { units: 1 },
    events: [
      {
        payload: {
          ...{ kind: 'dead_letter', entity: 'account/a', command: 'add', reason: 'command_isolated', correlation: 'c' },
          detail: { unit: '2:2', writer: 'door', build: 'test', key: 'a', body: { amount: 10 }, uncommitted: true },
        },
      },
    ],
  });
  // What was put aside is behind it: the next owner has nothing to ask.
  await line.stop(third);
  await line.stop(await line.owner(probe));
  expect([asked.length, line.failures]).toEqual([2, []]);
});

test('an owner whose trial tells of nothing begins as it would without', async () => {
  const line = new Line();
  line.store({ kind: 'hello', writer: 'door', first: 1, commands: [] });
  for (let i = 0; i < 3; i++) await line.stop(await line.owner());
  line.add(1, 5);
  await line.owner(async () => null);
  await line.world.run(10_000, () => line.replies.length === 1);
  expect(line.replies.map(({ result }) => result)).toEqual([{ ok: true, value: 5 }]);
});
