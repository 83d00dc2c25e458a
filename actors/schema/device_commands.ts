/**
 * Commands to chargers: what doors ask for, what gateways report of them, what is stored and shown. Times are unix ms, UTC.
 * The words here are those of no OCPP version; translation to and from the wire is the gateway's.
 */
import Type, { type Static, type TObject, type TProperties } from 'typebox';

const closed = { additionalProperties: false };
const nullable = <T extends Parameters<typeof Type.Union>[0][number]>(schema: T) => Type.Union([schema, Type.Null()]);
const nullableInt = () => nullable(Type.Integer());

/** Who asks when nobody did: a rule of the system. */
export const systemRequester = 'system';

const key = Type.String({
  minLength: 1,
  maxLength: 160,
  pattern: '^[^\\u0000-\\u001f\\u007f]+$',
  description: 'OCPP 1.6: the name; 2.0.1: `Component.Variable`, with `@<evse>` and `[<instance>]` where needed',
});

/** What each kind carries. */
export const deviceCommandArguments = {
  'session.requestStart': {
    connector: Type.Integer({ minimum: 1, maximum: 64 }),
    tag: Type.String({ minLength: 1, maxLength: 36, description: 'under which the session is to run' }),
  },
  'session.requestStop': { transaction: Type.Integer({ minimum: 1, maximum: 2 ** 31 - 1 }) },
  'charger.reset': {
    mode: Type.Enum(['soft', 'hard'], { description: 'soft ends running sessions first; hard restarts at once' }),
  },
  'config.set': { key, value: Type.String({ maxLength: 1_000 }) },
  'config.get': { keys: Type.Array(key, { minItems: 1, maxItems: 10, uniqueItems: true }) },
} as const satisfies Record<string, TProperties>;
export type DeviceCommandKind = keyof typeof deviceCommandArguments;
export const deviceCommandKinds = Object.keys(deviceCommandArguments) as DeviceCommandKind[];
export const DeviceCommandKindName = Type.Enum(deviceCommandKinds);

export type DeviceArguments = {
  [K in DeviceCommandKind]: Static<TObject<(typeof deviceCommandArguments)[K]>>;
};
/** One of the kinds with what it carries. */
export type DeviceOrder = { [K in DeviceCommandKind]: { kind: K; arguments: DeviceArguments[K] } }[DeviceCommandKind];

const requestOf = <K extends DeviceCommandKind>(kind: K) =>
  Type.Object(
    {
      charger: Type.String({ minLength: 1, maxLength: 128 }),
      requestedBy: Type.String({ minLength: 1, maxLength: 128 }),
      kind: Type.Literal(kind),
      arguments: Type.Object(deviceCommandArguments[kind], closed),
    },
    closed,
  );

/** to: device_command (key = the charger's site, id = the command's id). Reply: {@link DeviceCommandView}. */
export const CommandRequest = Type.Union(deviceCommandKinds.map(requestOf));
export type CommandRequestBody = { charger: string; requestedBy: string } & DeviceOrder;

/** to: device_command. Possible until it is sent. Reply: {@link DeviceCommandView}. */
export const CommandCancel = Type.Object({ charger: Type.String() }, closed);

// --- what the gateway reports; to: device_command ---------------------------------------------------------------------

/** `act` asks for what was ordered; `read` looks at what came of it (config.set). */
const DeviceCall = Type.Enum(['act', 'read']);
export type DeviceCall = Static<typeof DeviceCall>;

/** `release`: which permission to write it was. */
const report = {
  charger: Type.String(),
  call: DeviceCall,
  release: Type.Integer({ minimum: 1 }),
};
/** The frame went to the socket. */
export const CommandWritten = Type.Object(report, closed);

export const ConfigValue = Type.Object(
  {
    key: Type.String(),
    value: nullable(Type.String({ description: 'null: the charger does not tell' })),
    readonly: nullable(Type.Boolean()),
  },
  closed,
);
export type ConfigValue = Static<typeof ConfigValue>;

/** What the charger said. `status`: its own word, or the code of its error. */
export const DeviceAnswer = Type.Object(
  {
    outcome: Type.Enum([
      'accepted',
      'reboot_required',
      'rejected',
      'not_supported',
      'error',
      'bad_answer',
      'bad_order',
    ]),
    status: Type.String({ maxLength: 64 }),
    description: Type.String({ maxLength: 255 }),
    values: Type.Array(ConfigValue, { maxItems: 16 }),
    unknown: Type.Array(Type.String(), { maxItems: 16, description: 'keys that it does not have' }),
  },
  closed,
);
export type DeviceAnswer = Static<typeof DeviceAnswer>;
export const CommandAnswered = Type.Object({ ...report, answer: DeviceAnswer }, closed);
/** `timeout`: written, no answer; `expired`: it came too late to be written, and was not. */
export const CommandUnanswered = Type.Object({ ...report, reason: Type.Enum(['timeout', 'expired']) }, closed);

// --- inside the partition ---------------------------------------------------------------------------------------------

/** to: device_command, from its charger: its turn on the wire, by this connection. */
export const CommandRelease = Type.Object(
  { gateway: Type.String(), connection: Type.String(), connectionSeq: Type.Integer() },
  closed,
);
/** to: device_command. The connection that its CALL went over is gone. `certain`: what was not reported written was not. */
export const CommandSevered = Type.Object({ connectionSeq: Type.Integer(), certain: Type.Boolean() }, closed);
/** to: device_command. What it was to bring about has been seen; of config.set: the charger has restarted. */
export const CommandObserved = Type.Object({}, closed);
/** to: device_command. It has been proved that nothing came of it. */
export const CommandUnmet = Type.Object({}, closed);
/** to: device_command. A newer one asks about the same thing. */
export const CommandSupersede = Type.Object({}, closed);
/** to: charger. The wire may be free, or something waits for it. */
export const ChargerDispatch = Type.Object({}, closed);

export type CommandReleaseBody = Static<typeof CommandRelease>;
export type CommandSeveredBody = Static<typeof CommandSevered>;
export type CommandWrittenBody = Static<typeof CommandWritten>;
export type CommandAnsweredBody = Static<typeof CommandAnswered>;
export type CommandUnansweredBody = Static<typeof CommandUnanswered>;

// --- state and view ---------------------------------------------------------------------------------------------------

export const deviceCommandStates = [
  'queued',
  'sent',
  'unknown',
  'answered',
  'done',
  'failed',
  'expired',
  'cancelled',
  'superseded',
] as const;
export type DeviceCommandValue = (typeof deviceCommandStates)[number];

/** value: {@link deviceCommandStates}. key = the charger's site, id = the command's id. */
export const DeviceCommandState = Type.Object({
  charger: Type.String(),
  kind: Type.String(),
  arguments: Type.Unknown(),
  requestedBy: Type.String(),
  requestedAt: Type.Integer(),
  /** Not written to a socket after this. */
  expiresAt: Type.Integer(),
  reason: nullable(Type.String()),
  result: Type.Unknown(),
  sentAt: nullableInt(),
  /** When the charger answered to what was ordered; from then on it is not asked for again. */
  answeredAt: nullableInt(),
  endedAt: nullableInt(),
  /** Frames written, or possibly written. */
  attempts: Type.Integer(),
  /** Permissions to write, dense; each is written at most once. */
  releases: Type.Integer(),
  /** Connection by which it went last. */
  connectionSeq: Type.Integer(),
  /** The one CALL that is out, or on its way to be written; stays after the end until it is settled. */
  call: nullable(
    Type.Object({
      call: DeviceCall,
      release: Type.Integer(),
      gateway: Type.String(),
      connection: Type.String(),
      connectionSeq: Type.Integer(),
      releasedAt: Type.Integer(),
      written: Type.Boolean(),
    }),
  ),
  /** Its read-back waits for the wire. */
  reads: Type.Boolean(),
  /** Reads without an answer. */
  readsMissed: Type.Integer(),
});
export type DeviceCommandState = Static<typeof DeviceCommandState>;

const time = (description: string) => nullable(Type.Integer({ description: `${description}; unix ms, UTC` }));

/** A command to a charger as people see it. */
export const DeviceCommandView = Type.Object(
  {
    command: Type.String({ description: 'its id; also the message id on the wire' }),
    charger: Type.String(),
    kind: DeviceCommandKindName,
    arguments: Type.Record(Type.String(), Type.Unknown()),
    state: Type.Enum([...deviceCommandStates], {
      description:
        'queued → sent → answered → done, when its effect was seen. unknown: sent, and no answer came (yet). ' +
        'Ends besides: failed, expired, cancelled, superseded',
    }),
    reason: nullable(
      Type.String({ description: 'why it failed: rejected, not_supported, error, no_answer, no_effect, …' }),
    ),
    result: nullable(
      Type.Record(Type.String(), Type.Unknown(), { description: "the charger's status, and the values it told" }),
    ),
    requestedBy: Type.String({ description: 'user, or `system`' }),
    requestedAt: Type.Integer({ description: 'unix ms, UTC' }),
    sentAt: time('when it was first given to the connection'),
    answeredAt: time('when the charger answered'),
    endedAt: time('when it was done or given up'),
    attempts: Type.Integer({ description: 'times it was written to a socket' }),
  },
  { $id: 'DeviceCommand', additionalProperties: false },
);
export type DeviceCommandView = Static<typeof DeviceCommandView>;

/** Body of the effect `command.write`, for the gateway that holds the connection. */
export interface CommandWrite {
  site: string;
  charger: string;
  connection: string;
  connectionSeq: number;
  command: string;
  call: DeviceCall;
  release: number;
  kind: DeviceCommandKind;
  arguments: Record<string, unknown>;
  /** Log time after which it is not written. */
  expiresAt: number;
  /** How long the charger has for its answer, ms. */
  answerMs: number;
  /** The transaction's id in the charger's own words, where those are not the number; null: the number. */
  transactionId: string | null;
}
