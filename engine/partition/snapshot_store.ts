/** Snapshots of a partition in its stream `S_<p>`. Without a publisher it is read-only. */
import type { NatsConnection } from '@nats-io/transport-node';
import { jsApi } from '../log/api.ts';
import { internal, purgeSnapshot, putSnapshotChunk, readMessage, stream, type RingPublisher } from '../log/mod.ts';
import type { SnapshotStore } from './ports.ts';

export function snapshotStore(nc: NatsConnection, publisher: RingPublisher | null, partition: number): SnapshotStore {
  const name = stream.snapshots(partition);
  return {
    put: (gen, chunk, bytes) => {
      if (publisher === null) throw new Error('this snapshot store is read-only');
      return putSnapshotChunk(publisher, partition, gen, chunk, bytes);
    },
    generations: async () => {
      const { state } = await jsApi<{ state: { subjects?: Record<string, number> } }>(nc, `STREAM.INFO.${name}`, {
        subjects_filter: `s.${partition}.*.0`,
      });
      return Object.keys(state.subjects ?? {})
        .map((subject) => Number(subject.split('.')[2]))
        .sort((a, b) => b - a);
    },
    get: async (gen, chunk) =>
      (await readMessage(nc, name, { last_by_subj: internal.snapshot(partition, gen, chunk) }))?.bytes ?? null,
    remove: async (gen) => {
      await purgeSnapshot(nc, partition, gen);
    },
  };
}
