/**
 * What a trader does at one station: the ticket, reservations, committed orders, deposits. It decides nothing about money:
 * every write waits for its outcome, and what is shown as owned, held or ordered comes from the live account alone.
 */
import type { BalanceReply, HeldReply, OrderReply } from '#actors/schema/customer_commands';
import type { OrderView, Trade } from '#gateway/schema/mod';
import { amountText, kilowattHours, price as sek } from '../format.ts';
import { toasts } from '../shell/toasts.svelte.ts';
import { t } from '../text/mod.ts';
import { Action } from './action.svelte.ts';
import { decimalText } from './amount.ts';
import { Appearances, Keyed, Once } from './keyed.ts';
import type { QuoteFeed } from './quote_feed.svelte.ts';
import { guardMs, pickWh, type Side, type TicketView } from './ticket.ts';

/** An order that was not committed in time: on offer again. */
export interface Lapsed {
  order: string;
  side: Side;
  energyWh: number;
  station: string;
}

export type OrderAct = 'commit' | 'cancel' | 'stop';

/** Ended orders that are remembered, so that a lapse is told once. */
const endedMax = 100;

export class Desk {
  readonly #quotes: QuoteFeed;
  readonly reserving: Action<HeldReply>;
  readonly depositing: Action<BalanceReply>;
  /** One per order and kind, so that two orders do not wait for each other. */
  readonly #actions = new Keyed<Action<OrderReply>>((key) => {
    const kind = key.slice(0, key.indexOf(' ')) as OrderAct;
    return new Action(['orders', kind], (reply) => this.#settled(kind, reply));
  });
  readonly #shown = new Appearances();
  readonly #ended = new Once(endedMax);

  side: Side = $state('buy');
  typed = $state('');
  #lapsed: Lapsed | null = $state.raw(null);

  constructor(quotes: QuoteFeed) {
    this.#quotes = quotes;
    this.reserving = new Action(['orders'], (held) => this.#reserved(held));
    this.depositing = new Action(['account', 'deposit'], (_, body) =>
      toasts.say('ok', t.trade.said.deposited(String(body['amount']))),
    );
  }

  get lapsed(): Lapsed | null {
    return this.#lapsed;
  }

  /** Tells the desk which reservations are on the screen. */
  sees(orders: readonly OrderView[]): void {
    this.#shown.see(orders.map(({ order }) => order));
  }
  /** A double Enter must never buy. */
  guarded(order: string): boolean {
    return this.#shown.youngerThan(order, guardMs);
  }

  choose(side: Side): void {
    this.side = side;
    this.reserving.forget();
    this.#lapsed = null;
  }
  type(text: string): void {
    this.typed = text;
    this.reserving.forget();
  }
  pick(mostWh: number, percent: number): void {
    this.type(decimalText(pickWh(mostWh, percent), 3).replace(/0$/, ''));
  }

  async reserve(view: TicketView): Promise<void> {
    if (view.state !== 'open' || view.problem !== null || view.energyWh === null) return;
    const { quote, energyWh } = view;
    const answer = await this.reserving.run({ side: this.side, station: quote.station, slot: quote.slot, energyWh });
    // A newer price is there: show it, and keep what was typed.
    if (answer?.ok === false && (answer.code === 'price_moved' || answer.code === 'quote_stale'))
      void this.#quotes.refresh();
  }
  /** The same order once more, at the price of now. */
  offerAgain(): void {
    if (this.#lapsed === null) return;
    this.side = this.#lapsed.side;
    this.typed = decimalText(this.#lapsed.energyWh, 3).replace(/0$/, '');
    this.#lapsed = null;
    this.reserving.forget();
  }

  actionOf(order: string, kind: OrderAct): Action<OrderReply> {
    return this.#actions.of(`${kind} ${order}`);
  }
  async commit(order: OrderView): Promise<void> {
    await this.#act('commit', order, { side: order.side, order: order.order });
  }
  async cancel(order: OrderView): Promise<void> {
    await this.#act('cancel', order, { side: order.side, order: order.order });
  }
  async stop(order: OrderView): Promise<void> {
    await this.#act('stop', order, { order: order.order });
  }
  /** Whether something about this order is on its way. */
  busy(order: string): boolean {
    return (['commit', 'cancel', 'stop'] as const).some((kind) => !this.actionOf(order, kind).free);
  }

  deposit(amount: string): Promise<unknown> {
    return this.depositing.run({ amount });
  }

  /** Every own trade as it happens. */
  heard(trade: Trade): void {
    if (trade.state === 'expired') this.#lapse(trade);
    if (trade.state === 'completed' || trade.state === 'partial' || trade.state === 'void') {
      toasts.say('ok', t.trade.said.ended(wordsOf(trade), t.trade.states[trade.state], sek(trade.settledE5Sek)));
    }
  }
  /** A reservation that is gone from the account after its time, and of which nothing was heard: the line was down. */
  gone(order: OrderView, now: number): void {
    if (order.state === 'held' && now >= order.expiresAt) this.#lapse(order);
  }

  #lapse({ order, side, energyWh, station }: Lapsed): void {
    if (!this.#ended.first(order)) return;
    this.#lapsed = { order, side, energyWh, station };
    toasts.say('warn', t.trade.said.lapsed(wordsOf({ side, energyWh })));
  }

  #reserved(held: HeldReply): void {
    this.#lapsed = null;
    this.typed = '';
    toasts.say('ok', t.trade.said.reserved(wordsOf(held), sek(held.amountE5Sek)));
  }

  #settled(kind: OrderAct, reply: OrderReply): void {
    if (kind === 'cancel') this.#ended.first(reply.order);
    const words = wordsOf(reply);
    if (kind === 'commit') toasts.say('ok', t.trade.said.committed(words));
    else if (kind === 'cancel') toasts.say('ok', t.trade.said.cancelled(words));
    else toasts.say('ok', t.trade.said.stopped(words, kilowattHours(reply.deliveredWh), sek(reply.settledE5Sek)));
  }

  async #act(kind: OrderAct, order: OrderView, body: Record<string, unknown>): Promise<void> {
    if (this.busy(order.order)) return;
    const answer = await this.actionOf(order.order, kind).run(body);
    if (answer?.ok === false) toasts.say('fault', `${t.trade.failed[kind]} ${t.refusals[answer.code]}`);
  }
}

/** `Buy 10.00 kWh`. */
const wordsOf = ({ side, energyWh }: { side: Side; energyWh: number }): string =>
  t.trade.order(t.trade.sides[side], amountText(energyWh));
