/** Whether the process lives, and whether it can serve. */
import Type, { type Static } from 'typebox';
import { closed, now } from './ref.ts';

export const Alive = Type.Object({ ok: Type.Literal(true), now }, { $id: 'Alive', ...closed });
export type Alive = Static<typeof Alive>;

/** One dependency; `reason` is for operators, not for screens. */
const check = Type.Object({ ok: Type.Boolean(), reason: Type.Optional(Type.String()) }, closed);

/** Answered with 200 only if all are ok; else the refusal `starting` carries the checks as `detail`. */
export const Ready = Type.Object(
  {
    ok: Type.Literal(true),
    now,
    checks: Type.Object({ nats: check, redis: check, projection: check, engine: check, history: check }, closed),
  },
  { $id: 'Ready', ...closed },
);
export type Ready = Static<typeof Ready>;
export type ReadyChecks = Ready['checks'];
