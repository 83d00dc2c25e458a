/**
 * Prices that fire triggers. A door hands a quote to the symbol's *ticker*, which tells every partition; a board tells its
 * own partition of stations. There a *watch* per instrument tells the customers whose triggers the price fires, those that
 * were armed first before the others, so many at a time that a record holds what they do.
 */
import { setup } from 'xstate';
import { decide, type ActorDefinition, type ActorEvent, type Decision } from './actor.ts';
import { customerAddress, watchAddress } from './addresses.ts';
import { quoteKeptMs } from './customer_holds.ts';
import type { DomainIndex } from './domain_index.ts';
import { symbolInstrument } from './instrument.ts';
import { machineTypes, reply, type Outputs } from './machine.ts';
import {
  TickerQuote,
  TickerState,
  WatchPrice,
  WatchState,
  type TickerQuoteBody,
  type WatchPriceBody,
} from './schema/trading.ts';
import { byTurn, type DueTrigger } from './trigger_index.ts';

/** Customers told at a time; the rest follow by a timer that is due at once. */
export const toldMax = 128;

// --- ticker ---------------------------------------------------------------------------------------------------------------

function quoted(
  ticker: TickerState,
  { body, facts, now }: ActorEvent<TickerQuoteBody, { partitions: number }>,
): Decision<TickerState> {
  const { feed, symbol, priceE5Sek } = body;
  // A feed whose clock is ahead must not shut out the quotes after this one.
  const at = Math.min(body.at, now);
  if (now - at > quoteKeptMs) return { refuse: 'quote_stale', detail: { at, ageMsMax: quoteKeptMs } };
  if (at <= ticker.at) return { outputs: [reply({ at: ticker.at })] };
  const instrument = symbolInstrument(symbol);
  const price: WatchPriceBody = { feed, instrument, buyE5Sek: priceE5Sek, sellE5Sek: priceE5Sek, at, station: null };
  const outputs: Outputs = [reply({ at })];
  for (let p = 0; p < facts.partitions; p++)
    outputs.push({
      type: 'send',
      params: { to: watchAddress(p, feed, instrument), type: 'watch.price', body: { ...price } },
    });
  return { context: { priceE5Sek, at }, outputs };
}

const tickerMachine = setup({ types: machineTypes<TickerState>() }).createMachine({
  id: 'ticker',
  initial: 'absent',
  context: { priceE5Sek: 0, at: -1 },
  states: {
    absent: { on: { 'ticker.quote': { target: 'open', actions: decide(quoted) } } },
    open: { on: { 'ticker.quote': { actions: decide(quoted) } } },
  },
});

export const ticker: ActorDefinition = {
  kind: 'ticker',
  version: 1,
  machine: tickerMachine,
  context: TickerState,
  commands: { 'ticker.quote': TickerQuote },
  timers: [],
  creates: ['ticker.quote'],
  facts: ({ partitions }) => ({ partitions }),
};

// --- watch ----------------------------------------------------------------------------------------------------------------

interface WatchFacts {
  /** Of the price that is told or was told last, in their order. */
  due: DueTrigger[];
}

/** Tells the next ones. */
function tell(watch: WatchState, due: readonly DueTrigger[], now: number): Decision<WatchState> {
  const { after, instrument, buyE5Sek, sellE5Sek, station } = watch;
  const left = after ? due.filter((trigger) => byTurn(trigger, after) > 0) : due;
  const told = left.slice(0, toldMax);
  const outputs: Outputs = told.map(({ side, customer }) => ({
    type: 'send',
    params: {
      to: customerAddress(customer),
      type: 'trade.fire',
      body: { instrument, side, priceE5Sek: side === 'buy' ? buyE5Sek : sellE5Sek, station },
    },
  }));
  const last = told.at(-1);
  if (left.length === told.length || !last) return { context: { ...watch, after: null }, outputs };
  // The two sides of one customer have numbers of their own, so none is passed over.
  const { armedAt, n, customer } = last;
  outputs.push({ type: 'arm', params: { name: 'more', dueAt: now } });
  return { context: { ...watch, after: { armedAt, n, customer } }, outputs };
}

const priced = (
  watch: WatchState,
  { body, facts, now }: ActorEvent<WatchPriceBody, WatchFacts>,
): Decision<WatchState> => (body.at < watch.at ? {} : tell({ ...body, after: null }, facts.due, now));

const more = (
  watch: WatchState,
  { facts, now }: ActorEvent<Record<string, unknown>, WatchFacts>,
): Decision<WatchState> => (watch.after === null ? {} : tell(watch, facts.due, now));

const watchMachine = setup({ types: machineTypes<WatchState>() }).createMachine({
  id: 'watch',
  initial: 'absent',
  context: { feed: '', instrument: '', buyE5Sek: 0, sellE5Sek: 0, at: -1, station: null, after: null },
  states: {
    absent: { on: { 'watch.price': { target: 'open', actions: decide(priced) } } },
    open: { on: { 'watch.price': { actions: decide(priced) }, 'timer.more': { actions: decide(more) } } },
  },
});

export const watch: ActorDefinition = {
  kind: 'watch',
  version: 1,
  machine: watchMachine,
  context: WatchState,
  commands: { 'watch.price': WatchPrice },
  timers: ['more'],
  creates: ['watch.price'],
  facts: (view, self, type, body): WatchFacts => {
    const price = type === 'watch.price' ? (body as WatchPriceBody) : view.get<WatchState>('watch', self.id)!.context;
    const { feed, instrument, buyE5Sek, sellE5Sek } = price;
    return { due: (view.index as DomainIndex).triggers.due(feed, instrument, buyE5Sek, sellE5Sek) };
  },
};
