import type { Engine, EngineSession } from './engine.ts';
import { exception } from './exception.ts';

interface Held {
  session: EngineSession;
  busy: boolean;
  timer: NodeJS.Timeout | undefined;
}

/** Sessions that clients keep by `session_id`: SET and temporary tables last from request to request, one at a time. */
export class HeldSessions {
  static readonly max = 64;
  readonly #engine: Engine;
  readonly #held = new Map<string, Held>();

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /** @throws SESSION_IS_LOCKED while another request uses it */
  take(id: string): { session: EngineSession; fresh: boolean } {
    let held = this.#held.get(id);
    const fresh = !held;
    if (held?.busy) throw exception('SESSION_IS_LOCKED', `Session ${id} is locked by a concurrent client`);
    if (!held) {
      if (this.#held.size >= HeldSessions.max) {
        throw exception('TOO_MANY_SIMULTANEOUS_QUERIES', `More than ${HeldSessions.max} sessions are kept`);
      }
      held = { session: this.#engine.session(), busy: false, timer: undefined };
      this.#held.set(id, held);
    }
    clearTimeout(held.timer);
    held.busy = true;
    return { session: held.session, fresh };
  }

  giveBack(id: string, timeoutMs: number): void {
    const held = this.#held.get(id);
    if (!held) return;
    held.busy = false;
    held.timer = setTimeout(() => {
      this.#held.delete(id);
      held.session.close();
    }, timeoutMs).unref();
  }

  close(): void {
    for (const { session, timer } of this.#held.values()) {
      clearTimeout(timer);
      session.close();
    }
    this.#held.clear();
  }
}
