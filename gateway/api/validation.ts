/** Requests are checked by their schemas as they are: nothing is removed, defaulted or coerced in a body. */
import type { FastifySchemaCompiler } from 'fastify';
import { Compile } from 'typebox/compile';
import type { TSchema } from 'typebox';

type Properties = Record<string, { type?: string }>;

/** Query and path arrive as text; where the schema says integer, exact decimal integers become numbers and nothing else does. */
function textToIntegers(properties: Properties, value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, text]) => [
      name,
      properties[name]?.type === 'integer' && typeof text === 'string' && /^-?\d{1,15}$/.test(text)
        ? Number(text)
        : text,
    ]),
  );
}

export const validatorCompiler: FastifySchemaCompiler<TSchema> = ({ schema, httpPart }) => {
  const validator = Compile(schema);
  const properties = (schema as { properties?: Properties }).properties ?? {};
  return (input: unknown) => {
    const value = httpPart === 'body' ? input : textToIntegers(properties, input);
    if (validator.Check(value)) return { value };
    return {
      error: validator.Errors(value).map(({ instancePath, keyword, message, params, schemaPath }) => ({
        instancePath,
        keyword,
        message,
        params: params,
        schemaPath,
      })),
    };
  };
};
