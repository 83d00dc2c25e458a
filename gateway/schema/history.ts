/** What the history tells operators: loads, consumption and sessions of the load tree, messages of a charger. */
import Type, { type Static } from 'typebox';
import { closed, entityId, instant, now, nullable, ref, unixMs } from './ref.ts';

export const loadPointsMax = 2_000;
export const consumptionStepsMax = 2_000;
export const historyLimitMax = 1_000;
const yearMs = 366 * 86_400_000;
/** The longest range of one question: ten years. */
export const historyRangeMsMax = 10 * yearMs;

const from = instant('earliest, included');
const to = instant('latest, excluded');
const limit = Type.Optional(Type.Integer({ minimum: 1, maximum: historyLimitMax, default: 100 }));
const cursor = Type.Optional(Type.String({ minLength: 1, maxLength: 1_024, description: '`next` of the page before' }));
const next = nullable(Type.String({ description: 'pass it as `cursor` for the next page; null at the end' }));
const whole = (description: string) => Type.Integer({ description });

export const LoadsQuery = Type.Object(
  {
    node: entityId('a site or a station'),
    from,
    to,
    points: Type.Optional(
      Type.Integer({ minimum: 1, maximum: loadPointsMax, default: 500, description: 'rows at most' }),
    ),
  },
  closed,
);
export type LoadsQuery = Static<typeof LoadsQuery>;

export const LoadPoint = Type.Object(
  {
    at: unixMs('start of the step'),
    meanW: whole('W, of its slots of 12 s'),
    maxW: whole('W, its highest slot'),
    capacityW: whole('W, the highest limit in force'),
    maxUtilisationBp: whole('its highest slot, 10,000 = 100 %'),
  },
  { $id: 'LoadPoint', ...closed },
);
export const LoadsReply = Type.Object(
  {
    now,
    node: Type.String(),
    stepMs: whole('ms from row to row: the shortest usual step that fits the points'),
    rows: Type.Array(ref(LoadPoint), { description: 'oldest first; steps in which nothing ran are left out' }),
  },
  { $id: 'LoadsReply', ...closed },
);
export type LoadsReply = Static<typeof LoadsReply>;

const scope = {
  site: Type.Optional(entityId('of this site')),
  station: Type.Optional(entityId('of this station')),
  charger: Type.Optional(entityId('of this charger')),
};

export const ConsumptionQuery = Type.Object(
  {
    ...scope,
    from,
    to,
    step: Type.Enum(['hour', 'day'], { description: 'an hour of UTC, or a day of the site’s time zone' }),
  },
  { ...closed, description: 'names a site, a station or a charger' },
);
export type ConsumptionQuery = Static<typeof ConsumptionQuery>;

export const ConsumptionReply = Type.Object(
  {
    now,
    rows: Type.Array(
      Type.Object({ at: unixMs('start of the hour or day'), energyWh: whole('Wh that sessions took') }, closed),
      { description: 'oldest first; steps without energy are left out' },
    ),
  },
  { $id: 'ConsumptionReply', ...closed },
);
export type ConsumptionReply = Static<typeof ConsumptionReply>;

export const SessionsQuery = Type.Object(
  {
    ...scope,
    from: Type.Optional(instant('earliest start, included')),
    to: Type.Optional(instant('latest start, excluded')),
    limit,
    cursor,
  },
  { ...closed, description: 'all sessions, or those of one site, station or charger' },
);
export type SessionsQuery = Static<typeof SessionsQuery>;

export const Session = Type.Object(
  {
    transaction: whole('its number'),
    charger: Type.String(),
    connector: Type.Integer(),
    site: Type.String(),
    station: Type.String(),
    tag: Type.String({ description: 'masked: … and its last three characters' }),
    startedAt: unixMs('start, by the charger’s clock'),
    endedAt: nullable(unixMs('end; null while it runs')),
    energyWh: nullable(whole('Wh; null while it runs, and where its start is unknown')),
    state: Type.Enum(['started', 'ended']),
    flags: Type.Array(Type.String(), { description: 'how its energy was found' }),
    reason: nullable(Type.String({ description: 'of its end, as OCPP names it' })),
  },
  { $id: 'Session', ...closed },
);
export type Session = Static<typeof Session>;
export const SessionsReply = Type.Object(
  { now, rows: Type.Array(ref(Session), { description: 'by their start, newest first' }), next },
  { $id: 'SessionsReply', ...closed },
);
export type SessionsReply = Static<typeof SessionsReply>;

export const ChargerParams = Type.Object({ id: entityId('the charger') }, closed);

export const MessagesQuery = Type.Object(
  {
    from: Type.Optional(instant('earliest, included')),
    to: Type.Optional(instant('latest, excluded')),
    q: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 128,
        description: 'text in payload, action or message id, whatever its case',
      }),
    ),
    direction: Type.Optional(Type.Enum(['in', 'out'], { description: 'in = from the charger' })),
    action: Type.Optional(Type.String({ minLength: 1, maxLength: 128 })),
    limit,
    cursor,
  },
  closed,
);
export type MessagesQuery = Static<typeof MessagesQuery>;

export const Message = Type.Object(
  {
    at: unixMs('when the gateway saw it, by the log’s clock'),
    direction: Type.Enum(['in', 'out'], { description: 'in = from the charger' }),
    type: Type.Enum(['call', 'result', 'error', 'other'], { description: 'other: no frame of OCPP' }),
    action: Type.String({ description: 'of an answer: of the call it answers; empty when unknown' }),
    messageId: Type.String(),
    payload: Type.String({
      description:
        'JSON text as it was on the wire, of an error [code, description, details]; keys and passwords are ***, ' +
        'tags masked; what was longer than 32 Ki characters ends in …',
    }),
    connectionSeq: whole('number of the charger’s connection'),
    latencyMs: nullable(whole('of an answer: ms since its call')),
  },
  { $id: 'Message', ...closed },
);
export type Message = Static<typeof Message>;
export const MessagesReply = Type.Object(
  { now, rows: Type.Array(ref(Message), { description: 'newest first' }), next },
  { $id: 'MessagesReply', ...closed },
);
export type MessagesReply = Static<typeof MessagesReply>;
