/** References between schemas by `$id`, so that every named shape stands once in the OpenAPI file. */
import Type, { type Static, type TSchema } from 'typebox';

/** `{ $ref: <$id> }` that keeps the static type; the schema must be registered with the app. */
export function ref<S extends TSchema>(schema: S) {
  const { $id } = schema as { $id?: string };
  if ($id === undefined) throw new Error('only a schema with an $id can be referred to');
  return Type.Unsafe<Static<S>>({ $ref: `${$id}#` });
}

export const nullable = <S extends TSchema>(schema: S) => Type.Union([schema, Type.Null()]);
export const unixMs = (description: string) => Type.Integer({ description: `${description}; unix ms, UTC` });
/** Up to the year 2286, which every store can hold. */
export const instant = (description: string) =>
  Type.Integer({ minimum: 0, maximum: 9_999_999_999_999, description: `${description}; unix ms, UTC` });
/** The server's clock when the answer or frame was made: the client derives its offset from it. */
export const now = unixMs("the server's clock");
/** Ids travel in paths, topics and keys; printable, without control characters. */
export const idPattern = '^[^\\u0000-\\u001f\\u007f]{1,128}$';
export const entityId = (description: string) => Type.String({ pattern: idPattern, description });
export const closed = { additionalProperties: false } as const;
