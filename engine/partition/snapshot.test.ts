import { expect, test } from 'vitest';
import { snapshotChunkBytesMax } from '../log/journal.ts';
import { tallyDomain } from '../simulation/tally.ts';
import { compileDomain } from './catalogue.ts';
import type { SnapshotStore } from './ports.ts';
import { loadSnapshot, readOldestSnapshot, writeSnapshot } from './snapshot.ts';
import { PartitionState } from './state.ts';

const catalogue = compileDomain(tallyDomain);

class MapStore implements SnapshotStore {
  readonly chunks = new Map<string, Uint8Array>();
  async put(gen: number, chunk: number, bytes: Uint8Array) {
    this.chunks.set(`${gen}.${chunk}`, bytes);
  }
  async generations() {
    return [...new Set([...this.chunks.keys()].map((key) => Number(key.split('.')[0])))].sort((a, b) => b - a);
  }
  async get(gen: number, chunk: number) {
    return this.chunks.get(`${gen}.${chunk}`) ?? null;
  }
  async remove(gen: number) {
    for (const key of this.chunks.keys()) if (key.startsWith(`${gen}.`)) this.chunks.delete(key);
  }
}

/** Accounts with a timer each; `padding` makes the state of one large. */
function filled(accounts: number, padding: number): PartitionState {
  const state = new PartitionState(catalogue, 0, 1);
  const { runner } = catalogue.kinds.get('account')!.actor!;
  for (let i = 0; i < accounts; i++) {
    const id = `account-${i}`;
    const context = {
      ...{ balance: i, applied: 1, fired: 0, armed: 0, replaced: 0, alarmAt: 0, early: 0, slot: 0 },
      padding: 'x'.repeat(padding),
    };
    state.put('account', id, id, runner.restore('open', context));
    state.timers.set(`account|${id}|w0`, 1_000 + i);
  }
  state.offset = 77;
  return state;
}
const at = { gen: 1, j0: 5, epoch: 1, batch: 4 };

test.each([
  ['many small states', 30_000, 0],
  ['states with long texts', 2_000, 1_500],
  ['one state larger than a chunk', 1, 700_000],
])('%s fit into chunks that a message can hold, and come back', async (_name, accounts, padding) => {
  const store = new MapStore();
  const state = filled(accounts, padding);
  const pointer = await writeSnapshot(store, state, catalogue, at);
  expect(pointer.chunks).toBe(store.chunks.size);
  expect(Math.max(...[...store.chunks.values()].map((bytes) => bytes.length))).toBeLessThanOrEqual(
    snapshotChunkBytesMax,
  );
  const loaded = new PartitionState(catalogue, 0, 1);
  expect(await loadSnapshot(store, loaded, 1)).toEqual(pointer);
  expect([loaded.entityCount, loaded.timers.size, loaded.offset]).toEqual([accounts, accounts, 77]);
  expect(loaded.get('account', `account-${accounts - 1}`)?.context).toEqual(
    state.get('account', `account-${accounts - 1}`)?.context,
  );
});

test('a generation whose end is missing is no snapshot', async () => {
  const store = new MapStore();
  const { chunks } = await writeSnapshot(store, filled(2_000, 1_500), catalogue, at);
  store.chunks.delete(`1.${chunks - 1}`);
  expect(await loadSnapshot(store, new PartitionState(catalogue, 0, 1), 1)).toBeNull();
});

test('a generation that is removed while it is read gives way to the next', async () => {
  const store = new MapStore();
  await writeSnapshot(store, filled(2_000, 1_500), catalogue, at);
  await writeSnapshot(store, filled(3, 0), catalogue, { ...at, gen: 2, j0: 9 });
  const get = store.get.bind(store);
  store.get = async (gen, chunk) => {
    if (gen === 1 && chunk === 2) await store.remove(1);
    return get(gen, chunk);
  };
  const found = await readOldestSnapshot(store);
  expect([found?.sequence, found?.entities.length]).toEqual([9, 3]);
});
