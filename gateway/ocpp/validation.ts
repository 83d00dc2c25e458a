/** Strict validation by the schemas that ocpp-rpc carries, after the repairs; the same for every version of OCPP. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createValidator } from 'ocpp-rpc';
import type { CallError, ErrorCode } from './errors.ts';
import { isObject } from './repairs/notes.ts';

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

export type Validator = ReturnType<typeof createValidator>;
export type Check = (payload: unknown) => CallError | null;

/** What a schema may say beyond OCPP: integers get the bounds that the domain can hold. */
export type Bounds = Readonly<Record<string, { minimum: number; maximum: number }>>;

export interface Schemas {
  /** The library's validator over the schemas; also given to its clients, for calls of ours. */
  validator: Validator;
  /** A precompiled check of the request of one action: null when it is valid. */
  requestCheck(action: string): Check;
  /** The same for answers; used where our own answers are tested. */
  isValidAnswer(action: string, payload: unknown): boolean;
}

/**
 * The schemas of one version, widened in memory by `widen`, which sees the properties of each object in them.
 * @param file name of the library's schema file, e.g. `ocpp1_6.json`
 */
export function openSchemas(
  subprotocol: string,
  file: string,
  widen: (properties: Record<string, unknown>) => void,
): Schemas {
  const path = createRequire(import.meta.url).resolve(`ocpp-rpc/lib/schemas/${file}`);
  const schemas = JSON.parse(readFileSync(path, 'utf8')) as Parameters<typeof createValidator>[1];
  eachProperties(schemas, widen);
  const validator = createValidator(subprotocol, schemas);
  const compiled = (id: string): Compiled => {
    const validate = validator._ajv.getSchema(id) as Compiled | undefined;
    if (!validate) throw new Error(`no schema '${id}'`);
    return validate;
  };
  return {
    validator,
    requestCheck: (action) => {
      const validate = compiled(`urn:${action}.req`);
      return (payload) => (validate(payload) ? null : callError(validate.errors?.[0], payload));
    },
    isValidAnswer: (action, payload) => compiled(`urn:${action}.conf`)(payload),
  };
}

function eachProperties(schema: unknown, visit: (properties: Record<string, unknown>) => void): void {
  if (Array.isArray(schema)) return schema.forEach((item) => eachProperties(item, visit));
  if (!isObject(schema)) return;
  if (isObject(schema['properties'])) visit(schema['properties']);
  for (const child of Object.values(schema)) eachProperties(child, visit);
}

/** Gives the integers among the properties their bounds. */
export function bound(properties: Record<string, unknown>, bounds: Bounds): void {
  for (const [name, property] of Object.entries(properties))
    if (isObject(property) && property['type'] === 'integer' && bounds[name]) Object.assign(property, bounds[name]);
}

/** Codes by what was violated. */
const codes: Record<string, ErrorCode> = {
  required: 'OccurrenceConstraintViolation',
  minItems: 'OccurrenceConstraintViolation',
  maxItems: 'OccurrenceConstraintViolation',
  additionalProperties: 'ProtocolError',
  type: 'TypeConstraintViolation',
};

function callError(issue: ValidationIssue | undefined, payload: unknown): CallError {
  if (!isObject(payload) || !issue)
    return {
      code: 'FormatViolation',
      description: 'the payload is not an object',
      details: { path: '', rule: 'type' },
    };
  const field = issue.params['missingProperty'] ?? issue.params['additionalProperty'];
  const path = (typeof field === 'string' ? `${issue.instancePath}/${field}` : issue.instancePath).slice(0, 128);
  return {
    code: codes[issue.keyword] ?? 'PropertyConstraintViolation',
    description: `${path} ${issue.message ?? 'is not valid'}`,
    details: { path, rule: issue.keyword },
  };
}
