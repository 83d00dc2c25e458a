/** Which customers have their battery sampled, and which board knows a station. Derived, as all of the index. */
import type { Stored } from './actor.ts';
import type { BoardState, CustomerState } from './schema/customer_entities.ts';

/** Customers by the time until which they are sampled; those with energy moving have no end. */
export class SampledCustomers {
  readonly #until = new Map<string, number>();
  #sorted: string[] | null = null;
  /** One who was sampled when last asked. */
  #witness = '';

  /** Whether anybody is. Says the same after a recovery, when those who left long ago are told of again. */
  any(now: number): boolean {
    if ((this.#until.get(this.#witness) ?? -1) >= now) return true;
    for (const [id, until] of this.#until) {
      if (until >= now) {
        this.#witness = id;
        return true;
      }
      this.#forget(id);
    }
    return false;
  }

  changed(id: string, after: Stored<CustomerState> | undefined) {
    const until = after ? sampledUntil(after.context) : 0;
    const before = this.#until.get(id) ?? 0;
    if (until === before) return;
    if (until === 0) this.#until.delete(id);
    else this.#until.set(id, until);
    if (until === 0 || before === 0) this.#sorted = null;
  }

  /** In byte order. Who has left is forgotten: log time never goes back, and a change of state brings them back. */
  at(now: number): readonly string[] {
    for (const [id, until] of this.#until) if (until < now) this.#forget(id);
    return (this.#sorted ??= [...this.#until.keys()].sort());
  }

  #forget(id: string) {
    this.#until.delete(id);
    this.#sorted = null;
  }
}

const sampledUntil = ({ presentUntil, orders, sessions }: CustomerState): number =>
  sessions.length > 0 || orders.some(({ powerW }) => powerW !== null) ? Number.MAX_SAFE_INTEGER : presentUntil;

export class Boards {
  readonly #of = new Map<string, string>();

  changed(id: string, before: Stored<BoardState> | undefined, after: Stored<BoardState> | undefined) {
    const known = before?.context.prices;
    const now = after?.context.prices ?? [];
    // Stations are only ever added to a board.
    if (known?.length === now.length) return;
    for (const { station } of now) {
      const other = this.#of.get(station);
      if (other === undefined || Number(id) < Number(other)) this.#of.set(station, id);
    }
  }
  of(station: string): string | undefined {
    return this.#of.get(station);
  }
}
