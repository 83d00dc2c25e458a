/**
 * One number for all books: two installations that did the same business have the same ledger hash, whatever was killed, in
 * whichever order parties were served, and wherever their entities live.
 *
 * L1 Each party (a customer, a system account over all partitions) has a fold: what changed hands, summed by kind, ledger,
 *    counter-account and cause. Sums forget time, order and sequence, and into how many bills an amount was cut; an öre or
 *    Wh that is lost or doubled changes one of them.
 * L2 What a party moves between its own accounts changes no hands. What it has in them at the end is hashed beside the fold.
 * L3 Causes are called by what they are to people: a session by its charger, connector and start, because transaction
 *    numbers are given in the order of arrival; a delivery by its customer, whose batches are counted with the holds.
 * L4 The fold must add up to what is there: per account, the sum of its postings is its balance.
 */
import { createHash } from 'node:crypto';
import { symbolOf } from '#actors/instrument';
import { shareLedger, type Owned } from '#actors/ledger';
import type { AccountState, CustomerState } from '#actors/schema/customer_entities';
import type { Ledger, SessionEvent } from '#actors/schema/events';
import type { PositionState } from '#actors/schema/trading';
import { LedgerSums } from './ledger_sums.ts';

export interface LedgerHash {
  /** SHA-256, hex, over balances and postings; null when postings are missing, because the journal was purged. */
  hash: string | null;
  /** The same over balances alone. */
  balances: string;
  parties: number;
  /** Batches that were folded. */
  batches: number;
  /** Per ledger, over everything that is owned: 0. */
  sums: [ledger: string, sum: bigint][];
  /** Per ledger, on its way between partitions: 0 at rest. A hash that is taken on the way is that of this moment only. */
  underWay: [ledger: string, sum: bigint][];
  problems: string[];
}

const problemsMax = 20;
const transit = 'transit';

type Owning = Pick<CustomerState, 'sek' | 'wh' | 'reservedE5Sek' | 'reservedWh'>;
type Session = Pick<SessionEvent, 'site' | 'charger' | 'connector' | 'transaction' | 'startAt'>;

interface Party {
  /** By kind, ledger, counter-account and cause. */
  fold: LedgerSums;
  /** By ledger and account. */
  balances: LedgerSums;
  /** What its postings come to, by ledger and account. */
  posted: LedgerSums;
}

const numberOf = ({ site, transaction }: Pick<Session, 'site' | 'transaction'>) => `${site}/${transaction}`;
const keyOf = (...parts: readonly string[]) => JSON.stringify(parts);

/** Takes postings and states in any order, of any number of partitions. */
export class LedgerFold {
  batches = 0;
  readonly #parties = new Map<string, Party>();
  readonly #sessions = new Map<string, string>();
  /** Causes are named at the end, when all sessions are known. */
  readonly #postings = new Map<string, { party: string; key: string[]; cause: string; sum: LedgerSums }>();

  /** The newest word about a session counts. */
  session(session: Session): void {
    const { charger, connector, startAt } = session;
    this.#sessions.set(numberOf(session), keyOf('session', charger, String(connector), String(startAt)));
  }

  posting({ customer, kind, cause, batch, legs }: Ledger): void {
    this.batches += 1;
    const own = customer === null ? '' : `customer:${customer}:`;
    for (const { ledger, account, amount } of legs) {
      if (customer !== null && account.startsWith(own)) {
        this.#party(customerParty(customer)).posted.add(keyOf(ledger, account.slice(own.length)), amount);
        continue;
      }
      this.#party(systemParty(ledger, account)).posted.add(keyOf(ledger, account), amount);
      if (customer !== null) this.#add(customerParty(customer), [kind, ledger, account], cause, amount);
      // A batch of a site alone is named by that of the customer whom it serves.
      const served = customer === null && cause === batch ? cause.slice(0, cause.lastIndexOf(':')) : cause;
      this.#add(systemParty(ledger, account), [kind], customer === null ? served : '', amount);
    }
  }

  customer(id: string, { sek, wh, reservedE5Sek, reservedWh }: Owning): void {
    this.#owned(id, 'SEK', { ...sek, reserved: reservedE5Sek });
    this.#owned(id, 'Wh', { ...wh, reserved: reservedWh });
  }

  /** What a customer has of one instrument. */
  position({ customer, instrument, available, pending, reserved }: PositionState): void {
    const symbol = symbolOf(instrument);
    if (symbol !== null) this.#owned(customer, shareLedger(symbol), { available, pending, reserved });
  }

  #owned(id: string, ledger: string, owned: Owned) {
    const { balances } = this.#party(customerParty(id));
    for (const account of ['available', 'pending', 'reserved'] as const)
      balances.add(keyOf(ledger, account), owned[account]);
  }

  /** Of one partition; accounts of the same name are one party. */
  account({ ledger, name, balance }: AccountState): void {
    this.#party(systemParty(ledger, name)).balances.add(keyOf(ledger, name), balance);
  }

  /** @param isComplete whether all postings there ever were have been told */
  result(isComplete: boolean): LedgerHash {
    for (const { party, key, cause, sum } of this.#postings.values())
      this.#party(party).fold.add(keyOf(...key, this.#sessions.get(cause) ?? cause), sum.get(''));
    const problems: string[] = [];
    const sums = new LedgerSums();
    const underWay = new LedgerSums();
    const books = createHash('sha256');
    const held = createHash('sha256');
    for (const [name, { fold, balances, posted }] of [...this.#parties].sort(([a], [b]) => (a < b ? -1 : 1))) {
      const [owned, changed] = [linesOf(balances), linesOf(fold)];
      // Whether a party that has nothing was ever needed may depend on the order of things.
      if (owned.length > 0) held.update(`${JSON.stringify([name, owned])}\n`);
      if (owned.length + changed.length > 0) books.update(`${JSON.stringify([name, owned, changed])}\n`);
      for (const [key, sum] of balances) {
        const [ledger, account] = JSON.parse(key) as [string, string];
        sums.add(ledger, sum);
        if (account === transit && !name.startsWith('customer')) underWay.add(ledger, sum);
      }
      if (isComplete) problems.push(...unlike(name, balances, posted));
    }
    for (const [ledger, sum] of sums)
      if (sum !== 0n) problems.push(`all that is owned comes to ${sum} ${ledger}, not 0`);
    return {
      hash: isComplete ? books.digest('hex') : null,
      balances: held.digest('hex'),
      parties: this.#parties.size,
      batches: this.batches,
      sums: [...sums],
      underWay: [...underWay],
      problems: problems.slice(0, problemsMax),
    };
  }

  #party(name: string): Party {
    let party = this.#parties.get(name);
    if (!party) {
      party = { fold: new LedgerSums(), balances: new LedgerSums(), posted: new LedgerSums() };
      this.#parties.set(name, party);
    }
    return party;
  }

  #add(party: string, key: string[], cause: string, amount: number) {
    const name = keyOf(party, ...key, cause);
    let posting = this.#postings.get(name);
    if (!posting) this.#postings.set(name, (posting = { party, key, cause, sum: new LedgerSums() }));
    posting.sum.add('', amount);
  }
}

const customerParty = (id: string) => `customer ${id}`;
const systemParty = (ledger: string, account: string) => `system ${ledger} ${account}`;

const linesOf = (sums: LedgerSums): [key: string, sum: string][] =>
  [...sums].filter(([, sum]) => sum !== 0n).map(([key, sum]) => [key, String(sum)]);

/** L4. */
function* unlike(name: string, balances: LedgerSums, posted: LedgerSums): Generator<string> {
  for (const key of new Set([...balances, ...posted].map(([account]) => account))) {
    if (balances.get(key) === posted.get(key)) continue;
    const [ledger, account] = JSON.parse(key) as [string, string];
    yield `${name}: ${account} is ${balances.get(key)} ${ledger}, its postings come to ${posted.get(key)}`;
  }
}
