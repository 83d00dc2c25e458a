/** From a cookie to the one who asks: the sign-in in Redis, the user in the projection, its roles. */
import type { UserState } from '#actors/schema/entities';
import type { RefusalCode } from '#actors/refusals';
import type { Role } from '../schema/sign_in.ts';
import { knownRoles } from './rights.ts';
import { cookieName, type SignIn, type SignIns } from './sign_ins.ts';

/** The projected entities a door looks up. */
export interface Directory {
  lookup<C>(kind: string, id: string): Promise<{ value: string | null; context: C } | undefined>;
  /** Whether the projection holds every partition; until then an absent entity means nothing. */
  complete(): Promise<boolean>;
}

export interface Principal {
  signIn: SignIn;
  user: string;
  name: string;
  email: string;
  roles: Role[];
}

export class Principals {
  readonly signIns: SignIns;
  readonly #directory: Directory;

  constructor(signIns: SignIns, directory: Directory) {
    this.signIns = signIns;
    this.#directory = directory;
  }

  async byCookie(id: string | undefined): Promise<Principal | RefusalCode> {
    if (id === undefined) return 'signed_out';
    return this.#of(await this.signIns.find(id));
  }

  /** For sockets, which outlive the request that opened them. */
  async byHash(hash: string): Promise<Principal | RefusalCode> {
    return this.#of(await this.signIns.touch(hash));
  }

  async #of(signIn: SignIn | undefined): Promise<Principal | RefusalCode> {
    if (signIn === undefined) return 'signed_out';
    const user = await this.#directory.lookup<UserState>('user', signIn.user);
    if (user === undefined) return (await this.#directory.complete()) ? 'signed_out' : 'starting';
    if (user.value !== 'active') return 'signed_out';
    const { name, email, roles } = user.context;
    return { signIn, user: signIn.user, name, email, roles: knownRoles(roles) };
  }
}

/** The sign-in id in a Cookie header, the same for requests and for upgrades. */
export function signInCookie(header: string | undefined): string | undefined {
  for (const part of header?.split(';') ?? []) {
    const [name, value] = part.trim().split('=', 2);
    if (name === cookieName) return value;
  }
  return undefined;
}
