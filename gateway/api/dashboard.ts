/** Serves the built dashboard; every address that is a page of it gets its index. */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fastifyStatic from '@fastify/static';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { refuse } from './errors.ts';
import { Refused } from './refused.ts';

/** `dist/dashboard` of the package this file belongs to, from source or built. */
export function builtDashboard(): string | null {
  let dir = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(dir, 'package.json'))) {
    const parent = dirname(dir);
    if (parent === dir) return null;
    dir = parent;
  }
  const built = join(dir, 'dist', 'dashboard');
  return existsSync(join(built, 'index.html')) ? built : null;
}

/** Reserved for the server: a typing error there must say so, not show a page. */
const serverPaths = /^\/(api|health|live|metrics)(\/|$)/;

const isPage = (request: FastifyRequest): boolean => {
  const path = request.url.split('?', 1)[0] as string;
  return (
    (request.method === 'GET' || request.method === 'HEAD') &&
    !serverPaths.test(path) &&
    !/\.\w+$/.test(path) &&
    (request.headers.accept ?? '*/*').includes('html')
  );
};

export async function serveDashboard(app: FastifyInstance, dir: string | null): Promise<void> {
  if (dir !== null) {
    await app.register(fastifyStatic, {
      root: dir,
      index: ['index.html'],
      dotfiles: 'deny',
      schemaHide: true,
      cacheControl: false,
      // Built files carry a hash in their name; the index names the current ones.
      setHeaders: (reply, path) => {
        reply.header(
          'cache-control',
          /-[\w-]{8,}\.\w+$/.test(path) ? 'public, max-age=31536000, immutable' : 'no-cache',
        );
      },
    });
  }
  app.setNotFoundHandler((request, reply) => {
    if (dir !== null && isPage(request)) return reply.header('cache-control', 'no-cache').sendFile('index.html');
    return refuse(reply, request, new Refused('not_found'));
  });
}
