/**
 * Frames of the live socket `/live` (JSON text). It carries state outward only.
 *
 * A topic's data is one flat object. A snapshot is the whole of it; a delta's `set` holds whole new values of the keys
 * that changed and `del` the keys that went, so applying either twice changes nothing. A delta or event applies only if
 * its `prev` equals the last cursor held; otherwise subscribe again with that cursor.
 */
import Type, { type Static } from 'typebox';
import { Price, Sample, Trade } from '#actors/schema/events';
import { DeviceCommandView } from '#actors/schema/device_commands';
import { BatteryNow, OrderView, Wallet } from './account.ts';
import { Charger, Connector, Station } from './grid.ts';
import { Refusal } from './refusal.ts';
import { closed, now, nullable, ref, unixMs } from './ref.ts';

/** Bounds of one socket. */
export const liveLimits = {
  topicsMax: 64,
  frameBytesMax: 16 * 1024,
  pingEveryMs: 15_000,
  behindMsMax: 30_000,
} as const;

/**
 * Why the server closes a socket. `new_version` is sent when it is restarted: come back as after any loss, and load the
 * page again when it has become another one. 1008 (too many bad frames), 1009 (frame too large) and 1003 (binary) come from
 * RFC 6455.
 */
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
      description: '`tree:<site>`, `station:<id>`, `charger:<id>`, `me`, `command:<id>` or `health`',
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
export const Hidden = Type.Object(
  { op: Type.Literal('hidden'), hidden: Type.Boolean() },
  { $id: 'LiveHidden', ...closed },
);

export const clientFrames = { sub: Subscribe, unsub: Unsubscribe, ping: Ping, pong: Pong, hidden: Hidden } as const;
export type ClientFrame =
  | Static<typeof Subscribe>
  | Static<typeof Unsubscribe>
  | Static<typeof Ping>
  | Static<typeof Pong>
  | Static<typeof Hidden>;

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

/** What has become of a command: taken in, decided, and for an order what followed from it. */
export const CommandStep = Type.Object(
  {
    step: Type.Enum(
      ['sent', 'accepted', 'refused', 'held', 'cancelled', 'expired', 'delivering', 'completed', 'partial', 'void'],
      { description: 'accepted is not done: an order goes on to the state that is named' },
    ),
    at: unixMs('of the step'),
    code: Type.Optional(Refusal.properties.code),
    detail: Type.Optional(
      Type.Record(Type.String(), Type.Unknown(), { description: 'values for the text of the code' }),
    ),
    value: Type.Optional(Type.Unknown({ description: 'the reply, of an accepted command' })),
  },
  { $id: 'LiveCommandStep', ...closed },
);
export type CommandStep = Static<typeof CommandStep>;

/** Never conflated: prices of `station:`, own trades of `me`, steps of `command:`. */
export const LiveEvent = Type.Union(
  [
    Type.Object({ kind: Type.Literal('price'), price: ref(Price) }, closed),
    Type.Object({ kind: Type.Literal('trade'), ...Trade.properties }, closed),
    Type.Object({ kind: Type.Literal('step'), ...CommandStep.properties }, closed),
  ],
  { $id: 'LiveEvent' },
);
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

/** Data of `station:<id>`; events: `price`, one per slot. Who may not view chargers gets `station` alone. */
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
/** Data of `tree:<site>`. Who may not view chargers gets sites and stations, with `worst` naming none. */
export const TreeData = Type.Unsafe<Record<TreeKey, TreeNode>>({
  $id: 'LiveTreeData',
  type: 'object',
  additionalProperties: ref(TreeNode),
});
export type TreeData = Static<typeof TreeData>;

/** The newest sampled values of a connector, one of each kind; 0 is the charger's main meter. */
export const ConnectorSamples = Type.Object(
  {
    connector: Type.Integer({ minimum: 0 }),
    transaction: nullable(Type.Integer({ description: 'under which the newest came' })),
    receivedAt: unixMs('of the newest'),
    samples: Type.Array(ref(Sample)),
  },
  { $id: 'LiveConnectorSamples', ...closed },
);
export type ConnectorSamples = Static<typeof ConnectorSamples>;

/**
 * Data of `charger:<id>`: the charger under `charger` (its `connectors` included), samples under `samples/<connector>`
 * once one has come since this server was started, its newest commands under `command:<id>`.
 */
export const ChargerData = Type.Unsafe<
  { charger: Static<typeof Charger> } & { [key: `samples/${number}`]: ConnectorSamples } & {
    [key: `command:${string}`]: DeviceCommandView;
  }
>({
  $id: 'LiveChargerData',
  type: 'object',
  required: ['charger'],
  properties: { charger: ref(Charger) },
  patternProperties: { '^samples/[0-9]+$': ref(ConnectorSamples), '^command:': ref(DeviceCommandView) },
  additionalProperties: false,
});
export type ChargerData = Static<typeof ChargerData>;

export type OrderKey = `order:${string}`;
/** Data of `me`: `wallet`, `battery` and the open orders as `order:<id>`; empty without an account. Events: `trade`. */
export const MeData = Type.Unsafe<{ wallet?: Wallet; battery?: BatteryNow } & { [key: OrderKey]: OrderView }>({
  $id: 'LiveMeData',
  type: 'object',
  properties: { wallet: ref(Wallet), battery: ref(BatteryNow) },
  patternProperties: { '^order:': ref(OrderView) },
  additionalProperties: false,
});
export type MeData = Static<typeof MeData>;

/**
 * Data of `command:<id>`: what has become of a command that the same user sent, oldest first; empty before it came.
 * Events: `step`.
 */
export const CommandData = Type.Object({ steps: Type.Array(ref(CommandStep)) }, { $id: 'LiveCommandData', ...closed });
export type CommandData = Static<typeof CommandData>;

export const PartitionHealth = Type.Object(
  {
    partition: Type.Integer(),
    served: Type.Boolean({ description: 'an engine has spoken for it within 3 s' }),
    lagMs: nullable(Type.Integer({ description: 'how far the engine is behind the log, ms; null: never heard' })),
    sequence: Type.Integer({ description: 'journal sequence up to which the live state is' }),
  },
  { $id: 'LivePartitionHealth', ...closed },
);
export type PartitionHealth = Static<typeof PartitionHealth>;
export const StoreHealth = Type.Object(
  { ok: Type.Boolean(), reason: Type.Optional(Type.String()), checkedAt: unixMs('of the check') },
  { $id: 'LiveStoreHealth', ...closed },
);
export type StoreHealth = Static<typeof StoreHealth>;
export const ScreensHealth = Type.Object(
  {
    sockets: Type.Integer({ description: 'open in this process' }),
    topics: Type.Integer({ description: 'subscriptions in all' }),
    behind: Type.Integer({ description: 'sockets that have not taken what they were sent' }),
    bufferedBytes: Type.Integer({ description: 'waiting to be taken, of all sockets' }),
  },
  { $id: 'LiveScreensHealth', ...closed },
);
export type ScreensHealth = Static<typeof ScreensHealth>;
/** Data of `health`: `partition:<n>`, `store:<name>` and `screens`. */
export const HealthData = Type.Unsafe<
  { screens: ScreensHealth } & { [key: `partition:${number}`]: PartitionHealth } & {
    [key: `store:${string}`]: StoreHealth;
  }
>({
  $id: 'LiveHealthData',
  type: 'object',
  required: ['screens'],
  properties: { screens: ref(ScreensHealth) },
  patternProperties: { '^partition:[0-9]+$': ref(PartitionHealth), '^store:': ref(StoreHealth) },
  additionalProperties: false,
});
export type HealthData = Static<typeof HealthData>;
