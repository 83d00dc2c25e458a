/** The rules of the sixteen commands once more, as plainly as they can be put: what readers and generators are held against. */
import type { ScriptCommand } from './script.ts';
import type { PendingRule, ScriptOutcome } from './outcomes.ts';

interface Held {
  symbol: string;
  amount: number;
  units: number;
  price: number;
}

interface Person {
  money: number;
  units: Map<string, number>;
  buys: Held[];
  sells: Held[];
  buySets: Map<string, number>;
  /** The amount, and the units that an armed trigger holds. */
  sellSets: Map<string, { amount: number; reserved: number }>;
}

export interface BookRules {
  rule: PendingRule;
  /** 10⁻⁵ SEK of a share at that line. */
  price(symbol: string, line: number): number;
  /** A sell trigger holds what the amount is worth at 0.01 SEK a unit, whatever its price. */
  isByValue: boolean;
}

/** Without expiry and without triggers that fire. */
export class PlainBook {
  readonly #rules: BookRules;
  readonly #people = new Map<string, Person>();
  readonly #ok: Record<string, number> = {};
  readonly #errors: Record<string, number> = {};
  readonly failed: ScriptCommand[] = [];
  /** All that was paid in, 10⁻⁵ SEK. */
  paidIn = 0;

  constructor(rules: BookRules) {
    this.#rules = rules;
  }

  apply(command: ScriptCommand): void {
    const isOk = this.#isDone(command);
    const counts = isOk ? this.#ok : this.#errors;
    counts[command.command] = (counts[command.command] ?? 0) + 1;
    if (!isOk) this.failed.push(command);
  }

  #isDone({ command, user, symbol: sym, amountE5Sek, line }: ScriptCommand): boolean {
    const symbol = sym ?? '';
    const amount = amountE5Sek ?? 0;
    if (command === 'ADD' && user !== null && !this.#people.has(user)) this.#people.set(user, newPerson());
    if (['QUOTE', 'DISPLAY_SUMMARY', 'DUMPLOG'].includes(command)) return true;
    const person = this.#people.get(user ?? '');
    if (person === undefined) return false;
    const price = this.#rules.price(symbol, line);
    const units = Math.floor(amount / price);
    const owned = person.units.get(symbol) ?? 0;
    const own = (of: string, more: number) => person.units.set(of, (person.units.get(of) ?? 0) + more);
    const isSlot = this.#rules.rule === 'slot';
    const buySet = person.buySets.get(symbol);
    const sellSet = person.sellSets.get(symbol);
    switch (command) {
      case 'ADD':
        if (person.money + amount < 0) return false;
        person.money += amount;
        this.paidIn += amount;
        return true;
      case 'BUY':
        if (person.money < amount || units < 1) return false;
        if (isSlot) for (const { amount: back } of person.buys.splice(0)) person.money += back;
        person.money -= amount;
        person.buys.push({ symbol, amount, units, price });
        return true;
      case 'COMMIT_BUY': {
        const held = person.buys.pop();
        if (held === undefined) return false;
        person.money += held.amount - held.units * held.price;
        own(held.symbol, held.units);
        return true;
      }
      case 'CANCEL_BUY': {
        const held = person.buys.pop();
        person.money += held?.amount ?? 0;
        return held !== undefined;
      }
      case 'SELL':
        if (owned < units || units < 1) return false;
        if (isSlot) for (const held of person.sells.splice(0)) own(held.symbol, held.units);
        own(symbol, -units);
        person.sells.push({ symbol, amount, units, price });
        return true;
      case 'COMMIT_SELL': {
        const held = person.sells.pop();
        person.money += held ? held.units * held.price : 0;
        return held !== undefined;
      }
      case 'CANCEL_SELL': {
        const held = person.sells.pop();
        if (held) own(held.symbol, held.units);
        return held !== undefined;
      }
      case 'SET_BUY_AMOUNT':
        if (person.money + (buySet ?? 0) < amount) return false;
        person.money += (buySet ?? 0) - amount;
        person.buySets.set(symbol, amount);
        return true;
      case 'SET_BUY_TRIGGER':
        return buySet !== undefined;
      case 'CANCEL_SET_BUY':
        person.money += buySet ?? 0;
        return person.buySets.delete(symbol);
      case 'SET_SELL_AMOUNT':
        if (owned + (sellSet?.reserved ?? 0) < units) return false;
        own(symbol, sellSet?.reserved ?? 0);
        person.sellSets.set(symbol, { amount, reserved: 0 });
        return true;
      case 'SET_SELL_TRIGGER': {
        if (sellSet === undefined) return false;
        const reserved = Math.floor(sellSet.amount / (this.#rules.isByValue ? 1_000 : amount));
        if (owned + sellSet.reserved < reserved || reserved < 1) return false;
        own(symbol, sellSet.reserved - reserved);
        sellSet.reserved = reserved;
        return true;
      }
      case 'CANCEL_SET_SELL':
        own(symbol, sellSet?.reserved ?? 0);
        return person.sellSets.delete(symbol);
      default:
        throw new Error(`no rule for ${command}`);
    }
  }

  /** With units of 0.01 SEK. */
  outcome(): ScriptOutcome {
    const people = [...this.#people.values()];
    const sum = <Of>(of: (person: Person) => Iterable<Of>, figure: (one: Of) => number) =>
      people.reduce((total, person) => [...of(person)].reduce((all, one) => all + figure(one), total), 0);
    const cashCents =
      sum(
        (p) => [p.money],
        (money) => money,
      ) / 1_000;
    const stockCents = sum(
      (p) => p.units.values(),
      (units) => units,
    );
    const pendingBuyCents =
      sum(
        (p) => p.buys,
        ({ amount }) => amount,
      ) / 1_000;
    const pendingSellCents = sum(
      (p) => p.sells,
      ({ units }) => units,
    );
    const reservedBuyCents =
      sum(
        (p) => p.buySets.values(),
        (amount) => amount,
      ) / 1_000;
    const reservedSellCents = sum(
      (p) => p.sellSets.values(),
      ({ reserved }) => reserved,
    );
    const count = (counts: Record<string, number>) => Object.values(counts).reduce((a, b) => a + b, 0);
    return {
      ...{ users: people.length, commands: count(this.#ok) + count(this.#errors), ok: this.#ok, errors: this.#errors },
      ...{ cashCents, stockCents, pendingBuyCents, pendingSellCents, reservedBuyCents, reservedSellCents },
      totalCents: cashCents + stockCents + pendingBuyCents + pendingSellCents + reservedBuyCents + reservedSellCents,
    };
  }
}

const newPerson = (): Person => ({
  ...{ money: 0, units: new Map(), buys: [], sells: [], buySets: new Map(), sellSets: new Map() },
});
