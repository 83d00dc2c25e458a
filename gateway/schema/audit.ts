/** What admins see of the log: entities as they were, and commands that could not be applied. */
import Type, { type Static } from 'typebox';
import { refusals, type RefusalCode } from '#actors/refusals';
import { closed, entityId, now, nullable, ref, unixMs } from './ref.ts';

export const EntityParams = Type.Object(
  {
    kind: Type.String({
      pattern: '^[a-z_]{1,32}$',
      description: 'charger, session, station, site, customer, user, tag …',
    }),
    id: entityId('of the entity; what every partition has one of is <id>@<p>'),
  },
  closed,
);
export const EntityQuery = Type.Object(
  {
    at: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 40,
        description:
          'after record <partition>:<sequence>, or after all that was decided by a time (ISO 8601 or unix ms); absent: now',
      }),
    ),
  },
  closed,
);

const Position = Type.Object(
  {
    sequence: Type.Integer({ description: 'of the record in the journal of its partition' }),
    time: unixMs("the log's clock"),
  },
  closed,
);

export const AuditEntity = Type.Object(
  {
    kind: Type.String(),
    id: Type.String(),
    key: Type.String({ description: 'what decides its partition' }),
    partition: Type.Integer(),
    at: Position,
    changed: nullable(Position),
    version: Type.Integer({ description: 'counts its changes' }),
    removed: Type.Boolean(),
    value: nullable(Type.String({ description: 'state of its machine' })),
    state: nullable(Type.Record(Type.String(), Type.Unknown(), { description: 'fields by name, secrets blanked' })),
  },
  { $id: 'AuditEntity', ...closed },
);
export const AuditEntitiesReply = Type.Object(
  { now, entities: Type.Array(ref(AuditEntity), { description: 'one per partition that has it' }) },
  { $id: 'AuditEntitiesReply', ...closed },
);

const letterStates = ['open', 'retried', 'discarded'] as const;
export const lettersLimitMax = 1_000;

export const LettersQuery = Type.Object(
  {
    state: Type.Optional(Type.Enum([...letterStates, 'all'], { default: 'open' })),
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: lettersLimitMax, default: 100 })),
  },
  closed,
);
export const LetterParams = Type.Object(
  { letter: Type.String({ pattern: '^\\d{1,5}:\\d{1,15}:\\d{1,6}$', description: '<partition>:<sequence>:<index>' }) },
  closed,
);

const letter = {
  letter: Type.String({ description: '<partition>:<sequence>:<index> of the event that told of it' }),
  at: unixMs("the log's clock"),
  entity: Type.String({ description: '<kind>/<id>' }),
  command: Type.String(),
  reason: Type.String(),
  correlation: nullable(Type.String()),
  detail: Type.Record(Type.String(), Type.Unknown(), {
    description: 'unit (command log sequence and number of its writer), writer, build, body, stack …; secrets blanked',
  }),
  state: Type.Enum([...letterStates]),
  settled: nullable(
    Type.Object({ by: Type.String(), code: nullable(Type.String()), at: unixMs("the log's clock") }, closed),
  ),
};
export const DeadLetter = Type.Object(letter, { $id: 'DeadLetter', ...closed });
export type DeadLetter = Static<typeof DeadLetter>;
export const DeadLettersReply = Type.Object(
  { now, letters: Type.Array(ref(DeadLetter), { description: 'newest first' }) },
  { $id: 'DeadLettersReply', ...closed },
);
export const DeadLetterReply = Type.Object(
  { now, ...letter, retained: Type.Boolean({ description: 'whether it can still be sent again' }) },
  { $id: 'DeadLetterReply', ...closed },
);
export const LetterResult = Type.Object(
  {
    accepted: Type.Boolean(),
    value: Type.Optional(Type.Unknown({ description: 'what the command answered' })),
    refusal: Type.Optional(Type.Unsafe<RefusalCode>({ type: 'string', enum: Object.keys(refusals) })),
    detail: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
    at: Type.String({ description: '<partition>:<sequence> of the decision' }),
  },
  { $id: 'LetterResult', ...closed },
);
export const LetterDiscarded = Type.Object({ letter: Type.String() }, { $id: 'LetterDiscarded', ...closed });
