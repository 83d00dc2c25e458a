/** Bodies of the commands that doors send, and the values they get back. Times are unix ms, UTC. */
import Type, { type Static } from 'typebox';
import { Sample } from './events.ts';

/** A leading @ names a partition itself, which nobody's key may be taken for. */
const id = (description: string) => Type.String({ minLength: 1, maxLength: 128, pattern: '^[^@]', description });
const closed = { additionalProperties: false };

// --- what admins and the seed send -----------------------------------------------------------------------------------

/** to: site. Reply `{ site }`. Same contents again: ok; other contents: `already_exists`. */
export const SiteCreate = Type.Object(
  {
    name: Type.String({ minLength: 1 }),
    timeZone: Type.String(),
    capacityW: Type.Union([Type.Integer({ minimum: 1 }), Type.Null()]),
    profile0Networks: Type.Array(Type.String()),
  },
  closed,
);

/** 10,000 SEK/kWh, either way: with it every amount of an order or a session is still an integer that is held exactly. */
const baseE5SekPerKwhMax = 1_000_000_000;

/** to: station (key = site). Reply `{ station }`. */
export const StationCreate = Type.Object(
  {
    site: id('the site'),
    name: Type.String({ minLength: 1 }),
    capacityW: Type.Integer({ minimum: 1, description: '100 % of the local grid connection, W' }),
    baseE5SekPerKwh: Type.Integer({
      minimum: -baseE5SekPerKwhMax,
      maximum: baseE5SekPerKwhMax,
      description: 'price at normal load, 10⁻⁵ SEK/kWh',
    }),
  },
  closed,
);

/** to: charger (key = site). Reply `{ charger }` once committed; usable when `identity:<id>` is confirmed to it. */
export const ChargerRegister = Type.Object(
  {
    site: id('the site'),
    station: id('the station it draws from'),
    ratedW: Type.Integer({ minimum: 1 }),
    connectors: Type.Integer({ minimum: 1, maximum: 64 }),
    securityProfile: Type.Integer({ minimum: 0, maximum: 3 }),
    passwordHash: Type.String(),
  },
  closed,
);

/** to: name, id = key = `tag:<tag>`. Reply `{ tag }`. Distributed to every partition that holds a site. */
export const TagPut = Type.Object(
  {
    customer: Type.Union([id('owner'), Type.Null()]),
    group: Type.Union([Type.String(), Type.Null()]),
    status: Type.Enum(['Accepted', 'Blocked']),
    expiresAt: Type.Union([Type.Integer(), Type.Null()]),
  },
  closed,
);

/** to: user (key = id). Reply `{ user }`; usable for sign-in when `email:<e-mail>` is confirmed to it. */
export const UserCreate = Type.Object(
  {
    email: Type.String({ minLength: 3, maxLength: 254 }),
    name: Type.String(),
    passwordHash: Type.String({ minLength: 1, description: 'self-describing scrypt string, made at the door' }),
    roles: Type.Array(Type.Enum(['operator', 'admin', 'customer'])),
  },
  closed,
);

/**
 * to: charger. Ends an open session that nobody else ends, at its last sample: it is settled, what is held for it goes back,
 * the connector is free. Its real stop, should it come, settles it anew. Reply: {@link ClosedReply}.
 */
export const SessionClose = Type.Object({ transaction: Type.Integer({ minimum: 1 }) }, closed);
export const ClosedReply = Type.Object({ transaction: Type.Integer(), endAt: Type.Integer() });
export type ClosedReply = Static<typeof ClosedReply>;

// --- what the OCPP gateway sends; to: charger (key = site, id = registered identity) ---------------------------------

/** Every fact names its content key (hash) so that a resend is recognised, and the connection it came by. */
const fact = {
  key: Type.String({ minLength: 1, maxLength: 64, description: 'content key, ocpp: hex of SHA-256, first 32 digits' }),
  connectionSeq: Type.Integer({ minimum: 0 }),
  frameHash: Type.String({ description: 'SHA-256 of the raw frame, hex, first 32 digits' }),
  repairs: Type.Array(Type.String(), { description: 'names of the repairs applied, e.g. R05' }),
};
/** `at` = the time that counts; `clock` true when the charger's own time could not be used (repair R10). */
const time = { at: Type.Integer(), atRaw: Type.String(), clock: Type.Boolean() };

const holdsMs = Type.Optional(
  Type.Integer({
    minimum: 1,
    description: 'log time without a sign of life after which the gateway counts as lost; 15 s if absent',
  }),
);

/** Asks for a connection: the newest wins. Reply `{ connectionSeq, registration }`; the older socket gets effect `connection.close`. */
export const ChargerConnected = Type.Object(
  {
    gateway: id('gateway'),
    connection: id('connection'),
    protocol: Type.String(),
    remote: Type.String(),
    holdsMs,
  },
  closed,
);
export const ConnectedReply = Type.Object({
  connectionSeq: Type.Integer(),
  registration: Type.Enum(['unregistered', 'pending', 'accepted', 'rejected']),
});
export type ConnectedReply = Static<typeof ConnectedReply>;

/** The socket closed; offline is raised after 15 s without a new one. */
export const ChargerDisconnected = Type.Object(
  { gateway: id('gateway'), connection: id('connection'), code: Type.Integer() },
  closed,
);

/** Reply `{ status, intervalS }`. */
export const ChargerBooted = Type.Object(
  {
    ...fact,
    vendor: Type.String(),
    model: Type.String(),
    serial: Type.String(),
    firmware: Type.String(),
  },
  closed,
);
export const BootedReply = Type.Object({
  status: Type.Enum(['Accepted', 'Pending', 'Rejected']),
  intervalS: Type.Integer({ minimum: 1 }),
});
export type BootedReply = Static<typeof BootedReply>;

/** Coalesced heartbeats: at most one per charger in 5 min. */
export const ChargerAlive = Type.Object({ connectionSeq: Type.Integer() }, closed);

export const ConnectorStatus = Type.Object(
  {
    ...fact,
    ...time,
    connector: Type.Integer({ minimum: 0 }),
    status: Type.String(),
    errorCode: Type.String(),
    info: Type.String(),
    vendorErrorCode: Type.String(),
  },
  closed,
);

/** Reply: {@link TokenReply}. */
export const TokenPresented = Type.Object({ ...fact, tag: Type.String() }, closed);
export const TokenReply = Type.Object({
  /** `Unknown`: nobody's tag; `NoCredit`: its owner has none. Each version says what it has a word for. */
  status: Type.Enum(['Accepted', 'Blocked', 'Expired', 'Invalid', 'ConcurrentTx', 'Unknown', 'NoCredit']),
  expiresAt: Type.Union([Type.Integer(), Type.Null()]),
  group: Type.Union([Type.String(), Type.Null()]),
});
export type TokenReply = Static<typeof TokenReply>;

/** The charger's own id of a transaction (OCPP 2.x), in its spelling; compared without case. */
const reference = Type.String({ minLength: 1, maxLength: 64 });
/** What a charger of OCPP 2.x says beside: why it tells, e.g. CablePluggedIn, and whether it was offline then. */
const told = { trigger: Type.Optional(Type.String()), offline: Type.Optional(Type.Boolean()) };

/**
 * Reply: {@link StartedReply}; always a real transaction, whatever the tag. With a `reference` its events may come in any
 * order: `connector` 0 and `tag` '' then mean that this one names none, and registers are in its samples.
 */
export const SessionStarted = Type.Object(
  {
    ...fact,
    ...time,
    connector: Type.Integer({ minimum: 0 }),
    tag: Type.String(),
    meterStartWh: Type.Union([Type.Integer(), Type.Null()]),
    reference: Type.Optional(reference),
    ...told,
    /** Id of the request of ours that it answers to (OCPP 2.x). */
    remoteStartId: Type.Optional(Type.Union([Type.Integer(), Type.Null()])),
    chargingState: Type.Optional(Type.String()),
    samples: Type.Optional(Type.Array(Sample)),
  },
  closed,
);
/** `token` null: none was presented. */
export const StartedReply = Type.Object({
  transaction: Type.Integer({ minimum: 1 }),
  token: Type.Union([TokenReply, Type.Null()]),
});
export type StartedReply = Static<typeof StartedReply>;

/** An event between start and end (OCPP 2.x), which may be the first that is heard. Reply: {@link StartedReply}. */
export const SessionProgress = Type.Object(
  {
    ...fact,
    ...time,
    reference,
    connector: Type.Integer({ minimum: 0, description: '0 when it names none' }),
    tag: Type.String({ description: "'' when it presents none" }),
    ...told,
    chargingState: Type.String({ description: "as the charger says it, '' when it does not" }),
    samples: Type.Array(Sample),
  },
  closed,
);

/**
 * `transaction` ≤ 0: the start was never acknowledged. With a `reference` it is that which counts, and the register is in
 * the samples. Reply: {@link EndedReply}; always an answer.
 */
export const SessionEnded = Type.Object(
  {
    ...fact,
    ...time,
    transaction: Type.Integer(),
    tag: Type.Union([Type.String(), Type.Null()]),
    meterStopWh: Type.Union([Type.Integer(), Type.Null()]),
    reason: Type.String(),
    samples: Type.Array(Sample),
    reference: Type.Optional(reference),
    connector: Type.Optional(Type.Integer({ minimum: 0 })),
    ...told,
  },
  closed,
);
export const EndedReply = Type.Object({ transaction: Type.Integer(), token: Type.Union([TokenReply, Type.Null()]) });
export type EndedReply = Static<typeof EndedReply>;

/** `transaction` null: none given; ≤ 0: the start was never acknowledged. */
export const MeterSampled = Type.Object(
  {
    ...fact,
    connector: Type.Integer({ minimum: 0 }),
    transaction: Type.Union([Type.Integer(), Type.Null()]),
    samples: Type.Array(Sample),
  },
  closed,
);

export const VendorMessage = Type.Object(
  { ...fact, vendor: Type.String(), message: Type.String(), data: Type.String() },
  closed,
);

/** What a device reports about itself besides, e.g. `security_event`; kept as an event. */
export const ChargerReported = Type.Object(
  { ...fact, ...time, report: Type.String(), detail: Type.Record(Type.String(), Type.Unknown()) },
  closed,
);

/** to: gateway (key `@<p>`, id = gateway id), every 5 s from each gateway that serves chargers of the partition. */
export const GatewayAlive = Type.Object(
  {
    gateway: id('gateway'),
    holdsMs,
  },
  closed,
);

/** to: letter (key `@<p>`, id = `<partition>:<sequence>:<index>` of the event that told of it), by an admin. */
export const LetterSettle = Type.Object(
  {
    outcome: Type.Enum(['retried', 'discarded']),
    /** What the retry was refused with; null: it was accepted, or not tried. */
    code: Type.Union([Type.Null(), Type.String({ maxLength: 64 })]),
    /** Type of the command in it. */
    command: Type.String({ maxLength: 128 }),
    /** Who decided so. */
    by: Type.String({ maxLength: 128 }),
  },
  closed,
);
export type LetterSettle = Static<typeof LetterSettle>;
export const LetterRead = Type.Object({}, closed);

export type SessionCloseBody = Static<typeof SessionClose>;
export type SessionStartedBody = Static<typeof SessionStarted>;
export type SessionProgressBody = Static<typeof SessionProgress>;
export type SessionEndedBody = Static<typeof SessionEnded>;
export type ChargerReportedBody = Static<typeof ChargerReported>;
export type MeterSampledBody = Static<typeof MeterSampled>;
export type ConnectorStatusBody = Static<typeof ConnectorStatus>;
export type ChargerConnectedBody = Static<typeof ChargerConnected>;
