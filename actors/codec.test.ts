import fc from 'fast-check';
import Type from 'typebox';
import { expect, test } from 'vitest';
import { canonicalJson, decodeImage, encodeImage } from './codec.ts';
import { domain } from './mod.ts';

const definition = {
  context: Type.Object({
    count: Type.Integer(),
    name: Type.String(),
    on: Type.Boolean(),
    tier: Type.Enum(['low', 'high']),
    limit: Type.Union([Type.Integer(), Type.Null()]),
    owner: Type.Union([Type.Null(), Type.Object({ kind: Type.String(), id: Type.String() })]),
    parts: Type.Array(Type.Object({ at: Type.Integer(), tags: Type.Array(Type.String()) })),
    answer: Type.Unknown(),
  }),
};
const context = {
  count: 3,
  name: 'a',
  on: true,
  tier: 'low',
  limit: null,
  owner: { kind: 'k', id: 'i' },
  parts: [{ at: 1, tags: ['x'] }],
  answer: { b: 1, a: [null] },
};

test('an image holds the state, then the fields in schema order, nested objects as arrays', () => {
  expect(encodeImage(definition, 'open', context)).toEqual([
    'open',
    3,
    'a',
    true,
    'low',
    null,
    ['k', 'i'],
    [[1, ['x']]],
    '{"a":[null],"b":1}',
  ]);
});

test('the order of keys in the live object does not matter', () => {
  const shuffled = Object.fromEntries(Object.entries(context).reverse());
  expect(encodeImage(definition, null, shuffled)).toEqual(encodeImage(definition, null, context));
});

test.each([
  ['undefined', { ...context, count: undefined }, '/count'],
  ['a missing field', (({ name, ...rest }) => rest)(context), '/name'],
  ['NaN', { ...context, count: NaN }, '/count'],
  ['minus zero', { ...context, count: -0 }, '/count'],
  ['a fraction', { ...context, limit: 0.5 }, '/limit'],
  ['an unsafe integer', { ...context, count: 2 ** 53 }, '/count'],
  ['an unknown key', { ...context, extra: 1 }, '/extra'],
  ['an unknown key inside', { ...context, owner: { kind: 'k', id: 'i', x: 1 } }, '/owner/x'],
  ['a wrong type', { ...context, on: 1 }, '/on'],
  ['a value outside the enumeration', { ...context, tier: 'middle' }, '/tier'],
  ['null where nothing may be null', { ...context, name: null }, '/name'],
  [
    'a fraction deep inside',
    {
      ...context,
      parts: [
        { at: 1, tags: [] },
        { at: 1.5, tags: [] },
      ],
    },
    '/parts/1/at',
  ],
  ['a fraction in a free answer', { ...context, answer: { deep: [0.1] } }, '/answer/deep/0'],
  ['undefined in a free answer', { ...context, answer: { a: undefined } }, '/answer/a'],
])('%s is refused with its path', (_what, broken, path) => {
  expect(() => encodeImage(definition, 'open', broken)).toThrow(expect.objectContaining({ name: 'ImageError', path }));
});

test.each([
  ['too short', ['open', 3]],
  ['a fraction', ['open', 3.5, 'a', true, 'low', null, null, [], 'null']],
  ['a state that is no name', [7, 3, 'a', true, 'low', null, null, [], 'null']],
  ['broken JSON', ['open', 3, 'a', true, 'low', null, null, [], '{']],
])('an image that is %s is refused', (_what, image) => {
  expect(() => decodeImage(definition, image)).toThrow(expect.objectContaining({ name: 'ImageError' }));
});

const integer = fc.oneof(fc.integer(), fc.maxSafeInteger()).map((n) => n + 0);
const arbitraryOf = (schema: {
  type?: string;
  anyOf?: never[];
  enum?: unknown[];
  items?: never;
  properties?: Record<string, never>;
}): fc.Arbitrary<unknown> => {
  if (schema.enum) return fc.constantFrom(...schema.enum);
  if (schema.anyOf) return fc.oneof(...(schema.anyOf as (typeof schema)[]).map(arbitraryOf));
  switch (schema.type) {
    case 'integer':
      return integer;
    case 'string':
      return fc.string();
    case 'boolean':
      return fc.boolean();
    case 'null':
      return fc.constant(null);
    case 'array':
      return fc.array(arbitraryOf(schema.items!), { maxLength: 4 });
    case 'object':
      return fc.record(
        Object.fromEntries(Object.entries(schema.properties!).map(([key, part]) => [key, arbitraryOf(part)])),
        { noNullPrototype: true },
      );
    default:
      return fc
        .jsonValue({ noUnicodeString: false })
        .map(
          (value) =>
            JSON.parse(
              JSON.stringify(value, (_k, v: unknown) =>
                typeof v === 'number' ? (Math.trunc(v) % 2 ** 50) + 0 || 0 : v,
              ),
            ) as unknown,
        );
  }
};

test.each([...domain.actors, ...domain.records].map((d) => [d.kind, d] as const))(
  'every state of %s survives its image',
  (_kind, { context }) => {
    fc.assert(
      fc.property(fc.constantFrom(null, 'open'), arbitraryOf(context as never), (value, state) => {
        const image = encodeImage({ context }, value, state);
        const restored = decodeImage({ context }, JSON.parse(JSON.stringify(image)) as unknown[]);
        expect(restored).toEqual({ value, context: state });
        expect(encodeImage({ context }, value, restored.context)).toEqual(image);
      }),
      { numRuns: 50 },
    );
  },
);

test('free JSON has one text, whatever the order of its keys', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.integer()), (object) => {
      const reversed = Object.fromEntries(Object.entries(object).reverse());
      expect(canonicalJson(reversed)).toBe(canonicalJson(object));
    }),
  );
});

test('an image of an older version holds the leading fields; its migrations fill in the others, step by step', () => {
  const older = { context: Type.Object({ count: Type.Integer() }) };
  const newest = {
    version: 3,
    context: Type.Object({ count: Type.Integer(), name: Type.String(), limit: Type.Integer() }),
    migrate: {
      1: (before: Record<string, unknown>) => ({ ...before, name: 'none' }),
      2: (before: Record<string, unknown>) => ({ ...before, limit: (before['count'] as number) * 2 }),
    },
  };
  const image = encodeImage(older, 'open', { count: 4 });
  expect(decodeImage(newest, image, 1)).toEqual({ value: 'open', context: { count: 4, name: 'none', limit: 8 } });
  expect(decodeImage(newest, ['open', 4, 'a'], 2).context).toEqual({ count: 4, name: 'a', limit: 8 });
  expect(decodeImage(newest, ['open', 4, 'a', 1], 3).context).toEqual({ count: 4, name: 'a', limit: 1 });
  expect(() => decodeImage(newest, image)).toThrow('an array of 3');
  expect(() => decodeImage({ ...newest, migrate: {} }, image, 1)).toThrow('a way from version 1 to 2');
});
