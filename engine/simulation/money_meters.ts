/**
 * What charging must have cost, worked out from the chargers' own meters and the prices that were published: no session,
 * no posting and no price record of the product is looked at.
 */
import type { Ledger, Price } from '#actors/schema/events';
import type { Drawn, Reading } from './money_plugs.ts';

const slotMs = 12_000;

/** What the postings of one transaction come to. */
interface Billed {
  /** Delivered to customers, Wh. */
  deliveredWh: number;
  unassignedWh: number;
  /** Taken out of the stations' inventories, Wh. */
  takenWh: number;
  e5Sek: number;
  batches: number;
  customers: Set<string>;
}

export class Meters {
  readonly #site: string;
  readonly #prices = new Map<string, Price[]>();
  readonly #billed = new Map<string, Billed>();
  /** Paid by each customer for charging, 10⁻⁵ SEK. */
  readonly paidE5Sek = new Map<string, number>();

  constructor(site: string) {
    this.#site = site;
  }

  price(price: Price) {
    const known = this.#prices.get(price.station);
    if (known) known.push(price);
    else this.#prices.set(price.station, [price]);
  }

  posted({ customer, kind, cause, legs }: Ledger) {
    if (kind !== 'metered') return;
    const billed = this.#of(cause);
    const sum = (ledger: string, matches: (account: string) => boolean) =>
      legs.reduce((total, leg) => (leg.ledger === ledger && matches(leg.account) ? total + leg.amount : total), 0);
    billed.deliveredWh += sum('Wh', (account) => account === 'delivered');
    billed.unassignedWh += sum('Wh', (account) => account.endsWith(':unassigned'));
    billed.takenWh -= sum('Wh', (account) => account.endsWith(':inventory'));
    if (customer === null) return;
    const paid = 0 - sum('SEK', (account) => account.startsWith(`customer:${customer}:`));
    billed.e5Sek += paid;
    billed.batches += 1;
    billed.customers.add(customer);
    this.paidE5Sek.set(customer, (this.paidE5Sek.get(customer) ?? 0) + paid);
  }

  #of(cause: string): Billed {
    let billed = this.#billed.get(cause);
    if (!billed) {
      billed = { deliveredWh: 0, unassignedWh: 0, takenWh: 0, e5Sek: 0, batches: 0, customers: new Set() };
      this.#billed.set(cause, billed);
    }
    return billed;
  }

  /** A slot that was not produced costs what the last one before it did. */
  #priceAt(station: string, at: number): number {
    const slot = Math.floor(at / slotMs);
    const price = this.#prices.get(station)?.findLast((known) => known.slot <= slot);
    if (!price) throw new Error(`${station} had no price at ${at}`);
    return price.priceE5SekPerKwh;
  }

  /** What was posted for a session beyond what is due; below zero: what is missing. Money beyond the rounding of its bills. */
  beyondDue({ transaction, station, customer, readings }: Drawn): { wh: number; e5Sek: number } {
    const { deliveredWh, unassignedWh, e5Sek, batches } = this.#of(`${this.#site}/${transaction}`);
    const wh = deliveredWh + unassignedWh - energyOf(readings);
    if (customer === null) return { wh, e5Sek };
    const beyond = e5Sek - this.#exactE3E5Sek(station, readings) / 1_000;
    // Every bill is rounded once; a single Wh at another price would be far more.
    return { wh, e5Sek: Math.abs(beyond) <= batches / 2 ? 0 : beyond };
  }

  /** Price × energy, undivided. */
  #exactE3E5Sek(station: string, readings: readonly Reading[]): number {
    const sorted = inTime(readings);
    return sorted
      .slice(1)
      .reduce(
        (sum, { registerWh }, i) => sum + (registerWh - sorted[i]!.registerWh) * this.#priceAt(station, sorted[i]!.at),
        0,
      );
  }

  /** Each Wh is posted once, to who owns it, at the price in force at the earlier of the two readings around it. */
  check(drawn: Drawn, problem: (text: string) => void) {
    const { transaction, customer, readings, end } = drawn;
    const { deliveredWh, unassignedWh, takenWh, e5Sek, batches, customers } = this.#of(`${this.#site}/${transaction}`);
    const drawnWh = energyOf(readings);
    const name = `session ${transaction} (${customer}, ${end})`;
    const due = customer === null ? { delivered: 0, unassigned: drawnWh } : { delivered: drawnWh, unassigned: 0 };
    if (deliveredWh !== due.delivered || unassignedWh !== due.unassigned || takenWh !== drawnWh)
      problem(
        `${name} drew ${drawnWh} Wh; posted: ${deliveredWh} delivered, ${unassignedWh} unassigned, ${takenWh} taken`,
      );
    if (customer === null) {
      if (batches > 0) problem(`${name} was billed to ${[...customers].join()}`);
      return;
    }
    if ([...customers].some((payer) => payer !== customer)) problem(`${name} was billed to ${[...customers].join()}`);
    const { e5Sek: beyond } = this.beyondDue(drawn);
    if (beyond !== 0) problem(`${name} cost ${e5Sek} in ${batches} bills, ${beyond} beyond what is due`);
  }
}

const inTime = (readings: readonly Reading[]) => [...readings].sort((a, b) => a.at - b.at);
function energyOf(readings: readonly Reading[]): number {
  const sorted = inTime(readings);
  return sorted.at(-1)!.registerWh - sorted[0]!.registerWh;
}
