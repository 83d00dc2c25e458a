/**
 * A customer while a command is decided: its next state, and what goes out with it. Timers, credit and the load on stations
 * follow from the state, so they are told once, at the end, where they differ from before.
 */
import type { ActorEvent, Decision, EntityAddress } from './actor.ts';
import { accountAddress, nameAddress, stationAddress } from './addresses.ts';
import { flowDueAt } from './battery.ts';
import { isEmpty, noPosition, positionId, symbolInstrument, usualRules } from './instrument.ts';
import {
  energyOf,
  gathered,
  isOwn,
  ledgerPayload,
  moneyOf,
  moved,
  posted,
  type BatchKind,
  type Leg,
  type LedgerName,
  type Owned,
} from './ledger.ts';
import { reply, type Outputs } from './machine.ts';
import { amountOfOrder } from './order.ts';
import type { CustomerState, OrderState } from './schema/customer_entities.ts';
import type { Trade } from './schema/events.ts';
import { subject } from './schema/subjects.ts';
import type { BookRules, PositionState } from './schema/trading.ts';
import { tradeLogged, type TradeLog } from './trade_log.ts';

export interface CustomerFacts {
  /** The customer's own partition, where the system accounts of its batches are. */
  partition: number;
}
/** What trading looks up of a customer's positions, which are records of their own. */
export interface PositionFacts extends CustomerFacts {
  position(instrument: string): PositionState | undefined;
}

/** Holds that never expire are said to do so then: 2100-01-01. */
export const neverMs = 4_102_444_800_000;

export const rulesOf = ({ rules }: CustomerState): BookRules => rules ?? usualRules;

/** How long an order can be committed: at this age it still can, 1 ms later it has expired. */
export function holdsUntil(customer: CustomerState, now: number): number {
  const { holdTimeoutMs } = rulesOf(customer);
  return holdTimeoutMs === null ? neverMs : now + holdTimeoutMs;
}

/** Instruments of one customer of which it has something, or wants something done. */
export const positionsMax = 2_000;

const sharesOf = (ledger: LedgerName): string | null =>
  ledger.startsWith('SHARE:') ? symbolInstrument(ledger.slice('SHARE:'.length)) : null;
const noPositions = () => undefined;

/** Whether there is money for a charging session to begin with. */
export const creditOf = ({ sek, creditLimitE5Sek }: CustomerState): CustomerState['credit'] =>
  sek.available + creditLimitE5Sek > 0 ? 'ok' : 'empty';

export class Draft {
  customer: CustomerState;
  readonly self: EntityAddress;
  readonly now: number;
  readonly #before: CustomerState;
  readonly #partition: number;
  readonly #fired: string | null;
  readonly #outputs: Outputs = [];
  readonly #system: Leg[] = [];
  readonly #positionBefore: PositionFacts['position'];
  #positions: Map<string, PositionState> | null = null;

  constructor(before: CustomerState, { self, now, facts, type }: ActorEvent<unknown, CustomerFacts | PositionFacts>) {
    this.customer = before;
    this.#before = before;
    this.self = self;
    this.now = now;
    this.#partition = facts.partition;
    this.#positionBefore = 'position' in facts ? facts.position : noPositions;
    this.#fired = type.startsWith('timer.') ? type.slice('timer.'.length) : null;
  }

  send(to: EntityAddress, type: string, body: Record<string, unknown>) {
    this.#outputs.push({ type: 'send', params: { to, type, body } });
  }

  /** Posts a batch and returns its id; one whose legs come to nothing leaves no trace. */
  post(kind: BatchKind, cause: string, all: readonly Leg[], id?: string): string {
    const legs = gathered(all);
    const batch = id ?? `${this.self.id}:${this.customer.batchCount + 1}`;
    if (legs.length === 0) return batch;
    const { batchCount } = this.customer;
    this.customer = posted(
      id === undefined ? { ...this.customer, batchCount: batchCount + 1 } : this.customer,
      kind,
      legs,
    );
    for (const leg of legs) {
      if (!isOwn(leg)) this.#system.push(leg);
      else if (leg.ledger !== 'SEK' && leg.ledger !== 'Wh') this.#shares(leg);
    }
    const payload = ledgerPayload(
      this.self.id,
      (ledger) => this.#owned(ledger),
      { batch, kind, cause, at: this.now },
      legs,
    );
    this.#outputs.push({ type: 'emit', params: { kind: 'ledger', subject: subject.ledger(this.self.id), payload } });
    return batch;
  }

  #owned(ledger: LedgerName): Owned {
    if (ledger === 'SEK') return moneyOf(this.customer);
    if (ledger === 'Wh') return energyOf(this.customer);
    return this.position(sharesOf(ledger)!);
  }
  #shares(leg: Leg) {
    this.keepPosition(moved(this.position(sharesOf(leg.ledger)!), [leg], leg.ledger, 0));
  }

  /** Tells a fact of the trade log before all that `work` puts out, with the batch that it posts. */
  telling(fact: Pick<TradeLog, 'txn' | 'command' | 'instrument' | 'amountE5Sek' | 'order'>, work: () => void) {
    const place = this.#outputs.length;
    const { batchCount } = this.customer;
    work();
    const batch = this.customer.batchCount > batchCount ? { batch: `${this.self.id}:${batchCount + 1}` } : {};
    const said = tradeLogged({ what: 'system', customer: this.self.id, at: this.now, ...fact, ...batch });
    this.#outputs.splice(place, 0, said);
  }

  /** What the customer has of an instrument now. */
  position(instrument: string): PositionState {
    return (
      this.#positions?.get(instrument) ??
      this.#positionBefore(instrument) ??
      noPosition(this.self.id, instrument, rulesOf(this.customer))
    );
  }
  keepPosition(position: PositionState) {
    (this.#positions ??= new Map<string, PositionState>()).set(position.instrument, position);
  }

  /** The order as it is now takes the place of what it was, or the last one. */
  keep(order: OrderState) {
    const { orders } = this.customer;
    const i = orders.findIndex((known) => known.order === order.order);
    this.customer = { ...this.customer, orders: i < 0 ? [...orders, order] : orders.with(i, order) };
  }
  /** Delivering orders stand in the order in which they were committed. */
  keepLast(order: OrderState) {
    this.drop(order);
    this.keep(order);
  }
  drop({ order }: OrderState) {
    this.customer = { ...this.customer, orders: this.customer.orders.filter((known) => known.order !== order) };
  }

  trade(order: OrderState, state: Trade['state']) {
    const { side, site, station, slot, energyWh, priceE5SekPerKwh, deliveredWh, settledE5Sek, expiresAt } = order;
    const payload: Trade = {
      customer: this.self.id,
      order: order.order,
      side,
      state,
      at: this.now,
      site,
      station,
      slot,
      energyWh,
      priceE5SekPerKwh,
      amountE5Sek: amountOfOrder(order),
      deliveredWh,
      settledE5Sek,
      expiresAt,
    };
    this.#outputs.push({ type: 'emit', params: { kind: 'trade', subject: subject.trade(this.self.id), payload } });
  }

  /** The decision, with what follows from the new state. */
  done(value?: unknown): Decision<CustomerState> {
    this.#credit();
    this.#draws();
    this.#keepPositions();
    this.#timer('expire', expiryDueAt);
    if (this.#fired === 'flow' || this.#hasMoved) this.#timer('flow', flowDueAt);
    const posts: Outputs = gathered(this.#system).map(({ ledger, account, amount }) =>
      this.#post(ledger, account, amount),
    );
    const outputs = [...posts, ...this.#outputs, ...(value === undefined ? [] : [reply(value)])];
    return this.customer === this.#before ? { outputs } : { context: this.customer, outputs };
  }

  /** What the flow of energy depends on. */
  get #hasMoved(): boolean {
    const [before, after] = [this.#before, this.customer];
    return before.orders !== after.orders || before.sinceAt !== after.sinceAt || before.wh !== after.wh;
  }

  #post(ledger: LedgerName, name: string, amount: number): Outputs[number] {
    const to = accountAddress(this.#partition, ledger, name);
    return { type: 'send', params: { to, type: 'account.post', body: { ledger, name, amount } } };
  }

  #credit() {
    const credit = creditOf(this.customer);
    if (credit === this.customer.credit) return;
    this.customer = { ...this.customer, credit };
    for (const tag of this.customer.tags) this.tellTag(tag);
  }
  tellTag(tag: string) {
    const { credit } = this.customer;
    this.send(nameAddress('tag', tag), 'tag.credit', { customer: this.self.id, credit });
  }

  #keepPositions() {
    for (const [instrument, position] of this.#positions ?? []) {
      const before = this.#positionBefore(instrument);
      const id = positionId(this.self.id, instrument);
      const isGone = isEmpty(position);
      if (!isGone) this.#outputs.push({ type: 'put', params: { kind: 'position', id, state: position } });
      else if (before) this.#outputs.push({ type: 'drop', params: { kind: 'position', id } });
      const more = (isGone ? 0 : 1) - (before ? 1 : 0);
      if (more !== 0) this.customer = { ...this.customer, positionCount: this.customer.positionCount + more };
    }
  }

  #draws() {
    if (this.customer.orders === this.#before.orders) return;
    const before = drawn(this.#before.orders);
    const after = drawn(this.customer.orders);
    for (const station of new Set([...before.keys(), ...after.keys()])) {
      const { powerW, site } = after.get(station) ?? { powerW: 0, site: before.get(station)!.site };
      if (powerW === (before.get(station)?.powerW ?? 0)) continue;
      const drawCount = this.customer.drawCount + 1;
      this.customer = { ...this.customer, drawCount };
      this.send(stationAddress(site, station), 'station.draw', { customer: this.self.id, powerW, count: drawCount });
    }
  }

  #timer(name: string, dueAt: (customer: CustomerState) => number | null) {
    const armed = this.#fired === name ? null : dueAt(this.#before);
    const due = dueAt(this.customer);
    if (due === armed) return;
    if (due === null) this.#outputs.push({ type: 'disarm', params: { name } });
    else this.#outputs.push({ type: 'arm', params: { name, dueAt: due } });
  }
}

/** Net power of running orders by station. */
function drawn(orders: readonly OrderState[]): Map<string, { site: string; powerW: number }> {
  const byStation = new Map<string, { site: string; powerW: number }>();
  for (const { station, site, powerW } of orders) {
    if (powerW === null) continue;
    byStation.set(station, { site, powerW: powerW + (byStation.get(station)?.powerW ?? 0) });
  }
  return byStation;
}

/** The first held order expires then. Those on symbols stand in the order in which they were made. */
function expiryDueAt({ orders, held }: CustomerState): number | null {
  const oldest = held[0]?.expiresAt ?? neverMs;
  let due = oldest < neverMs ? oldest + 1 : null;
  for (const { state, expiresAt } of orders) {
    if (state === 'held' && expiresAt < neverMs && (due === null || expiresAt + 1 < due)) due = expiresAt + 1;
  }
  return due;
}
