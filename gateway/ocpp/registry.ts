/** The connections of this gateway: one granted per charger, the newest wins; those without a grant evict nobody. */
import type { Connection } from './connection.ts';

/** Close code for a socket whose charger has a newer one. */
export const superseded = 4001;

export class Registry {
  /** All open sockets by connection id. */
  readonly #open = new Map<string, Connection>();
  readonly #granted = new Map<string, Connection>();

  get size(): number {
    return this.#open.size;
  }

  /** Chargers that are served. */
  get chargers(): number {
    return this.#granted.size;
  }

  all(): IterableIterator<Connection> {
    return this.#open.values();
  }

  find(connection: string): Connection | undefined {
    return this.#open.get(connection);
  }

  add(connection: Connection): void {
    this.#open.set(connection.id, connection);
  }

  /** Grants may arrive in any order: the highest number stays, the other socket is closed. */
  granted(connection: Connection): void {
    const { charger } = connection.served;
    const other = this.#granted.get(charger);
    if (other && other.connectionSeq > connection.connectionSeq) return connection.close(superseded, 'superseded');
    this.#granted.set(charger, connection);
    if (other && other !== connection) other.close(superseded, 'superseded');
  }

  /** Forgets this very connection; a newer one of the same charger stays. */
  remove(connection: Connection): void {
    this.#open.delete(connection.id);
    if (this.#granted.get(connection.served.charger) === connection) this.#granted.delete(connection.served.charger);
  }
}
