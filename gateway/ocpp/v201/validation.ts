/**
 * Strict validation of OCPP 2.0.1, after the repairs. Free text are the names of sampled values, because an unknown one is
 * kept rather than refused, and in events of transactions why they are told: such an event is never refused for a word.
 * Sampled values are decimal strings here, so that no digit is lost on the way.
 */
import type { CallError } from '../errors.ts';
import { isObject, type Notes, type Payload } from '../repairs/notes.ts';
import { bound, openSchemas } from '../validation.ts';

const name = { type: 'string', maxLength: 64 };
const int32 = { minimum: -(2 ** 31), maximum: 2 ** 31 - 1 };
const numbered = { minimum: 0, maximum: 65_535 };
const bounds = {
  evseId: numbered,
  connectorId: numbered,
  seqNo: { minimum: 0, maximum: Number.MAX_SAFE_INTEGER },
  multiplier: { minimum: -24, maximum: 24 },
  remoteStartId: int32,
  requestId: int32,
};

const schemas = openSchemas('ocpp2.0.1', 'ocpp2_0_1.json', (properties) => {
  bound(properties, bounds);
  const free = (...fields: string[]) => {
    for (const field of fields) if (field in properties) properties[field] = { ...name };
  };
  if ('value' in properties && 'measurand' in properties) free('value', 'measurand', 'context', 'phase', 'location');
  if ('id' in properties && 'connectorId' in properties) bound(properties, { id: numbered });
  if ('idToken' in properties && 'additionalInfo' in properties) free('type');
  if ('transactionId' in properties && 'stoppedReason' in properties) {
    free('chargingState', 'stoppedReason');
    properties['transactionId'] = { ...name, minLength: 1 };
  }
  free('triggerReason');
  // An entry without a value that can be read says when it was measured, and nothing else.
  for (const list of [properties['meterValue'], properties['sampledValue']])
    if (isObject(list)) delete list['minItems'];
});

export const { validator, requestCheck, isValidAnswer } = schemas;

const extrasMax = 32;

/** Like {@link requestCheck}, but fields that nobody knows are left out instead of refused (R08). */
export function lenientCheck(action: string): (payload: unknown, notes: Notes) => CallError | null {
  const check = requestCheck(action);
  return (payload, notes) => {
    let invalid = check(payload);
    for (let n = 0; invalid?.details?.rule === 'additionalProperties' && n < extrasMax; n++) {
      if (!removeAt(payload, invalid.details.path)) return invalid;
      notes.hit('R08');
      invalid = check(payload);
    }
    return invalid;
  };
}

/** Removes the field at a JSON pointer; false when it does not lead there. */
function removeAt(payload: unknown, path: string): boolean {
  const steps = path
    .split('/')
    .slice(1)
    .map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'));
  // The name of the field itself is no pointer: it stands as it came, slashes included.
  let holder = payload;
  while (steps.length > 1) {
    const inner: unknown = typeof holder === 'object' && holder !== null ? (holder as Payload)[steps[0]!] : undefined;
    if (typeof inner !== 'object' || inner === null) break;
    holder = inner;
    steps.shift();
  }
  const field = steps.join('/');
  if (!isObject(holder) || !Object.hasOwn(holder, field)) return false;
  delete holder[field];
  return true;
}
