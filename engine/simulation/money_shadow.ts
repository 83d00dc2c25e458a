/**
 * What customers must own after everything has come to rest, worked out from nothing but the commands that were
 * acknowledged: no state, no posting and no timer of the product is looked at.
 */
import type { HeldReply, OrderReply } from '#actors/schema/customer_commands';
import type { ReplyResult } from '../wire.ts';

export interface Given {
  customer: string;
  type: string;
  body: Record<string, unknown>;
}

type Fate = 'held' | 'cancelled' | 'committed' | 'stopped';
interface Order extends HeldReply {
  fate: Fate;
  deliveredWh: number;
}
interface Books {
  /** Paid in less paid out, 10⁻⁵ SEK. */
  cash: number;
  orders: Map<string, Order>;
}

export const openingWh = 50_000;

/** price × energy / 1,000, half to even; floats are exact here, all products are far below 2⁵³. */
function amountE5Sek(priceE5SekPerKwh: number, energyWh: number): number {
  const product = priceE5SekPerKwh * energyWh;
  const whole = Math.floor(product / 1_000);
  const rest = product - whole * 1_000;
  return rest > 500 || (rest === 500 && whole % 2 === 1) ? whole + 1 : whole;
}

export class Shadow {
  readonly problems: string[] = [];
  readonly #books = new Map<string, Books>();

  books(customer: string): Books {
    let books = this.#books.get(customer);
    if (!books) this.#books.set(customer, (books = { cash: 0, orders: new Map() }));
    return books;
  }

  /** The order in which commands are given does not matter here: nothing but what each was told. */
  acknowledged({ customer, type, body }: Given, result: ReplyResult): void {
    if (!result.ok) return;
    const books = this.books(customer);
    const amount = body['amountE5Sek'] as number;
    if (type === 'customer.deposit') books.cash += amount;
    else if (type === 'customer.withdraw') books.cash -= amount;
    else if (type === 'order.buy' || type === 'order.sell') {
      const held = result.value as HeldReply;
      if (books.orders.has(held.order)) this.problems.push(`${held.order} was made twice`);
      books.orders.set(held.order, { ...held, fate: 'held', deliveredWh: 0 });
      const due = amountE5Sek(held.priceE5SekPerKwh, held.energyWh);
      if (held.amountE5Sek !== due) this.problems.push(`${held.order} holds ${held.amountE5Sek}, ${due} is due`);
    }
  }

  /** To be called when all orders are known: what became of each. */
  decided({ customer, type }: Given, result: ReplyResult): void {
    const fates: Record<string, Fate> = {
      'order.commit': 'committed',
      'order.cancel': 'cancelled',
      'order.stop': 'stopped',
    };
    const fate = fates[type];
    if (!result.ok || fate === undefined) return;
    const reply = result.value as OrderReply;
    const order = this.books(customer).orders.get(reply.order);
    if (!order) {
      this.problems.push(`${type} was acknowledged for ${reply.order}, which nobody made`);
      return;
    }
    const allowed = fate === 'stopped' ? ['held', 'committed'] : ['held'];
    // A stop may be looked at before the commit it followed.
    if (fate === 'committed' && order.fate === 'stopped') return;
    if (!allowed.includes(order.fate)) this.problems.push(`${reply.order} was ${order.fate}, then ${fate}`);
    order.fate = fate;
    if (fate !== 'stopped') return;
    order.deliveredWh = reply.deliveredWh;
    const due = amountE5Sek(order.priceE5SekPerKwh, reply.deliveredWh);
    if (reply.settledE5Sek !== due)
      this.problems.push(`${reply.order} settled ${reply.settledE5Sek} for ${reply.deliveredWh} Wh, ${due} is due`);
  }

  /**
   * Money and energy of a customer, what is held included. Every committed order has run to its end, unless it is `open`: by
   * its id, what has been posted of it.
   */
  owned(customer: string, open: ReadonlyMap<string, number> = new Map()): { e5Sek: number; wh: number } {
    const { cash, orders } = this.books(customer);
    const owned = { e5Sek: cash, wh: openingWh };
    for (const order of orders.values()) {
      const { fate, side, priceE5SekPerKwh, energyWh } = order;
      const ran = open.get(order.order) ?? energyWh;
      const delivered = fate === 'committed' ? ran : fate === 'stopped' ? order.deliveredWh : 0;
      const direction = side === 'buy' ? 1 : -1;
      owned.wh += direction * delivered;
      owned.e5Sek -= direction * amountE5Sek(priceE5SekPerKwh, delivered);
    }
    return owned;
  }

  get fates(): Record<Fate, number> {
    const fates = { held: 0, cancelled: 0, committed: 0, stopped: 0 };
    for (const { orders } of this.#books.values()) for (const { fate } of orders.values()) fates[fate] += 1;
    return fates;
  }
}
