/**
 * Strict validation of OCPP 1.6, after the repairs. Names of sampled values are free text, because an unknown measurand is
 * kept rather than refused.
 */
import { isObject } from '../repairs/notes.ts';
import { bound, openSchemas } from '../validation.ts';

const safe = { minimum: Number.MIN_SAFE_INTEGER, maximum: Number.MAX_SAFE_INTEGER };
const bounds = {
  connectorId: { minimum: 0, maximum: 65_535 },
  transactionId: { minimum: -(2 ** 31), maximum: 2 ** 31 - 1 },
  meterStart: safe,
  meterStop: safe,
};
const freeNames = ['measurand', 'context', 'phase', 'location', 'unit'];
const nameLengthMax = 64;

export const { validator, requestCheck, isValidAnswer } = openSchemas('ocpp1.6', 'ocpp1_6.json', (properties) => {
  bound(properties, bounds);
  if (!('value' in properties && 'measurand' in properties)) return;
  for (const name of freeNames) {
    const property = properties[name];
    if (!isObject(property)) continue;
    delete property['enum'];
    property['maxLength'] = nameLengthMax;
  }
});
