/** Rebuilds a partition's state: newest committed snapshot, then the journal over it up to `last`. */
import { LogDamaged, LogWentBack } from '../log/errors.ts';
import { stream } from '../log/subjects.ts';
import type { Catalogue } from './catalogue.ts';
import type { PartitionPorts } from './ports.ts';
import { RecordFilter } from './record_filter.ts';
import { loadSnapshot } from './snapshot.ts';
import { PartitionState } from './state.ts';

export interface Recovered {
  state: PartitionState;
  /** Newest committed snapshot: generation and j0, or null. */ snapshot: {
    gen: number;
    j0: number;
    offset: number;
  } | null;
  replayed: number;
}

export async function recoverState(
  ports: PartitionPorts,
  catalogue: Catalogue,
  partition: number,
  partitions: number,
  last: number,
): Promise<Recovered> {
  for (const gen of await ports.snapshots.generations()) {
    const state = new PartitionState(catalogue, partition, partitions);
    const pointer = await loadSnapshot(ports.snapshots, state, gen);
    if (pointer === null) continue;
    if (pointer.j0 > last) {
      const { last: end } = await ports.journalBounds();
      if (pointer.j0 > end) throw new LogWentBack(stream.journal(partition), pointer.j0 + 1, end, `snapshot ${gen}`);
      // A later owner wrote it while this one was slow to begin: this one has an older state to find, and nothing to append.
      continue;
    }
    const offset = state.offset;
    let committed = false;
    let replayed = 0;
    const filter = new RecordFilter(state);
    await ports.readJournal(pointer.j0 + 1, last, ({ record }) => {
      if (!filter.accepts(record)) return;
      const p = record.snapshot;
      if (p !== null && p.gen === gen && p.chunks === pointer.chunks && p.hash === pointer.hash) committed = true;
      state.applyRecord(record);
      replayed += 1;
    });
    // Written but never pointed to: the process died in between, and an older one (or the whole journal) is used.
    if (committed) return { state, snapshot: { gen, j0: pointer.j0, offset }, replayed };
  }
  const state = new PartitionState(catalogue, partition, partitions);
  const { first } = await ports.journalBounds();
  if (first > 1)
    throw new LogDamaged(stream.journal(partition), null, `begins at ${first}, and no snapshot reaches it`);
  let replayed = 0;
  const filter = new RecordFilter();
  if (last >= 1) {
    await ports.readJournal(1, last, ({ record }) => {
      if (!filter.accepts(record)) return;
      state.applyRecord(record);
      replayed += 1;
    });
  }
  return { state, snapshot: null, replayed };
}
