/** What every failure looks like, on HTTP as a body (never with status 200) and on the live socket as a frame. */
import Type, { type Static } from 'typebox';
import { refusals, type RefusalCode } from '#actors/refusals';
import { closed } from './ref.ts';

export type { RefusalCode };

export const Refusal = Type.Object(
  {
    ok: Type.Literal(false),
    code: Type.Unsafe<RefusalCode>({ type: 'string', enum: Object.keys(refusals) }),
    detail: Type.Optional(
      Type.Record(Type.String(), Type.Unknown(), { description: 'values for the text of the code' }),
    ),
    correlation: Type.String({ description: 'quote it when you report the failure; the log has it' }),
  },
  { $id: 'Refusal', ...closed },
);
export type Refusal = Static<typeof Refusal>;

/**
 * What may be done with the entity it arrives with: `true`, or the code a try would be refused with.
 * @example { live: true, prices: 'role_missing' }
 */
export const Actions = Type.Unsafe<Record<string, true | RefusalCode>>({
  $id: 'Actions',
  type: 'object',
  description: 'action → true, or the refusal code a try would get',
  additionalProperties: { type: ['boolean', 'string'] },
});
export type Actions = Static<typeof Actions>;
