/**
 * Strict validation of OCPP 1.6, after the repairs, by the schemas that ocpp-rpc carries.
 *
 * The schemas are widened in memory only: names of sampled values are free text, because an unknown measurand is kept
 * rather than refused, and integers get the bounds that the domain can hold.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createValidator } from 'ocpp-rpc';
import type { CallError, ErrorCode } from '../errors.ts';
import { isObject } from '../repairs/notes.ts';

interface ValidationIssue {
  keyword: string;
  instancePath: string;
  message?: string;
  params: Record<string, unknown>;
}
interface Compiled {
  (value: unknown): boolean;
  errors?: ValidationIssue[] | null;
}

const schemaPath = createRequire(import.meta.url).resolve('ocpp-rpc/lib/schemas/ocpp1_6.json');

const bounds: Record<string, { minimum: number; maximum: number }> = {
  connectorId: { minimum: 0, maximum: 65_535 },
  transactionId: { minimum: -(2 ** 31), maximum: 2 ** 31 - 1 },
  meterStart: { minimum: Number.MIN_SAFE_INTEGER, maximum: Number.MAX_SAFE_INTEGER },
  meterStop: { minimum: Number.MIN_SAFE_INTEGER, maximum: Number.MAX_SAFE_INTEGER },
};
const freeNames = ['measurand', 'context', 'phase', 'location', 'unit'];
const nameLengthMax = 64;

function widen(schema: unknown): void {
  if (Array.isArray(schema)) return schema.forEach(widen);
  if (!isObject(schema)) return;
  const properties = schema['properties'];
  if (isObject(properties)) {
    const sampled = 'value' in properties && 'measurand' in properties;
    for (const [name, property] of Object.entries(properties)) {
      if (!isObject(property)) continue;
      if (sampled && freeNames.includes(name)) {
        delete property['enum'];
        property['maxLength'] = nameLengthMax;
      }
      if (property['type'] === 'integer' && bounds[name]) Object.assign(property, bounds[name]);
    }
  }
  Object.values(schema).forEach(widen);
}

const schemas = JSON.parse(readFileSync(schemaPath, 'utf8')) as Parameters<typeof createValidator>[1];
widen(schemas);

/** The library's validator over the widened schemas; also given to its clients, for calls of ours. */
export const validator = createValidator('ocpp1.6', schemas);

const compiled = (id: string): Compiled => {
  const validate = validator._ajv.getSchema(id) as Compiled | undefined;
  if (!validate) throw new Error(`no schema '${id}'`);
  return validate;
};

/** A precompiled check of the request of one action: null when it is valid. */
export function requestCheck(action: string): (payload: unknown) => CallError | null {
  const validate = compiled(`urn:${action}.req`);
  return (payload) => (validate(payload) ? null : callError(validate.errors?.[0], payload));
}

/** The same for answers; used where our own answers are tested. */
export const isValidAnswer = (action: string, payload: unknown): boolean => compiled(`urn:${action}.conf`)(payload);

/** Codes by what was violated; the odd spelling is that of version 1.6. */
const codes: Record<string, ErrorCode> = {
  required: 'OccurenceConstraintViolation',
  minItems: 'OccurenceConstraintViolation',
  maxItems: 'OccurenceConstraintViolation',
  additionalProperties: 'ProtocolError',
  type: 'TypeConstraintViolation',
};

function callError(issue: ValidationIssue | undefined, payload: unknown): CallError {
  if (!isObject(payload) || !issue) {
    return {
      code: 'FormationViolation',
      description: 'the payload is not an object',
      details: { path: '', rule: 'type' },
    };
  }
  const field = issue.params['missingProperty'] ?? issue.params['additionalProperty'];
  const path = (typeof field === 'string' ? `${issue.instancePath}/${field}` : issue.instancePath).slice(0, 128);
  return {
    code: codes[issue.keyword] ?? 'PropertyConstraintViolation',
    description: `${path} ${issue.message ?? 'is not valid'}`,
    details: { path, rule: issue.keyword },
  };
}
