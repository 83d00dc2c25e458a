/**
 * Answers are written by their schemas, and nothing that a schema does not name leaves. Each schema is compiled once in a
 * process: most routes share their refusals, and compiling is the greater part of a start.
 */
import SerializerSelector, { type Serializer } from '@fastify/fast-json-stringify-compiler';

const build = SerializerSelector();
/** By the text of the schema; what it refers to has the same name and content in every app. */
const compiled = new Map<string, Serializer>();

export const buildSerializer: typeof build = (named, options) => {
  const compile = build(named, options);
  return (route) => {
    const key = JSON.stringify(route.schema);
    let serializer = compiled.get(key);
    if (serializer === undefined) {
      serializer = compile(route);
      compiled.set(key, serializer);
    }
    return serializer;
  };
};
