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
  type RelayOut,
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

/** Cuts what is packed into chunks of equal size, wherever an entity may end: none is larger than a message may be. */
class ChunkWriter {
  readonly #store: SnapshotStore;
  readonly #gen: number;
  readonly #hash = createHash('sha256');
  #chunk = new Uint8Array(chunkBytes);
  #used = 0;
  chunks = 0;

  constructor(store: SnapshotStore, gen: number) {
    this.#store = store;
    this.#gen = gen;
  }

  async write(value: unknown): Promise<void> {
    const packed = packr.pack(value);
    for (let from = 0; from < packed.length;) {
      const part = packed.subarray(from, from + chunkBytes - this.#used);
      this.#chunk.set(part, this.#used);
      this.#used += part.length;
      from += part.length;
      if (this.#used === chunkBytes) await this.#put();
    }
  }

  /** Writes what is left; the hash of all. */
  async end(): Promise<string> {
    if (this.#used > 0) await this.#put();
    return this.#hash.digest('hex');
  }

  async #put(): Promise<void> {
    const bytes = this.#chunk.slice(0, this.#used);
    this.#used = 0;
    this.#hash.update(bytes);
    await this.#store.put(this.#gen, this.chunks++, bytes);
  }
}

/** Writes a generation; resolves to its pointer, to be journaled. */
export async function writeSnapshot(
  store: SnapshotStore,
  state: PartitionState,
  catalogue: Catalogue,
  { gen, j0, epoch, batch }: { gen: number; j0: number; epoch: number; batch: number },
): Promise<SnapshotPointer> {
  const writer = new ChunkWriter(store, gen);
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
  await writer.write(head);
  let sliceStart = performance.now();
  for (const ofKind of state.entities.values()) {
    for (const entity of ofKind.values()) {
      const kind = catalogue.kinds.get(entity.kind)!;
      const packed: PackedEntity = [
        entity.kind,
        entity.id,
        entity.key,
        entity.version,
        kind.schema,
        kind.encode(entity.stored),
        entity.outcomes?.dump() ?? null,
      ];
      await writer.write(packed);
      if (performance.now() - sliceStart > sliceMs) {
        await new Promise((resolve) => setImmediate(resolve));
        sliceStart = performance.now();
      }
    }
  }
  const hash = await writer.end();
  return { gen, j0, chunks: writer.chunks, hash };
}

/** The chunks of a generation as they are stored, and the hash over them. */
export async function readChunks(store: SnapshotStore, gen: number): Promise<{ chunks: Uint8Array[]; hash: string }> {
  const hash = createHash('sha256');
  const chunks: Uint8Array[] = [];
  for (let n = 0; ; n++) {
    const bytes = await store.get(gen, n);
    if (bytes === null) return { chunks, hash: hash.digest('hex') };
    hash.update(bytes);
    chunks.push(bytes);
  }
}

/** How a generation was found; `whole`: it could be read to its end. */
interface Found {
  chunks: number;
  hash: string;
  whole: boolean;
}

/**
 * Tells what a generation holds, one after the other, with the memory of two chunks, until `onValue` says false. How many
 * chunks it is made of and the hash over them are to be compared with its pointer: it may be removed while it is being read.
 * @throws what `onValue` throws
 */
async function readValues(
  store: SnapshotStore,
  gen: number,
  onValue: (value: unknown[]) => boolean | void,
): Promise<Found> {
  const hash = createHash('sha256');
  let rest: Uint8Array = new Uint8Array();
  let next = store.get(gen, 0);
  for (let n = 0; ; n++) {
    const bytes = await next;
    if (bytes === null) return { chunks: n, hash: hash.digest('hex'), whole: n > 0 && rest.length === 0 };
    next = store.get(gen, n + 1);
    next.catch(() => undefined); // awaited in the next turn, if there is one
    hash.update(bytes);
    const joined = rest.length === 0 ? bytes : Buffer.concat([rest, bytes]);
    let thrown: { error: unknown } | null = null;
    let isOver = false;
    rest = new Uint8Array();
    try {
      packr.unpackMultiple(joined, (value: unknown) => {
        try {
          isOver = onValue(value as unknown[]) === false;
        } catch (error) {
          thrown = { error };
        }
        return !isOver && thrown === null;
      });
    } catch (error) {
      const { incomplete, lastPosition } = error as { incomplete?: boolean; lastPosition?: number };
      if (incomplete !== true || lastPosition === undefined) return { chunks: n, hash: '', whole: false };
      rest = joined.subarray(lastPosition);
    }
    if (thrown !== null) throw (thrown as { error: unknown }).error;
    if (isOver) return { chunks: n, hash: '', whole: false };
  }
}

/** The record that a generation stands at; null when there is no such generation. */
export async function snapshotStandsAt(
  store: SnapshotStore,
  gen: number,
): Promise<Pick<Head, 'j0' | 'epoch' | 'batch'> | null> {
  const heads: Head[] = [];
  await readValues(store, gen, (head) => {
    heads.push(head as unknown as Head);
    return false;
  });
  return heads[0] ?? null;
}

/** The entities of a generation that match; null when it is not (any more) what its pointer says. */
export async function findInSnapshot(
  store: SnapshotStore,
  { gen, chunks, hash }: SnapshotPointer,
  matches: (kind: string, id: string, key: string) => boolean,
): Promise<EntityImage[] | null> {
  const found: EntityImage[] = [];
  let isHead = true;
  const read = await readValues(store, gen, (value) => {
    if (isHead) {
      isHead = false;
      return;
    }
    const [kind, id, key, version, schema, image] = value as PackedEntity;
    if (matches(kind, id, key)) found.push({ kind, id, key, version, schema, image });
  });
  return read.whole && read.chunks === chunks && read.hash === hash ? found : null;
}

/** What was written, in order; null when there is nothing or its end is missing. */
function unpackAll(chunks: readonly Uint8Array[]): { head: Head; entities: PackedEntity[] } | null {
  if (chunks.length === 0) return null;
  try {
    const [head, ...entities] = packr.unpackMultiple(Buffer.concat(chunks)) as [Head, ...PackedEntity[]];
    return { head, entities };
  } catch {
    return null;
  }
}

/**
 * Puts generation `gen` into an empty state; null when it cannot be read, and then the state is of no use. The caller checks
 * that its pointer was committed.
 */
export async function loadSnapshot(
  store: SnapshotStore,
  state: PartitionState,
  gen: number,
): Promise<SnapshotPointer | null> {
  let j0: number | null = null;
  const { chunks, hash, whole } = await readValues(store, gen, (value) => {
    if (j0 === null) j0 = restoreHead(state, value as unknown as Head);
    else restoreEntity(state, value as PackedEntity);
  });
  return whole && j0 !== null ? { gen, j0, chunks, hash } : null;
}

function restoreHead(state: PartitionState, head: Head): number {
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
  return head.j0;
}

function restoreEntity(state: PartitionState, [kind, id, key, version, schema, image, outcomes]: PackedEntity) {
  const entity = state.restoreEntity({ kind, id, key, version, schema, image });
  if (outcomes !== null && entity) entity.outcomes = Outcomes.load(outcomes);
}

/** What a snapshot holds, as it lies in the store. */
export interface StoredSnapshot {
  gen: number;
  /** The journal sequence it stands at: the records behind it are to be applied over it. */
  sequence: number;
  epoch: number;
  batch: number;
  writers: [writer: string, seq: number][];
  /** Per target: number of the last relay made. */
  relaySeq: [target: number, seq: number][];
  /** Relays not yet known to be stored in their targets' logs. */
  relays: RelayOut[];
  entities: EntityImage[];
}

/**
 * The oldest kept generation, for readers that start behind a purge; null when there is none.
 * The oldest is committed for certain: the journal is purged only once two pointers stand in it.
 */
export async function readOldestSnapshot(store: SnapshotStore): Promise<StoredSnapshot | null> {
  for (;;) {
    const oldest = (await store.generations()).at(-1);
    if (oldest === undefined) return null;
    const { chunks } = await readChunks(store, oldest);
    // Its owner may have removed it meanwhile, all chunks at once: then what was read may lack its end.
    if ((await store.get(oldest, 0)) === null) continue;
    const read = unpackAll(chunks);
    if (read === null) return null;
    const { head } = read;
    const entities = read.entities.map(([kind, id, key, version, schema, image]): EntityImage => ({
      kind,
      id,
      key,
      version,
      schema,
      image,
    }));
    return {
      gen: oldest,
      sequence: head.j0,
      epoch: head.epoch,
      batch: head.batch,
      writers: head.writers.map(([writer, seq]) => [writer, seq]),
      relaySeq: head.relaySeq,
      relays: head.outbox.flatMap(([to, list]) =>
        list.map(([seq, command]): RelayOut => ({ to, seq, command: decodeCommand(command) })),
      ),
      entities,
    };
  }
}
