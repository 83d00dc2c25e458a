/** The OpenAPI document, made of the schemas; named shapes keep their names. */
import fastifySwagger from '@fastify/swagger';
import fastifySwaggerUi from '@fastify/swagger-ui';
import type { FastifyInstance } from 'fastify';
import * as shapes from '../schema/mod.ts';
import { cookieName } from '../auth/sign_ins.ts';

/** Registers all named shapes, and the document before the routes it is to collect. */
export async function describeApi(app: FastifyInstance): Promise<void> {
  for (const shape of Object.values(shapes) as { $id?: unknown }[]) {
    if (typeof shape === 'object' && typeof shape.$id === 'string') app.addSchema(shape);
  }
  await app.register(fastifySwagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'Gridtick', version: '1', description: 'Failures carry `ok: false` and a code, never status 200. Live state: WebSocket `/live`, shapes `Live…`.' },
      components: { securitySchemes: { signIn: { type: 'apiKey', in: 'cookie', name: cookieName } } },
    },
    refResolver: { buildLocalReference: (json, _base, _fragment, i) => (typeof json.$id === 'string' ? json.$id : `shape-${i}`) },
  });
  await app.register(fastifySwaggerUi, { routePrefix: '/api/docs', uiConfig: { deepLinking: true } });
}
