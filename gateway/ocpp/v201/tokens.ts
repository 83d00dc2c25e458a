/** Id tokens of OCPP 2.0.1 and what a charger is told about them. */
import type { TokenReply } from '#actors/schema/commands';
import { iso } from '../action.ts';
import { isObject, type Notes, type Payload } from '../repairs/notes.ts';
import { repairString } from '../repairs/numbers.ts';

export interface IdToken {
  idToken: string;
  type: string;
}

/** R08: a token as bare text, as OCPP 1.6 has it; null means that there is none. */
export function repairToken(payload: Payload, field: string, notes: Notes): void {
  const token = payload[field];
  if (token === null) {
    delete payload[field];
    notes.hit('R05');
  } else if (typeof token === 'string' || typeof token === 'number') {
    payload[field] = { idToken: token, type: 'Central' };
    notes.hit('R08');
  }
  if (isObject(payload[field])) repairString(payload[field], 'idToken', notes);
}

/** '' where nobody is named: a button was pressed, or charging is free for all. */
export const tagOf = (token: IdToken | undefined): string =>
  token === undefined || token.type === 'NoAuthorization' ? '' : token.idToken;

/** Our words for a tag are those of OCPP 2.0.1. */
export const idTokenInfo = ({ status, expiresAt, group }: TokenReply) => ({
  status,
  ...(expiresAt === null ? {} : { cacheExpiryDateTime: iso(expiresAt) }),
  ...(group === null ? {} : { groupIdToken: { idToken: group, type: 'Central' } }),
});
