/** Signing in and the one who is signed in. */
import Type, { type Static } from 'typebox';
import { Actions } from './refusal.ts';
import { closed, now, ref, unixMs } from './ref.ts';

export const roles = ['operator', 'admin', 'customer'] as const;
export type Role = (typeof roles)[number];

export const SignInRequest = Type.Object(
  {
    email: Type.String({ minLength: 3, maxLength: 254 }),
    password: Type.String({ minLength: 1, maxLength: 1024 }),
  },
  { $id: 'SignInRequest', ...closed },
);
export type SignInRequest = Static<typeof SignInRequest>;

export const Me = Type.Object(
  {
    now,
    user: Type.String(),
    name: Type.String(),
    email: Type.String(),
    roles: Type.Array(Type.Enum([...roles])),
    rights: Type.Array(Type.String(), { description: 'e.g. view_station' }),
    signedInUntil: unixMs('when the sign-in lapses if it is not used until then'),
    actions: ref(Actions),
  },
  { $id: 'Me', ...closed },
);
export type Me = Static<typeof Me>;

export const SignOutReply = Type.Object({ ok: Type.Literal(true), now }, { $id: 'SignOutReply', ...closed });
export type SignOutReply = Static<typeof SignOutReply>;
