/**
 * Reads the journals of a money world and says whether anything was made, lost or doubled, at any moment. Knows the logs
 * and the product's codec, and nothing of who wrote them.
 */
import { domain } from '#actors/mod';
import type { AccountState, CustomerState } from '#actors/schema/customer_entities';
import type { SessionState, StationState } from '#actors/schema/entities';
import { Meters } from './money_meters.ts';
import { site, terminalStates } from './money_world.ts';
import type { Catalogue } from '../partition/catalogue.ts';
import { LedgerSums } from '../partition/ledger_sums.ts';
import { PartitionMoney } from '../partition/partition_money.ts';
import { RecordFilter } from '../partition/record_filter.ts';
import { PartitionState } from '../partition/state.ts';
import type { CommitRecord, ReplyResult } from '../wire.ts';
import type { MemoryLog } from './memory_log.ts';

interface Committed {
  partition: number;
  sequence: number;
  /** When the log stored it. */
  at: number;
  record: CommitRecord;
}

export interface MoneyBooks {
  problems: string[];
  /** What became of each command, by its id. */
  outcomes: Map<string, ReplyResult>;
  customers: Map<string, CustomerState>;
  /** Prices that were published, and what was posted for charging. */
  meters: Meters;
  settledAnew: number;
  epochs: number;
  /** Cuts of all journals that were added up. */
  cuts: number;
  /** The most that was under way between partitions at a cut, Wh. */
  underWayWhMax: number;
}

/** All records that count, in the order in which they came to be. */
function committed(log: MemoryLog): Committed[] {
  const all = log.journals.flatMap((journal, partition) => {
    const filter = new RecordFilter();
    return journal.messages
      .map(({ at }, i): Committed => ({ partition, sequence: i + 1, at, record: journal.record(i + 1) }))
      .filter(({ record }) => filter.accepts(record));
  });
  // A relay needs at least 1 ms from one journal to the other.
  return all.sort((a, b) => a.at - b.at || a.partition - b.partition || a.sequence - b.sequence);
}

export function checkBooks(log: MemoryLog, catalogue: Catalogue): MoneyBooks {
  const books: MoneyBooks = {
    problems: [],
    outcomes: new Map(),
    customers: new Map(),
    meters: new Meters(site),
    settledAnew: 0,
    epochs: 0,
    cuts: 0,
    underWayWhMax: 0,
  };
  const problem = (text: string) => {
    if (books.problems.length < 20) books.problems.push(text);
  };
  const monies = log.journals.map((_, p) => new PartitionMoney(p, domain, catalogue, problem));
  const states = log.journals.map((_, p) => new PartitionState(catalogue, p, log.journals.length));
  const told = log.journals.map(() => new Map<string, number>());
  const batches = new Set<string>();
  const ended = new Map<string, string>();
  for (const { partition, sequence, record } of committed(log)) {
    const at = `${partition}:${sequence}`;
    monies[partition]!.apply(sequence, record);
    states[partition]!.applyRecord(record);
    books.cuts += 1;
    if (record.kind === 'epoch') books.epochs += 1;
    checkTransit(monies, at, books, problem);
    for (const { commandId, entity, result } of record.replies) {
      if (commandId === null || !entity) continue;
      if (books.outcomes.has(commandId)) problem(`${at} ${commandId} was decided twice`);
      books.outcomes.set(commandId, result);
    }
    for (const event of record.events) {
      if (event.kind === 'audit' && event.payload.command !== 'frame')
        problem(`${at} ${event.payload.command} became a dead letter: ${event.payload.reason}`);
      if (event.kind === 'trade' && terminalStates.has(event.payload.state)) {
        const { order, state } = event.payload;
        if (ended.has(order)) problem(`${at} ${order} ended as ${ended.get(order)}, then as ${state}`);
        ended.set(order, state);
      }
      if (event.kind === 'price') books.meters.price(event.payload);
      if (event.kind === 'session' && event.payload.version === 2) books.settledAnew += 1;
      if (event.kind !== 'ledger') continue;
      books.meters.posted(event.payload);
      const { batch, customer, legs } = event.payload;
      const name = `${customer}|${batch}`;
      if (batches.has(name)) problem(`${at} the batch ${batch} was posted twice`);
      batches.add(name);
      const accounts = told[partition]!;
      for (const { ledger, account, amount } of legs) {
        const key = `${ledger}:${account}`;
        accounts.set(key, (accounts.get(key) ?? 0) + amount);
      }
    }
  }
  for (const [p, state] of states.entries()) checkAtRest(state, told[p]!, books, problem);
  return books;
}

/** What left one partition and is not yet in another is exactly what relays carry. */
function checkTransit(
  monies: readonly PartitionMoney[],
  at: string,
  books: MoneyBooks,
  problem: (text: string) => void,
) {
  const sums = new LedgerSums();
  let carriedWh = 0;
  for (const money of monies) {
    for (const [ledger, sum] of money.transit) sums.add(ledger, sum);
    for (const target of monies) {
      for (const [ledger, amount] of money.carriedTo(target.partition, target.appliedFrom(money.partition))) {
        sums.add(ledger, amount);
        carriedWh += Math.abs(amount);
      }
    }
  }
  books.underWayWhMax = Math.max(books.underWayWhMax, carriedWh);
  const wrong = sums.unbalanced();
  if (wrong) problem(`${at} transit and what is under way differ by ${wrong[1]} ${wrong[0]}`);
}

/** The events tell every posting once; nothing is held, drawn, charged or waits any more. */
function checkAtRest(
  state: PartitionState,
  told: ReadonlyMap<string, number>,
  books: MoneyBooks,
  problem: (text: string) => void,
) {
  const balances = new Map<string, number>();
  for (const [, { stored }] of state.entities.get('account') ?? []) {
    const { ledger, name, balance } = stored.context as unknown as AccountState;
    balances.set(`${ledger}:${name}`, balance);
  }
  for (const [id, { stored }] of state.entities.get('customer') ?? []) {
    const customer = stored.context as unknown as CustomerState;
    books.customers.set(id, customer);
    const { reservedE5Sek, reservedWh } = customer;
    for (const [ledger, { available, pending }, reserved] of [
      ['SEK', customer.sek, reservedE5Sek],
      ['Wh', customer.wh, reservedWh],
    ] as const) {
      balances.set(`${ledger}:customer:${id}:reserved`, reserved);
      balances.set(`${ledger}:customer:${id}:available`, available);
      balances.set(`${ledger}:customer:${id}:pending`, pending);
      if (pending !== 0) problem(`${id} still holds ${pending} ${ledger}`);
      // Energy that was taken is paid for, whatever is there.
      if (available < 0 && !(ledger === 'SEK' && books.meters.paidE5Sek.has(id)))
        problem(`${id} has ${available} ${ledger}`);
    }
    if (customer.sessions.length > 0) problem(`${id} still has ${customer.sessions.length} sessions`);
    if (customer.orders.length > 0) problem(`${id} still has ${customer.orders.length} orders`);
  }
  for (const name of new Set([...balances.keys(), ...told.keys()]))
    if ((balances.get(name) ?? 0) !== (told.get(name) ?? 0))
      problem(`partition ${state.partition}: ${name} is ${balances.get(name)}, its postings come to ${told.get(name)}`);
  for (const [id, { stored }] of state.entities.get('session') ?? []) {
    const { endAt } = stored.context as unknown as SessionState;
    if (endAt === null) problem(`session ${id} has not ended`);
  }
  for (const [id] of state.entities.get('station_draw') ?? []) problem(`${id} is a record of no orders`);
  for (const [id, { stored }] of state.entities.get('station') ?? []) {
    const { powerW } = (stored.context as unknown as StationState).draws;
    if (powerW !== 0) problem(`${id} still feels ${powerW} W of orders that have ended`);
  }
}
