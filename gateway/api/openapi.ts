/** The OpenAPI document, made of the schemas; named shapes keep their names. */
import fastifySwagger from '@fastify/swagger';
import fastifySwaggerUi from '@fastify/swagger-ui';
import type { FastifyInstance } from 'fastify';
import * as shapes from '../schema/mod.ts';
import { cookieName } from '../auth/sign_ins.ts';

/** Registers all named shapes, and the document before the routes it is to collect. */
export async function describeApi(app: FastifyInstance): Promise<void> {
  const named = Object.values(shapes).filter(
    (shape): shape is typeof shape & { $id: string } =>
      typeof shape === 'object' && '$id' in shape && typeof shape.$id === 'string',
  );
  // In one order, whoever loads the module.
  for (const shape of named.sort((a, b) => (a.$id < b.$id ? -1 : 1))) app.addSchema(shape);
  await app.register(fastifySwagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Gridtick',
        version: '1',
        description:
          'Failures carry `ok: false` and a code, never status 200. Live state: WebSocket `/live`, shapes `Live…`.',
      },
      components: { securitySchemes: { signIn: { type: 'apiKey', in: 'cookie', name: cookieName } } },
    },
    refResolver: {
      buildLocalReference: (json, _base, _fragment, i) => (typeof json.$id === 'string' ? json.$id : `shape-${i}`),
    },
  });
  await app.register(fastifySwaggerUi, { routePrefix: '/api/docs', uiConfig: { deepLinking: true } });
}
