/**
 * What lies in the streams: frames of commands in `C_<p>`, commit records in `J_<p>`, batches of replies on inboxes.
 * msgpack arrays in fixed order; the types here are the decoded shapes.
 */
import { Packr } from 'msgpackr';
import type { EntityAddress, Effect } from '#actors/actor';
import type { RefusalCode } from '#actors/refusals';
import type { PublicEvent } from '#actors/schema/events';

/** No records, no history tricks: equal values give equal bytes. */
export const packr = new Packr({ useRecords: false, moreTypes: false, mapsAsObjects: true, variableMapSize: true });

/**
 * One command inside a frame.
 * `id`: a UUID or `<series>:<n>` made by the caller, null for facts that carry a content key instead.
 */
export interface CommandEnvelope {
  id: string | null;
  to: EntityAddress;
  type: string;
  body: Record<string, unknown>;
  /** Subject and token for the reply; null when nobody waits. */
  reply: { inbox: string; token: number } | null;
  /** Log time after which it is refused `expired`; 0 = never. */
  deadline: number;
  /** From the door to the history row. */
  correlation: string | null;
}

/**
 * Frame kinds: `hello` opens a writer's sequence in a partition (first = 1, no commands), `commands` carries 1..64,
 * `clock` (no commands) gives an idle partition time: that of its storing, or where the clock is driven `at`, set by the driver.
 * `first` is the dense per writer and partition number of the first command; it starts at 1.
 */
export interface Frame {
  kind: 'hello' | 'commands' | 'clock';
  writer: string;
  first: number;
  commands: CommandEnvelope[];
  /** W3C traceparent, where the frame is followed. */
  trace?: string;
  /** Under a driven clock: the log time that a clock frame brings, or that relays were sent at; unix ms. */
  at?: number;
}

/** What moves the log's clock: the store time of commands (`wall`), or the clock frames of the one driver (`driven`). */
export type ClockKind = 'wall' | 'driven';

/**
 * The log time from which a frame of the command log is decided, before it is held against what the clock shows already. Under
 * a driven clock a relay brings the time of its sender: it may overtake the clock frame that it owes its being to.
 */
export const timeOfFrame = (clock: ClockKind, frame: Frame | null, storedAt: number): number =>
  clock === 'wall' ? storedAt : (frame?.at ?? 0);

export type CommandResult =
  /** `at` = `<partition>:<journal sequence>` of the record that holds the decision. */
  | { ok: true; value: unknown; at: string }
  | { ok: false; code: RefusalCode; detail?: Record<string, unknown>; at: string };

/** A changed entity: `image` null = removed. `version` counts its changes, `schema` is the version of its context. */
export interface EntityImage {
  kind: string;
  id: string;
  version: number;
  schema: number;
  /** [state value | null, …context fields in schema order] */
  image: unknown[] | null;
  /** The partition key; absent when it equals the id. */
  key?: string;
}

export interface RelayOut {
  to: number;
  seq: number;
  command: CommandEnvelope;
}
/**
 * `inbox` '' = nobody waits, kept as the outcome of `commandId`. With a command id `entity` says whose it is; while the record is
 * made `place` stands for it where the entity stands in the record, as an index into its entities.
 */
export interface ReplyOut {
  inbox: string;
  token: number;
  commandId: string | null;
  result: ReplyResult;
  entity?: [kind: string, id: string];
  place?: number;
}
/** Results inside a record do not repeat the record's own position. */
export type ReplyResult =
  { ok: true; value: unknown } | { ok: false; code: RefusalCode; detail?: Record<string, unknown> };
export interface SnapshotPointer {
  gen: number;
  j0: number;
  chunks: number;
  hash: string;
}

/** How a record was cut out of the work: what a second execution of the same commands needs to end it at the same place. */
export interface RecordCut {
  /** Units decided since the record before it. */
  units: number;
  /** CRC-32 over the messages of the command log that end in it: those behind the offset before it, up to its own. */
  input: number;
}

/** Which of a record's events came of a command that carried a correlation: `count` of them from index `first` on. */
export interface Origin {
  correlation: string;
  commandId: string | null;
  first: number;
  count: number;
}

export interface CommitRecord {
  /** `epoch` opens an ownership, `batch` commits commands, `snapshot` points to a finished snapshot. */
  kind: 'epoch' | 'batch' | 'snapshot';
  owner: string;
  build: string;
  epoch: number;
  /** Dense within an epoch, from 1. */
  batch: number;
  /** Sequence of the last frame of `C_<p>` that is contained. */
  offset: number;
  /** The log's clock after the batch. */
  now: number;
  writers: Record<string, number>;
  relayAcked: Record<string, number>;
  entities: EntityImage[];
  timers: { set: [id: string, dueAt: number][]; del: string[]; fired: string[] };
  relays: RelayOut[];
  effects: Effect[];
  /** Public events in order; the position of event i is (partition, sequence, i). */
  events: PublicEvent[];
  replies: ReplyOut[];
  snapshot: SnapshotPointer | null;
  /** null: nothing was decided for it, or it was written before cuts were. */
  cut: RecordCut | null;
  /** In the order of the events; without those of timers, of slots and of commands that nobody asked to follow. */
  origins: Origin[];
  /** Contexts of followed frames that end in it. */
  traces?: string[];
  /** SHA-256 chain, hex: over the previous record's hash and this record's body. */
  hash: string;
}

/** What a record says of itself. */
type Heading = 'offset' | 'now' | 'kind' | 'owner' | 'build' | 'epoch' | 'batch' | 'hash';

/** What a record holds that changes nothing: one that opens an ownership, or one that does not count. */
export const noContent = (): Omit<CommitRecord, Heading> => ({
  writers: {},
  relayAcked: {},
  entities: [],
  timers: { set: [], del: [], fired: [] },
  relays: [],
  effects: [],
  events: [],
  replies: [],
  snapshot: null,
  cut: null,
  origins: [],
  traces: [],
});

/** A record as read from the journal. */
export interface JournalEntry {
  partition: number;
  sequence: number;
  record: CommitRecord;
}

/** `reply` is an index into the inboxes beside it, −1 = nobody waits; `key` 0 = the same as `entity`. */
export type EncodedCommand = [
  id: string | null,
  kind: string,
  key: string | 0,
  entity: string,
  type: string,
  body: Record<string, unknown>,
  reply: number,
  token: number,
  deadline?: number,
  correlation?: string | null,
];

/** Inboxes are long and few: each is named once per message. */
class InboxTable {
  readonly names: string[] = [];
  index(reply: CommandEnvelope['reply']): number {
    if (reply === null) return -1;
    const found = this.names.indexOf(reply.inbox);
    return found >= 0 ? found : this.names.push(reply.inbox) - 1;
  }
}

const encodeIn = (c: CommandEnvelope, inboxes: InboxTable): EncodedCommand => {
  const { to } = c;
  const key = to.key === to.id ? 0 : to.key;
  const token = c.reply?.token ?? 0;
  const reply = inboxes.index(c.reply);
  return c.deadline === 0 && c.correlation === null
    ? [c.id, to.kind, key, to.id, c.type, c.body, reply, token]
    : [c.id, to.kind, key, to.id, c.type, c.body, reply, token, c.deadline, c.correlation];
};

const decodeIn = (c: EncodedCommand, inboxes: readonly string[]): CommandEnvelope => ({
  id: c[0],
  to: { kind: c[1], key: c[2] === 0 ? c[3] : c[2], id: c[3] },
  type: c[4],
  body: c[5],
  reply: c[6] < 0 ? null : { inbox: inboxes[c[6]]!, token: c[7] },
  deadline: c[8] ?? 0,
  correlation: c[9] ?? null,
});

/** A command by itself (a relay in a record or a snapshot); nobody waits for its reply. */
export const encodeCommand = (c: CommandEnvelope): EncodedCommand => encodeIn({ ...c, reply: null }, new InboxTable());
export const decodeCommand = (c: EncodedCommand): CommandEnvelope => decodeIn(c, []);

const frameKinds = ['hello', 'commands', 'clock'] as const;

export function encodeFrame(f: Frame): Uint8Array {
  const inboxes = new InboxTable();
  const commands = f.commands.map((command) => encodeIn(command, inboxes));
  const frame: unknown[] = [frameKinds.indexOf(f.kind), f.writer, f.first, commands, inboxes.names];
  // A build before traces reads the frame as well: what is behind `at` it does not look at.
  if (f.trace !== undefined) frame.push(f.at, f.trace);
  else if (f.at !== undefined) frame.push(f.at);
  return packr.pack(frame);
}

/** Throws on anything that is not a frame. */
export function decodeFrame(bytes: Uint8Array): Frame {
  const [kind, writer, first, commands, inboxes, at, trace] = packr.unpack(bytes) as [
    number,
    string,
    number,
    EncodedCommand[],
    string[],
    number?,
    string?,
  ];
  const name = frameKinds[kind];
  if (
    name === undefined ||
    typeof writer !== 'string' ||
    !Number.isSafeInteger(first) ||
    !Array.isArray(commands) ||
    !Array.isArray(inboxes) ||
    (at !== undefined && !Number.isSafeInteger(at))
  ) {
    throw new Error('not a frame');
  }
  const frame: Frame = { kind: name, writer, first, commands: commands.map((command) => decodeIn(command, inboxes)) };
  if (at !== undefined) frame.at = at;
  if (typeof trace === 'string') frame.trace = trace;
  return frame;
}

type EncodedReply = [token: number, value: unknown] | [token: number, value: 0, code: RefusalCode, detail?: unknown];

/** A message of replies: all of one inbox and one record, whose position `at` is named once. */
export const encodeReplies = (at: string, replies: readonly Pick<ReplyOut, 'token' | 'result'>[]): Uint8Array =>
  packr.pack([
    at,
    replies.map(({ token, result }): EncodedReply => {
      if (result.ok) return [token, result.value];
      return result.detail ? [token, 0, result.code, result.detail] : [token, 0, result.code];
    }),
  ]);

/** Throws on anything that is no message of replies. */
export function decodeReplies(bytes: Uint8Array): [token: number, result: CommandResult][] {
  const [at, replies] = packr.unpack(bytes) as [string, EncodedReply[]];
  return replies.map((reply) => {
    if (reply.length === 2) return [reply[0], { ok: true, value: reply[1], at }];
    const [token, , code, detail] = reply;
    return [
      token,
      detail ? { ok: false, code, detail: detail as Record<string, unknown>, at } : { ok: false, code, at },
    ];
  });
}
