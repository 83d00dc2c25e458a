/**
 * Post-images: `[value, …context fields in schema order]`, nested objects likewise positional. Only what survives a
 * restart unchanged gets in: safe integers, strings, booleans, null, arrays and objects of these. Everything else is
 * refused with its path, because a live state and its restored copy must give the same bytes.
 *
 * One codec is compiled per schema and kept; it runs for every changed entity of every commit.
 */
import Type, { type TObject, type TSchema } from 'typebox';

export class ImageError extends Error {
  override readonly name = 'ImageError';
  readonly path: string;
  readonly problem: string;
  constructor(path: string, problem: string) {
    super(`${path === '' ? '/' : path}: ${problem}`);
    this.path = path;
    this.problem = problem;
  }
}

interface Codec {
  encode: (value: unknown) => unknown;
  decode: (image: unknown) => unknown;
}
interface JsonSchema {
  type?: string;
  anyOf?: JsonSchema[];
  enum?: unknown[];
  items?: JsonSchema;
  properties?: Record<string, JsonSchema>;
}

const show = (value: unknown): string =>
  Object.is(value, -0)
    ? '-0'
    : typeof value === 'string'
      ? `'${value.slice(0, 40)}'`
      : Array.isArray(value)
        ? 'an array'
        : typeof value === 'object' && value !== null
          ? 'an object'
          : String(value);
const refuse = (expected: string, value: unknown): never => {
  throw new ImageError('', `expected ${expected}, got ${show(value)}`);
};

/** Runs `step` and puts `segment` before the path of what it refuses. */
function within(segment: string | number, error: unknown): never {
  if (error instanceof ImageError) throw new ImageError(`/${segment}${error.path}`, error.problem);
  throw error;
}

const same = (check: (value: unknown) => unknown): Codec => ({ encode: check, decode: check });
const integer = same((value) =>
  Number.isSafeInteger(value) && (value !== 0 || 1 / (value as number) > 0) ? value : refuse('a safe integer', value),
);
const string = same((value) => (typeof value === 'string' ? value : refuse('a string', value)));
const boolean = same((value) => (typeof value === 'boolean' ? value : refuse('a boolean', value)));
const nothing = same((value) => (value === null ? null : refuse('null', value)));

const scalars: Readonly<Record<string, Codec>> = { integer, string, boolean, null: nothing };

/** Canonical text of free JSON, kept per object: answers are written again and again but never changed. */
const canonical = new WeakMap<object, string>();
const unknown: Codec = {
  encode(value) {
    const known = typeof value === 'object' && value !== null ? canonical.get(value) : undefined;
    if (known !== undefined) return known;
    const text = canonicalJson(value);
    if (typeof value === 'object' && value !== null) canonical.set(value, text);
    return text;
  },
  decode(image) {
    if (typeof image !== 'string') return refuse('JSON text', image);
    let value: unknown;
    try {
      value = JSON.parse(image);
    } catch {
      return refuse('JSON text', image);
    }
    canonicalJson(value);
    return value;
  },
};

/** JSON with sorted keys; refuses what JSON would change silently. */
export function canonicalJson(value: unknown): string {
  if (value === null || typeof value === 'boolean' || typeof value === 'string') return JSON.stringify(value);
  if (typeof value === 'number') return JSON.stringify(integer.encode(value));
  if (Array.isArray(value)) {
    return `[${value
      .map((item, i) => {
        try {
          return canonicalJson(item);
        } catch (error) {
          return within(i, error);
        }
      })
      .join(',')}]`;
  }
  if (typeof value !== 'object') return refuse('JSON', value);
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return refuse('a plain object', value);
  const object = value as Record<string, unknown>;
  return `{${Object.keys(object)
    .sort()
    .map((key) => {
      try {
        return `${JSON.stringify(key)}:${canonicalJson(object[key])}`;
      } catch (error) {
        return within(key, error);
      }
    })
    .join(',')}}`;
}

function compile(schema: JsonSchema): Codec {
  if (schema.enum) {
    const allowed = new Set(schema.enum);
    const expected = `one of ${[...allowed].join(', ')}`;
    return same((value) => (allowed.has(value) ? value : refuse(expected, value)));
  }
  if (schema.anyOf) return nullable(schema.anyOf);
  if (schema.type === 'array') return array(schema.items ?? {});
  if (schema.type === 'object' && schema.properties) return object(schema.properties);
  const simple = scalars[schema.type ?? ''];
  if (simple) return simple;
  if (Object.keys(schema).length === 0) return unknown;
  throw new Error(`no image for a schema of type '${schema.type ?? JSON.stringify(schema)}'`);
}

/** The only union a state knows: something or null. */
function nullable(parts: JsonSchema[]): Codec {
  const [part, ...others] = parts.filter((candidate) => candidate.type !== 'null');
  if (!part || others.length > 0 || parts.length !== 2) throw new Error('a state knows unions with null only');
  const codec = compile(part);
  return {
    encode: (value) => (value === null ? null : codec.encode(value)),
    decode: (image) => (image === null ? null : codec.decode(image)),
  };
}

function array(items: JsonSchema): Codec {
  const codec = compile(items);
  const each = (step: (value: unknown) => unknown) => (value: unknown) => {
    if (!Array.isArray(value)) return refuse('an array', value);
    const out = new Array<unknown>(value.length);
    let i = 0;
    try {
      for (; i < value.length; i++) out[i] = step(value[i]);
    } catch (error) {
      within(i, error);
    }
    return out;
  };
  return { encode: each(codec.encode), decode: each(codec.decode) };
}

function object(properties: Record<string, JsonSchema>): Codec {
  const keys = Object.keys(properties);
  const codecs = keys.map((key) => compile(properties[key]!));
  const count = keys.length;
  return {
    encode(value) {
      if (typeof value !== 'object' || value === null || Array.isArray(value)) return refuse('an object', value);
      const out = new Array<unknown>(count);
      let i = 0;
      try {
        for (; i < count; i++) out[i] = codecs[i]!.encode((value as Record<string, unknown>)[keys[i]!]);
      } catch (error) {
        within(keys[i]!, error);
      }
      // All fields were there, so any further key is one too many.
      let found = 0;
      for (const _ in value) found += 1;
      if (found !== count) {
        const extra = Object.keys(value).find((key) => !(key in properties));
        throw new ImageError(`/${extra ?? ''}`, 'unknown key');
      }
      return out;
    },
    decode(image) {
      if (!Array.isArray(image) || image.length !== count) return refuse(`an array of ${count}`, image);
      const out: Record<string, unknown> = {};
      let i = 0;
      try {
        for (; i < count; i++) out[keys[i]!] = codecs[i]!.decode(image[i]);
      } catch (error) {
        within(keys[i]!, error);
      }
      return out;
    },
  };
}

const compiled = new WeakMap<TSchema, Codec>();
function codecOf(schema: TSchema): Codec {
  let codec = compiled.get(schema);
  if (!codec) compiled.set(schema, (codec = compile(schema)));
  return codec;
}

/** `[value, …fields]`. Throws {@link ImageError}, which names the path, on anything that is not of the schema. */
export function encodeImage(definition: { context: TObject }, value: string | null, context: unknown): unknown[] {
  if (value !== null && typeof value !== 'string') refuse('a state name or null', value);
  const fields = codecOf(definition.context).encode(context) as unknown[];
  fields.unshift(value);
  return fields;
}

/** What decoding must know of a kind; versions matter for actors only. */
interface Versioned {
  context: TObject;
  version?: number;
  migrate?: Record<number, (context: Record<string, unknown>) => Record<string, unknown>>;
}

/**
 * Inverse of {@link encodeImage}. An image of an older `schema` holds the leading fields of this one, because fields are only
 * ever added at the end; `migrate` fills in the others. Throws {@link ImageError} on a wrong shape.
 * @default schema the definition's own version
 */
export function decodeImage(
  definition: Versioned,
  image: unknown[],
  schema?: number,
): { value: string | null; context: unknown } {
  if (!Array.isArray(image)) return refuse('an image', image);
  const value: unknown = image[0];
  if (value !== null && typeof value !== 'string') return refuse('a state name or null', value);
  const { context, version = 1, migrate } = definition;
  const fields = image.slice(1);
  if (schema === undefined || schema >= version) return { value, context: codecOf(context).decode(fields) };
  const older = leading(context, fields.length);
  let migrated = codecOf(older).decode(fields) as Record<string, unknown>;
  for (let v = schema; v < version; v++) {
    const step = migrate?.[v];
    if (!step) return refuse(`a way from version ${v} to ${v + 1}`, v);
    migrated = step(migrated);
  }
  return { value, context: migrated };
}

const leadings = new WeakMap<TObject, Map<number, TObject>>();
/** The schema of the first `count` fields. */
function leading(context: TObject, count: number): TObject {
  let byCount = leadings.get(context);
  if (!byCount) leadings.set(context, (byCount = new Map<number, TObject>()));
  let schema = byCount.get(count);
  if (!schema) {
    schema = Type.Object(Object.fromEntries(Object.entries(context.properties).slice(0, count)));
    byCount.set(count, schema);
  }
  return schema;
}
