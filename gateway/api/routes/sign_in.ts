/** POST /api/sign-in, POST /api/sign-out, GET /api/me. */
import { nameId } from '#actors/mod';
import type { NameState, UserState } from '#actors/schema/entities';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Lockout } from '../../auth/lockout.ts';
import { verifyPassword } from '../../auth/password.ts';
import { signInCookie, type Directory, type Principal } from '../../auth/principal.ts';
import { rightsOf, knownRoles } from '../../auth/rights.ts';
import { cookieName, type SignIns } from '../../auth/sign_ins.ts';
import { ref } from '../../schema/ref.ts';
import { Me, SignInRequest, SignOutReply } from '../../schema/sign_in.ts';
import { principalOf } from '../access.ts';
import type { Accounts } from '../accounts.ts';
import type { Presence } from '../presence.ts';
import { Refused } from '../refused.ts';
import { failures, type ApiScope } from '../scope.ts';

export interface SignInDeps {
  accounts: Pick<Accounts, 'open'>;
  presence: Pick<Presence, 'seen'>;
  signIns: SignIns;
  directory: Directory;
  lockout: Lockout;
}

const meOf = ({ signIn, user, name, email, roles }: Principal, now: number): Me => ({
  now,
  user,
  name,
  email,
  roles,
  rights: rightsOf(roles),
  signedInUntil: signIn.until,
  actions: { signOut: true },
});

const cookieOptions = (request: FastifyRequest) =>
  ({ path: '/', httpOnly: true, sameSite: 'strict', secure: request.protocol === 'https' }) as const;

/** A session cookie: how long the sign-in lasts is Redis' business. */
const setSignIn = (reply: FastifyReply, request: FastifyRequest, id: string) =>
  reply.setCookie(cookieName, id, cookieOptions(request));

export function signInRoutes(app: ApiScope, deps: SignInDeps): void {
  const { signIns, directory, lockout, accounts, presence } = deps;

  /** An active user whose e-mail is confirmed to be its own; null otherwise. */
  async function userOf(email: string): Promise<{ id: string; context: UserState } | null> {
    const name = await directory.lookup<NameState>('name', nameId('email', email));
    if (name?.value !== 'confirmed' || name.context.owner.kind !== 'user') return null;
    const { id } = name.context.owner;
    const user = await directory.lookup<UserState>('user', id);
    return user?.value === 'active' ? { id, context: user.context } : null;
  }

  app.post(
    '/api/sign-in',
    {
      config: { access: 'none', rateLimit: { max: 120, timeWindow: 60_000 } },
      schema: {
        tags: ['sign-in'],
        summary: 'Sign in; sets the cookie',
        body: SignInRequest,
        response: { 200: ref(Me), ...failures },
      },
    },
    async (request, reply) => {
      if (!(await directory.complete())) throw new Refused('starting');
      const email = request.body.email.trim().toLowerCase();
      const retryAfterMs = await lockout.attempt(email, request.ip);
      if (retryAfterMs > 0) throw new Refused('locked_out', { retryAfterMs });
      const user = await userOf(email);
      // One neutral answer, as slow for unknown users as for known ones.
      if (!(await verifyPassword(request.body.password, user?.context.passwordHash ?? null)) || user === null) {
        throw new Refused('wrong_password');
      }
      await lockout.succeeded(email, request.ip);
      const former = await signIns.find(signInCookie(request.headers.cookie) ?? '');
      if (former !== undefined) await signIns.end(former.hash);
      const { id, signIn } = await signIns.open(user.id);
      setSignIn(reply, request, id);
      const { name, roles, email: known } = user.context;
      const principal = { signIn, user: user.id, name, email: known, roles: knownRoles(roles) };
      try {
        await accounts.open(principal);
      } catch (error) {
        // Whoever has no account yet may come in all the same: the first use of the account opens it.
        request.log.warn({ event: 'account_unopened', customer: user.id, err: error }, 'account could not be opened');
      }
      presence.seen(principal);
      return meOf(principal, app.now());
    },
  );

  app.post(
    '/api/sign-out',
    {
      config: { whileStarting: true },
      schema: {
        tags: ['sign-in'],
        summary: 'End this sign-in and its live sockets',
        response: { 200: ref(SignOutReply), ...failures },
      },
    },
    async (request, reply) => {
      await signIns.end(principalOf(request).signIn.hash);
      reply.clearCookie(cookieName, cookieOptions(request));
      return { ok: true as const, now: app.now() };
    },
  );

  app.get(
    '/api/me',
    {
      schema: {
        tags: ['sign-in'],
        summary: 'Who is signed in, and what they may do',
        response: { 200: ref(Me), ...failures },
      },
    },
    async (request) => meOf(principalOf(request), app.now()),
  );
}
