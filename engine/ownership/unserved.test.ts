/** What is wrong with a partition itself is nobody else's matter: the others are served, and no other engine is drawn in. */
import { expect, test } from 'vitest';
import { LogDamaged } from '../log/errors.ts';
import type { PartitionOwner } from '../partition/owner.ts';
import { systemClock } from '../partition/ports.ts';
import { Ownership, type OwnedPartition } from './ownership.ts';

/** Stands for one whose log is damaged until it is mended. */
class Damaged {
  static mended = false;
  static starts = 0;
  readonly epoch = 1;
  readonly committed = { offset: 0, sequence: 0, batch: 0 };
  readonly logEnd = 0;
  readonly lagMs = 0;
  readonly state = {} as PartitionOwner['state'];
  async start() {
    Damaged.starts += 1;
    if (!Damaged.mended) throw new LogDamaged('J_1', 7, 'is stored, and the server cannot read it');
  }
  async stop() {}
  abandon() {}
}

test('a partition whose log is damaged is left unserved by the engine that should own it, looked at now and then, and served once it is mended', async () => {
  let now = 0;
  const failures: Error[] = [];
  const events: string[] = [];
  const ownership = new Ownership<OwnedPartition>({
    id: 'one',
    partitions: 3,
    clock: { ...systemClock, monotonic: () => now },
    members: () => ({
      *candidates() {
        yield 'one';
      },
      claimOf: () => null,
      givenAt: () => null,
      has: () => true,
      say: () => undefined,
    }),
    newOwner: (partition) => {
      const owner = new Damaged();
      return partition === 1 ? owner : Object.assign(owner, { start: () => Promise.resolve() });
    },
    onFatal: (error) => failures.push(error),
    onEvent: ({ event, partition }) => events.push(`${event} ${partition}`),
  });
  await ownership.begin();
  expect([...ownership.owned.keys()]).toEqual([0, 2]);
  expect([...ownership.unserved]).toEqual([[1, expect.objectContaining({ code: 'log_damaged' })]]);
  expect([ownership.isComplete, Damaged.starts]).toEqual([true, 1]);
  expect(events.toSorted()).toEqual(['taken 0', 'taken 2', 'unserved 1']);
  ownership.look();
  expect(Damaged.starts).toBe(1);
  Damaged.mended = true;
  now += 15_001;
  ownership.look();
  await expect.poll(() => [...ownership.owned.keys()]).toEqual([0, 1, 2]);
  expect([...ownership.unserved, ...failures]).toEqual([]);
});
