/**
 * The bytes of a commit record: `[kind, owner, build, epoch, batch, hash, body]`.
 * `body` holds all that is decided; `hash` chains it: SHA-256(previous hash ‖ body). Owner, epoch and batch stay outside,
 * so re-executing the same commands gives the same hashes under another owner (G6).
 */
import { createHash } from 'node:crypto';
import type { PublicEvent } from '#actors/schema/events';
import type { Effect } from '#actors/actor';
import type { RefusalCode } from '#actors/refusals';
import {
  decodeCommand,
  encodeCommand,
  packr,
  type CommitRecord,
  type EncodedCommand,
  type EntityImage,
  type Origin,
  type ReplyOut,
  type ReplyResult,
  type SnapshotPointer,
} from '../wire.ts';

export const genesisHash = '0'.repeat(64);
/** JetStream's default message limit is 1 MB; the rest is headers and head. */
export const recordBytesMax = 900 * 1024;

const kinds = ['epoch', 'batch', 'snapshot'] as const;

type Body = [
  offset: number,
  now: number,
  writers: Record<string, number>,
  relayAcked: Record<string, number>,
  entities: [kind: string, id: string, version: number, schema: number, image: unknown[] | null, key?: string][],
  timersSet: [string, number][],
  timersDel: string[],
  timersFired: string[],
  relays: [to: number, seq: number, command: EncodedCommand][],
  effects: [id: string, target: string, kind: string, body: Record<string, unknown>][],
  events: [kind: string, subject: string, payload: unknown][],
  /** Inboxes are named once; `entity` is an index into `entities` where it stands there. */
  inboxes: string[],
  replies: EncodedReply[],
  snapshot: [gen: number, j0: number, chunks: number, hash: string] | null,
  cut?: [units: number, input: number] | null,
  origins?: EncodedOrigin[],
  traces?: string[],
];
type EncodedOrigin = [correlation: string, commandId: string | null, first: number, count: number];
type EncodedReply = [
  inbox: number,
  token: number,
  commandId: string | null,
  value: unknown,
  refused: [code: string, detail?: unknown] | 0,
  entity?: number | [kind: string, id: string],
];
type Head = [kind: number, owner: string, build: string, epoch: number, batch: number, hash: string, body: Uint8Array];

export const chainHash = (previous: string, body: Uint8Array): string =>
  createHash('sha256').update(previous, 'latin1').update(body).digest('hex');

/** Encodes a record after `previousHash`; fills in its `hash`. */
export function encodeRecord(
  record: Omit<CommitRecord, 'hash'>,
  previousHash: string,
): { bytes: Uint8Array; hash: string } {
  const body: Body = [
    record.offset,
    record.now,
    record.writers,
    record.relayAcked,
    record.entities.map((e) =>
      e.key === undefined
        ? [e.kind, e.id, e.version, e.schema, e.image]
        : [e.kind, e.id, e.version, e.schema, e.image, e.key],
    ),
    record.timers.set,
    record.timers.del,
    record.timers.fired,
    record.relays.map((r) => [r.to, r.seq, encodeCommand(r.command)]),
    record.effects.map((e) => [e.id, e.target, e.kind, e.body]),
    record.events.map((e) => [e.kind, e.subject, e.payload]),
    ...encodeReplies(record.replies),
    record.snapshot && [record.snapshot.gen, record.snapshot.j0, record.snapshot.chunks, record.snapshot.hash],
  ];
  const { cut, origins, traces = [] } = record;
  if (cut || origins.length + traces.length > 0) body.push(cut && [cut.units, cut.input]);
  if (origins.length + traces.length > 0) body.push(origins.map(encodeOrigin));
  if (traces.length > 0) body.push(traces);
  // packr reuses its buffer, so the body is copied by the outer pack before anything else is packed.
  const packed = packr.pack(body);
  const hash = chainHash(previousHash, packed);
  const head: Head = [kinds.indexOf(record.kind), record.owner, record.build, record.epoch, record.batch, hash, packed];
  return { bytes: packr.pack(head), hash };
}

const encodeOrigin = ({ correlation, commandId, first, count }: Origin): EncodedOrigin => [
  correlation,
  commandId,
  first,
  count,
];

function encodeReplies(replies: readonly ReplyOut[]): [inboxes: string[], replies: EncodedReply[]] {
  const inboxes = new Map<string, number>();
  const encoded = replies.map(({ inbox, token, commandId, result, entity, place }): EncodedReply => {
    let at = inboxes.get(inbox);
    if (at === undefined) inboxes.set(inbox, (at = inboxes.size));
    const value = result.ok ? result.value : null;
    const refused: EncodedReply[4] = result.ok ? 0 : result.detail ? [result.code, result.detail] : [result.code];
    const of = place ?? entity;
    return of === undefined ? [at, token, commandId, value, refused] : [at, token, commandId, value, refused, of];
  });
  return [[...inboxes.keys()], encoded];
}

function decodeReply(
  [at, token, commandId, value, refused, of]: EncodedReply,
  inboxes: string[],
  entities: EntityImage[],
): ReplyOut {
  const result: ReplyResult =
    refused === 0
      ? { ok: true, value }
      : refused.length > 1
        ? { ok: false, code: refused[0] as RefusalCode, detail: refused[1] as Record<string, unknown> }
        : { ok: false, code: refused[0] as RefusalCode };
  const reply: ReplyOut = { inbox: inboxes[at]!, token, commandId, result };
  if (typeof of === 'number') reply.entity = [entities[of]!.kind, entities[of]!.id];
  else if (of) reply.entity = of;
  return reply;
}

function decodeEntity([kind, id, version, schema, image, key]: Body[4][number]): EntityImage {
  return key === undefined ? { kind, id, version, schema, image } : { kind, id, version, schema, image, key };
}

const unpackHead = (bytes: Uint8Array): Head => {
  const head = packr.unpack(bytes) as Head;
  if (!Array.isArray(head) || head.length !== 7 || kinds[head[0]] === undefined) throw new Error('not a commit record');
  return head;
};

/** Reads a record; throws on anything that is not one. */
export function decodeRecord(bytes: Uint8Array): CommitRecord {
  const [kind, owner, build, epoch, batch, hash, packed] = unpackHead(bytes);
  const b = packr.unpack(packed) as Body;
  const pointer = b[13];
  const snapshot: SnapshotPointer | null = pointer && {
    gen: pointer[0],
    j0: pointer[1],
    chunks: pointer[2],
    hash: pointer[3],
  };
  const entities = b[4].map(decodeEntity);
  return {
    kind: kinds[kind] as CommitRecord['kind'],
    owner,
    build,
    epoch,
    batch,
    offset: b[0],
    now: b[1],
    writers: b[2],
    relayAcked: b[3],
    entities,
    timers: { set: b[5], del: b[6], fired: b[7] },
    relays: b[8].map(([to, seq, command]) => ({ to, seq, command: decodeCommand(command) })),
    effects: b[9].map(([id, target, kind, body]): Effect => ({ id, target, kind, body })),
    events: b[10].map(([kind, subject, payload]) => ({ kind, subject, payload }) as PublicEvent),
    replies: b[12].map((reply) => decodeReply(reply, b[11], entities)),
    snapshot,
    cut: b[14] ? { units: b[14][0], input: b[14][1] } : null,
    // A record of an earlier build has none.
    origins: (b[15] ?? []).map(([correlation, commandId, first, count]) => ({ correlation, commandId, first, count })),
    ...(b[16] && { traces: b[16] }),
    hash,
  };
}

/** The hash that `bytes` should carry behind `previousHash`. */
export const chainOf = (bytes: Uint8Array, previousHash: string): string =>
  chainHash(previousHash, unpackHead(bytes)[6]);

/** Whether `bytes` carries the hash that follows `previousHash`. */
export const verifyChain = (bytes: Uint8Array, previousHash: string): boolean =>
  chainOf(bytes, previousHash) === unpackHead(bytes)[5];
