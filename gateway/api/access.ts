/** What every API route asks before its handler runs: origin, readiness, sign-in, right. */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { originAllowed } from '../auth/origin.ts';
import { signInCookie, type Principal, type Principals } from '../auth/principal.ts';
import { may, type Right } from '../auth/rights.ts';
import type { Grid } from '../live/grid.ts';
import type { Presence } from './presence.ts';
import { Refused } from './refused.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** `none`: open to all; else who is signed in, with that right if one is named. @default 'signed_in' */
    access?: 'none' | 'signed_in' | Right;
    /** Answers while live state is still being loaded. @default false */
    whileStarting?: boolean;
  }
  interface FastifyRequest {
    principal: Principal | null;
  }
}

export interface AccessDeps {
  principals: Principals;
  grid: Grid;
  presence: Pick<Presence, 'seen'>;
  allowedOrigins: readonly string[];
}

export function guard(app: FastifyInstance, { principals, grid, presence, allowedOrigins }: AccessDeps): void {
  app.decorateRequest('principal', null);
  // After the rate limit, which counts in onRequest, and before the body is read.
  app.addHook('preParsing', async (request) => {
    const { access = 'signed_in', whileStarting = false } = request.routeOptions.config;
    const reads = request.method === 'GET' || request.method === 'HEAD';
    if (!reads && !originAllowed(request.headers.origin, request.headers.host, allowedOrigins))
      throw new Refused('bad_origin');
    if (!whileStarting && !grid.ready) throw new Refused('starting');
    if (access === 'none') return;
    const found = await principals.byCookie(signInCookie(request.headers.cookie));
    if (typeof found === 'string') throw new Refused(found);
    if (access !== 'signed_in' && !may(found.roles, access)) throw new Refused('role_missing', { right: access });
    request.principal = found;
    presence.seen(found);
  });
}

/** The one who asks, on routes that are not open to all. */
export function principalOf(request: FastifyRequest): Principal {
  if (request.principal === null) throw new Error(`${request.routeOptions.url ?? request.url} is open to all`);
  return request.principal;
}
