/** The typed Fastify instance that routes are written against, and what all of them may answer. */
import type { FastifyBaseLogger, FastifyInstance, RawServerDefault } from 'fastify';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import { Refusal } from '../schema/refusal.ts';
import { ref } from '../schema/ref.ts';

export type ApiScope = FastifyInstance<
  RawServerDefault,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  TypeBoxTypeProvider
>;

declare module 'fastify' {
  interface FastifyInstance {
    /** The log's clock, unix ms: what answers call `now`. */
    now(): number;
  }
}

export const failures = { '4xx': ref(Refusal), '5xx': ref(Refusal) };
