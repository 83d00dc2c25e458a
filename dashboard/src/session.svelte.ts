/** Who is signed in. The page stays at its address meanwhile, so signing in returns to the page that was asked for. */
import type { Me } from '#gateway/schema/sign_in';
import { get, pathOf, post, type Answer, type Refused } from './api.ts';
import { live, serverClock, whenOffline } from './live/connection.svelte.ts';

export type SessionState =
  | { state: 'unknown' }
  /** Nobody could be asked; tried again by itself. */
  | { state: 'waiting'; refused: Refused }
  | { state: 'signed_out'; ended: boolean }
  | { state: 'signed_in'; me: Me };

const retryMs = 2_000;

class Session {
  #state: SessionState = $state.raw({ state: 'unknown' });

  get current(): SessionState {
    return this.#state;
  }
  get me(): Me | null {
    return this.#state.state === 'signed_in' ? this.#state.me : null;
  }

  /** Asks the server who this browser is. */
  async check(): Promise<void> {
    const answer = await get<Me>(pathOf(['me']));
    if (answer.ok) return this.#enter(answer.value);
    if (answer.code === 'signed_out') return this.ended();
    if (this.#state.state === 'signed_in') return;
    this.#state = { state: 'waiting', refused: answer };
    setTimeout(() => void this.check(), retryMs);
  }

  async signIn(email: string, password: string): Promise<Answer<Me>> {
    const answer = await post<Me>(pathOf(['sign-in']), { email, password });
    if (answer.ok) this.#enter(answer.value);
    return answer;
  }

  async signOut(): Promise<void> {
    live.disconnect();
    await post(pathOf(['sign-out']));
    this.#state = { state: 'signed_out', ended: false };
  }

  /** The server no longer knows this sign-in. */
  ended(): void {
    live.disconnect();
    this.#state = { state: 'signed_out', ended: this.#state.state === 'signed_in' };
  }

  #enter(me: Me): void {
    serverClock.heard(me.now);
    // The same person again: the pages that are open stay as they are.
    const whoOf = ({ user, roles, rights }: Me) => JSON.stringify([user, roles, rights]);
    const same = this.#state.state === 'signed_in' && whoOf(this.#state.me) === whoOf(me);
    if (!same) this.#state = { state: 'signed_in', me };
    // A line that is lost comes back at its own pace; asking who is signed in must not hurry it.
    if (live.status.state === 'idle' || live.status.state === 'ended') live.connect();
  }
}

export const session = new Session();
whenOffline(() => void session.check());
