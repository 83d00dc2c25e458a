/**
 * Tells the log which customers are there: the battery of somebody who is signed in is sampled every 5 s. Called on every
 * use of a sign-in and for every open live socket; sends one command per customer and minute.
 */
import type { FastifyBaseLogger } from 'fastify';
import { customerAddress } from '#actors/addresses';
import type { DoorCommand } from '#engine/log/mod';
import type { Principal } from '../auth/principal.ts';

export interface PresenceDeps {
  door: { append(command: DoorCommand): Promise<void> };
  /** Whether the customer has an account; without one there is no battery. */
  hasAccount(customer: string): boolean;
  log: FastifyBaseLogger;
  /** Unix ms. */
  clock?: () => number;
}

export const presentEveryMs = 60_000;
/** Two refreshes may be missed, e.g. while a gateway is started again. */
export const presentForMs = 150_000;
const rememberedMax = 100_000;

export class Presence {
  readonly #deps: Required<PresenceDeps>;
  /** By customer: when it was told last, oldest first. */
  readonly #toldAt = new Map<string, number>();

  constructor(deps: PresenceDeps) {
    this.#deps = { clock: Date.now, ...deps };
  }

  /** Somebody uses a sign-in or keeps a socket open. Costs a look-up, and a command at most every 60 s. Never throws. */
  seen({ user, roles }: Pick<Principal, 'user' | 'roles'>): void {
    const { door, hasAccount, log, clock } = this.#deps;
    const now = clock();
    if (now - (this.#toldAt.get(user) ?? -Infinity) < presentEveryMs) return;
    if (!roles.includes('customer') || !hasAccount(user)) return;
    this.#toldAt.delete(user);
    this.#toldAt.set(user, now);
    if (this.#toldAt.size > rememberedMax) this.#toldAt.delete(this.#toldAt.keys().next().value as string);
    // Without an id: it needs no outcome, and must not take the room of commands that do.
    const body = { until: now + presentForMs };
    door.append({ id: null, to: customerAddress(user), type: 'customer.present', body }).catch((error: unknown) => {
      this.#toldAt.delete(user);
      log.warn({ event: 'presence_untold', customer: user, err: error }, 'presence could not be told');
    });
  }
}
