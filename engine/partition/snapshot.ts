/**
 * Snapshots: the state in chunks, written in slices of at most about 1 ms while commands go on. Its pointer is a journal
 * record appended after all chunks, so the pointer's commit implies theirs and that of everything they hold. `j0` is the
 * newest committed record when it began; those after it are replayed over it. They hold whole post-images, so a state that
 * ran ahead is overwritten correctly, and one that ran ahead on records that never counted has no pointer that counts.
 */
import { createHash } from 'node:crypto';
import {
  packr,
  type CommandEnvelope,
  type EntityImage,
  type SnapshotPointer,
  encodeCommand,
  decodeCommand,
  type EncodedCommand,
} from '../wire.ts';
import type { Catalogue } from './catalogue.ts';
import { Outcomes } from './outcomes.ts';
import type { SnapshotStore } from './ports.ts';
import type { PartitionState } from './state.ts';

const chunkBytes = 512 * 1024;
const sliceMs = 1;

interface Head {
  gen: number;
  j0: number;
  offset: number;
  now: number;
  hash: string;
  epoch: number;
  batch: number;
  timers: [string, number][];
  writers: [string, number, number][];
  relaySeq: [number, number][];
  outbox: [number, [number, EncodedCommand][]][];
}
type PackedEntity = [
  kind: string,
  id: string,
  key: string,
  version: number,
  schema: number,
  image: unknown[],
  outcomes: unknown,
];

/** Writes a generation; resolves to its pointer, to be journaled. */
export async function writeSnapshot(
  store: SnapshotStore,
  state: PartitionState,
  catalogue: Catalogue,
  { gen, j0, epoch, batch }: { gen: number; j0: number; epoch: number; batch: number },
): Promise<SnapshotPointer> {
  const hash = createHash('sha256');
  let chunks = 0;
  const write = async (value: unknown) => {
    const bytes = Uint8Array.from(packr.pack(value));
    hash.update(bytes);
    await store.put(gen, chunks++, bytes);
  };
  const head: Head = {
    gen,
    j0,
    offset: state.offset,
    now: state.now,
    hash: state.hash,
    epoch,
    batch,
    timers: [...state.timers.entries()],
    writers: [...state.writers].map(([w, m]) => [w, m.seq, m.at]),
    relaySeq: [...state.relaySeq],
    outbox: [...state.outbox].map(([target, list]) => [target, list.map((r) => [r.seq, encodeCommand(r.command)])]),
  };
  await write(head);
  let items: PackedEntity[] = [];
  let bytes = 0;
  let sliceStart = performance.now();
  for (const ofKind of state.entities.values()) {
    for (const entity of ofKind.values()) {
      const kind = catalogue.kinds.get(entity.kind)!;
      const image = kind.encode(entity.stored);
      items.push([
        entity.kind,
        entity.id,
        entity.key,
        entity.version,
        kind.schema,
        image,
        entity.outcomes?.dump() ?? null,
      ]);
      bytes += 64 + image.length * 12;
      if (bytes >= chunkBytes / 2) {
        const full = items;
        items = [];
        bytes = 0;
        await write(full);
      }
      if (performance.now() - sliceStart > sliceMs) {
        await new Promise((resolve) => setImmediate(resolve));
        sliceStart = performance.now();
      }
    }
  }
  if (items.length > 0) await write(items);
  return { gen, j0, chunks, hash: hash.digest('hex') };
}

async function readChunks(store: SnapshotStore, gen: number): Promise<{ chunks: Uint8Array[]; hash: string }> {
  const hash = createHash('sha256');
  const chunks: Uint8Array[] = [];
  for (let n = 0; ; n++) {
    const bytes = await store.get(gen, n);
    if (bytes === null) return { chunks, hash: hash.digest('hex') };
    hash.update(bytes);
    chunks.push(bytes);
  }
}

/** Puts generation `gen` into an empty state; null when it has no readable head. The caller checks that its pointer was committed. */
export async function loadSnapshot(
  store: SnapshotStore,
  state: PartitionState,
  gen: number,
): Promise<SnapshotPointer | null> {
  const { chunks, hash } = await readChunks(store, gen);
  if (chunks.length === 0) return null;
  const head = packr.unpack(chunks[0]!) as Head;
  state.offset = head.offset;
  state.now = head.now;
  state.hash = head.hash;
  state.epoch = head.epoch;
  state.batch = head.batch;
  for (const [id, dueAt] of head.timers) state.timers.set(id, dueAt);
  for (const [writer, seq, at] of head.writers) state.writers.set(writer, { seq, at });
  for (const [target, seq] of head.relaySeq) state.relaySeq.set(target, seq);
  for (const [target, list] of head.outbox) {
    state.outbox.set(
      target,
      list.map(([seq, command]): { seq: number; command: CommandEnvelope } => ({
        seq,
        command: decodeCommand(command),
      })),
    );
  }
  for (const chunk of chunks.slice(1)) {
    for (const [kind, id, key, version, schema, image, outcomes] of packr.unpack(chunk) as PackedEntity[]) {
      state.restoreEntity({ kind, id, key, version, schema, image });
      if (outcomes !== null) state.entity(kind, id)!.outcomes = Outcomes.load(outcomes);
    }
  }
  return { gen, j0: head.j0, chunks: chunks.length, hash };
}

/**
 * Entities of the oldest kept generation and the journal sequence they stand at, for projections that start behind a purge.
 * The oldest is committed for certain: the journal is purged only once two pointers stand in it.
 */
export async function readOldestSnapshot(
  store: SnapshotStore,
): Promise<{ sequence: number; entities: EntityImage[] } | null> {
  const oldest = (await store.generations()).at(-1);
  if (oldest === undefined) return null;
  const { chunks } = await readChunks(store, oldest);
  if (chunks.length === 0) return null;
  const head = packr.unpack(chunks[0]!) as Head;
  const entities = chunks.slice(1).flatMap((chunk) =>
    (packr.unpack(chunk) as PackedEntity[]).map(([kind, id, key, version, schema, image]): EntityImage => ({
      kind,
      id,
      key,
      version,
      schema,
      image,
    })),
  );
  return { sequence: head.j0, entities };
}
