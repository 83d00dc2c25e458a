/**
 * Frames of the live socket `/live` (JSON text). It carries state outward only.
 *
 * A topic's data is one flat object. A snapshot is the whole of it; a delta's `set` holds whole new values of the keys
 * that changed and `del` the keys that went, so applying either twice changes nothing. A delta or event applies only if
 * its `prev` equals the last cursor held; otherwise subscribe again with that cursor.
 */
import Type, { type Static } from 'typebox';
import { Price } from '#actors/schema/events';
import { Charger, Connector, Station } from './grid.ts';
import { Refusal } from './refusal.ts';
import { closed, now, nullable, ref } from './ref.ts';

/** Bounds of one socket. */
export const liveLimits = {
  topicsMax: 64,
  frameBytesMax: 16 * 1024,
  pingEveryMs: 15_000,
  behindMsMax: 30_000,
} as const;

/** Why the server closes a socket. 1008 (too many bad frames), 1009 (frame too large) and 1003 (binary) come from RFC 6455. */
export const liveCloseCodes = {
  signed_out: 4401,
  right_withdrawn: 4403,
  too_slow: 4408,
  new_version: 4409,
  too_many_topics: 4429,
} as const;
export type LiveCloseReason = keyof typeof liveCloseCodes;

// --- from the client -------------------------------------------------------------------------------------------------

const id = Type.Integer({ minimum: 0, maximum: 2 ** 31 - 1, description: "the client's number for the subscription" });
const cursor = Type.String({ minLength: 1, maxLength: 128, description: 'opaque; compare for equality only' });

export const Subscribe = Type.Object(
  {
    op: Type.Literal('sub'),
    id,
    topic: Type.String({
      minLength: 1,
      maxLength: 160,
      description: '`tree:<site>`, `station:<id>` or `charger:<id>`',
    }),
    cursor: Type.Optional(cursor),
  },
  { $id: 'LiveSubscribe', ...closed },
);
export const Unsubscribe = Type.Object({ op: Type.Literal('unsub'), id }, { $id: 'LiveUnsubscribe', ...closed });
/** `t` comes back in the pong: the client measures the way. */
export const Ping = Type.Object(
  { op: Type.Literal('ping'), t: Type.Optional(Type.Number()) },
  { $id: 'LivePing', ...closed },
);
export const Pong = Type.Object({ op: Type.Literal('pong') }, { $id: 'LivePong', ...closed });
/** A hidden page gets at most one flush per second. */
export const View = Type.Object({ op: Type.Literal('view'), hidden: Type.Boolean() }, { $id: 'LiveView', ...closed });

export const clientFrames = { sub: Subscribe, unsub: Unsubscribe, ping: Ping, pong: Pong, view: View } as const;
export type ClientFrame =
  | Static<typeof Subscribe>
  | Static<typeof Unsubscribe>
  | Static<typeof Ping>
  | Static<typeof Pong>
  | Static<typeof View>;

// --- from the server -------------------------------------------------------------------------------------------------

const data = Type.Record(Type.String(), Type.Unknown());

export const Snap = Type.Object({ op: Type.Literal('snap'), id, cursor, now, data }, { $id: 'LiveSnap', ...closed });
export const Delta = Type.Object(
  {
    op: Type.Literal('delta'),
    id,
    prev: cursor,
    cursor,
    now,
    set: data,
    del: Type.Array(Type.String()),
  },
  { $id: 'LiveDelta', ...closed },
);

/** Never conflated. */
export const LiveEvent = Type.Union([Type.Object({ kind: Type.Literal('price'), price: ref(Price) }, closed)], {
  $id: 'LiveEvent',
});
export type LiveEvent = Static<typeof LiveEvent>;

export const EventFrame = Type.Object(
  {
    op: Type.Literal('event'),
    id,
    prev: cursor,
    cursor,
    now,
    event: ref(LiveEvent),
  },
  { $id: 'LiveEventFrame', ...closed },
);

/** `id` null: the frame could not be read so far. The socket stays open; the topic, if any, is not subscribed. */
export const Refuse = Type.Object(
  {
    op: Type.Literal('refuse'),
    id: nullable(id),
    code: Refusal.properties.code,
    detail: Refusal.properties.detail,
    now,
  },
  { $id: 'LiveRefuse', ...closed },
);
export const Unsubscribed = Type.Object({ op: Type.Literal('unsub'), id, now }, { $id: 'LiveUnsubscribed', ...closed });
/** Answer it with `{op:"pong"}`. */
export const ServerPing = Type.Object({ op: Type.Literal('ping'), now }, { $id: 'LiveServerPing', ...closed });
export const ServerPong = Type.Object(
  { op: Type.Literal('pong'), t: Type.Optional(Type.Number()), now },
  { $id: 'LiveServerPong', ...closed },
);

export const serverFrames = {
  snap: Snap,
  delta: Delta,
  event: EventFrame,
  refuse: Refuse,
  unsub: Unsubscribed,
  ping: ServerPing,
  pong: ServerPong,
} as const;
export type ServerFrame =
  | Static<typeof Snap>
  | Static<typeof Delta>
  | Static<typeof EventFrame>
  | Static<typeof Refuse>
  | Static<typeof Unsubscribed>
  | Static<typeof ServerPing>
  | Static<typeof ServerPong>;

// --- what the topics carry -------------------------------------------------------------------------------------------

/** `<charger>/<connector>`; the charger's id may hold a slash itself, the last one counts. */
export type ConnectorKey = `${string}/${number}`;

/** Data of `station:<id>`; events: `price`, one per slot. */
export const StationData = Type.Unsafe<
  { station: Static<typeof Station> } & { [key: ConnectorKey]: Static<typeof Connector> }
>({
  $id: 'LiveStationData',
  type: 'object',
  required: ['station'],
  properties: { station: ref(Station) },
  patternProperties: { '/[0-9]+$': ref(Connector) },
  additionalProperties: false,
});
export type StationData = Static<typeof StationData>;

export const Health = Type.Enum(['ok', 'warn', 'offline', 'fault'], { description: 'best to worst' });
export type Health = Static<typeof Health>;

/** One element of the load tree; connectors are counted, not listed (they are in `station:` and `charger:`). */
export const TreeNode = Type.Object(
  {
    kind: Type.Enum(['site', 'station', 'charger']),
    id: Type.String(),
    name: Type.String(),
    parent: nullable(Type.String({ description: 'key of the node above' })),
    loadW: nullable(Type.Integer({ description: 'mean load of the last slot, W; null for chargers' })),
    liveW: Type.Integer({ description: 'power now, W' }),
    limitW: nullable(Type.Integer({ description: 'W' })),
    utilisationBp: nullable(Type.Integer({ description: 'of the last slot for stations, of power now for chargers' })),
    stale: Type.Boolean(),
    counts: Type.Record(Type.String(), Type.Integer(), {
      description:
        "connectors by OCPP status; those of a disconnected charger count as 'Offline', without a report as 'Unknown'",
    }),
    health: Health,
    worst: nullable(Type.String({ description: 'key of the child with the worst health, null when all are ok' })),
  },
  { $id: 'LiveTreeNode', ...closed },
);
export type TreeNode = Static<typeof TreeNode>;

/** `site:<id>`, `station:<id>` or `charger:<id>`. */
export type TreeKey = `${TreeNode['kind']}:${string}`;
/** Data of `tree:<site>`. */
export const TreeData = Type.Unsafe<Record<TreeKey, TreeNode>>({
  $id: 'LiveTreeData',
  type: 'object',
  additionalProperties: ref(TreeNode),
});
export type TreeData = Static<typeof TreeData>;

/** Data of `charger:<id>`: the charger under `charger` (its `connectors` included). */
export const ChargerData = Type.Object({ charger: ref(Charger) }, { $id: 'LiveChargerData', ...closed });
export type ChargerData = Static<typeof ChargerData>;
