/** For tests: a trader who gives day-trading commands, scripts of them, and what must hold of positions after every step. */
import { customerAddress, tickerAddress } from './addresses.ts';
import type { RefusalCode } from './refusals.ts';
import type { CustomerState } from './schema/customer_entities.ts';
import type { BookRules, PositionState, SymbolQuote } from './schema/trading.ts';
import type { TestPartition, TestWorld } from './testing.ts';
import { sekE5 } from './testing_customers.ts';
import type { CommandName, TradeLog } from './trade_log.ts';
import type { TradeCommand } from './customer_trading.ts';

/** 0.01 SEK. */
export const oreE5 = sekE5 / 100;

/** A book that counts in units of 0.01 SEK and whose holds never expire. */
export const valueBook = (pendingRule: BookRules['pendingRule']): BookRules => ({
  denomination: 'value',
  pendingRule,
  holdTimeoutMs: null,
  triggers: false,
  feed: 'const:0.01',
});

const typeOf = (command: CommandName): TradeCommand =>
  `trade.${command.toLowerCase().replace(/_(.)/g, (_, letter: string) => letter.toUpperCase())}` as TradeCommand;
const types: Partial<Record<CommandName, TradeCommand>> = { DUMPLOG: 'trade.dumpLog' };

/** Arguments of a command beside its user, as a script writes them. */
const shapes: Record<CommandName, readonly ('sym' | 'amount' | 'price' | 'file')[]> = {
  ADD: ['amount'],
  QUOTE: ['sym'],
  BUY: ['sym', 'amount'],
  COMMIT_BUY: [],
  CANCEL_BUY: [],
  SELL: ['sym', 'amount'],
  COMMIT_SELL: [],
  CANCEL_SELL: [],
  SET_BUY_AMOUNT: ['sym', 'amount'],
  CANCEL_SET_BUY: ['sym'],
  SET_BUY_TRIGGER: ['sym', 'price'],
  SET_SELL_AMOUNT: ['sym', 'amount'],
  SET_SELL_TRIGGER: ['sym', 'price'],
  CANCEL_SET_SELL: ['sym'],
  DUMPLOG: ['file'],
  DISPLAY_SUMMARY: [],
};
const withQuote: ReadonlySet<CommandName> = new Set<CommandName>(['QUOTE', 'BUY', 'SELL', 'SET_SELL_AMOUNT']);

export interface ScriptLine {
  txn: number;
  command: CommandName;
  user: string;
  args: string[];
}

/** `[12] BUY,ada,ABC,10.00`. Throws on anything else. */
export function parseLine(line: string): ScriptLine {
  const [, txn, text] = /^\[(\d+)\] ([A-Z_]+,\S+)\s*$/.exec(line) ?? [];
  if (txn === undefined || text === undefined) throw new Error(`not a command: '${line}'`);
  const [command, ...rest] = text.split(',') as [CommandName, ...string[]];
  const isForAll = command === 'DUMPLOG' && rest.length === 1;
  const [user = '', ...args] = isForAll ? ['-', ...rest] : rest;
  return { txn: Number(txn), command, user, args };
}

/**
 * `12.34` SEK. Below zero the fraction still counts upwards: -73280.58 is -73,279.42 SEK to whoever worked out the outcomes
 * of the scripts, in one of which it occurs.
 */
const amountOf = (text: string): number => {
  const [whole = '', fraction = ''] = text.split('.');
  return Number(whole) * sekE5 + Number(fraction.padEnd(5, '0'));
};

export interface QuoteMade {
  priceE5Sek: number;
  at: number;
  hit?: boolean;
}
const quoteOf = ({ priceE5Sek, at, hit = false }: QuoteMade): SymbolQuote => ({
  ...{ priceE5Sek, at, hit },
  user: 'somebody',
  key: 'a-key',
});

/** Body of a command of a script. `rules` open the book with the first ADD; a symbol is quoted at `quote`. */
export function bodyOf({ txn, command, args }: ScriptLine, quote: QuoteMade | null, rules?: BookRules): object {
  const body: Record<string, unknown> = { txn };
  for (const [i, shape] of shapes[command].entries()) {
    const text = args[i]!;
    if (shape === 'sym') body['instrument'] = text.includes(':') ? text : `symbol:${text}`;
    else if (shape === 'file') body['file'] = text;
    else body[shape === 'price' ? 'priceE5Sek' : 'amountE5Sek'] = amountOf(text);
  }
  if (command === 'ADD' && rules) body['rules'] = rules;
  if (command === 'BUY' || command === 'SELL') body['slot'] = null;
  if (withQuote.has(command)) body['quote'] = quote && quoteOf(quote);
  if (command === 'DUMPLOG') body['all'] = false;
  if (command === 'DISPLAY_SUMMARY') body['brief'] = false;
  return body;
}
export const commandType = (command: CommandName): TradeCommand => types[command] ?? typeOf(command);

/** Gives commands as a script would: `trader.does('BUY', 'ABC', '10.00')`. */
export class TestTrader {
  readonly world: TestWorld;
  readonly id: string;
  readonly rules: BookRules | undefined;
  /** Of the next commands on symbols, 10⁻⁵ SEK. */
  priceE5Sek = sekE5;
  #txn = 0;

  constructor(world: TestWorld, id = 'ada', rules?: BookRules) {
    this.world = world;
    this.id = id;
    this.rules = rules;
  }

  send(command: CommandName, ...args: string[]) {
    const line = { txn: (this.#txn += 1), command, user: this.id, args };
    const quote = { priceE5Sek: this.priceE5Sek, at: this.world.now };
    return this.world.send(customerAddress(this.id), commandType(command), bodyOf(line, quote, this.rules));
  }
  /** The value of the reply; throws on a refusal. */
  does<Value>(command: CommandName, ...args: string[]): Value {
    const result = this.send(command, ...args);
    if (!result.ok) throw new Error(`${command} was refused: ${result.code} ${JSON.stringify(result.detail ?? {})}`);
    return result.value as Value;
  }
  /** The code of a refusal, which must have changed no state and told one fact, that it was refused. */
  refused(command: CommandName, ...args: string[]): RefusalCode {
    const images = () => JSON.stringify(this.world.partitions.map((partition) => partition.images()));
    const before = images();
    const events = this.world.events.length;
    const result = this.send(command, ...args);
    if (result.ok) throw new Error(`${command} was not refused`);
    if (before !== images()) throw new Error(`${command} was refused and changed state`);
    const told = this.world.events.slice(events).map(({ kind }) => kind);
    if (told.join() !== 'trade_log') throw new Error(`${command} was refused and told ${told.join() || 'nothing'}`);
    return result.code;
  }
  /** A quote comes from the feed. */
  tick(symbol: string, priceE5Sek: number, feed = '') {
    const body = { feed, symbol, priceE5Sek, at: this.world.now };
    return this.world.ask(tickerAddress(feed, symbol), 'ticker.quote', body);
  }

  get state(): CustomerState {
    return this.world.get<CustomerState>(customerAddress(this.id))!.context;
  }
  get money() {
    const { sek, reservedE5Sek } = this.state;
    return { ...sek, reserved: reservedE5Sek };
  }
  position(instrument: string): PositionState | undefined {
    return positionsIn(this.world.partitionOf(this.id)).find(
      (position) => position.customer === this.id && position.instrument === instrument,
    );
  }
  shares(symbol: string) {
    const { available, pending, reserved } = this.position(`symbol:${symbol}`) ?? none;
    return { available, pending, reserved };
  }
  /** Its facts of the trade log, oldest first. */
  get log(): TradeLog[] {
    return this.world.payloads('trade_log').filter(({ customer }) => customer === this.id);
  }
}
const none = { available: 0, pending: 0, reserved: 0 };

export const positionsIn = (partition: TestPartition): PositionState[] => partition.all<PositionState>('position');

// --- what must hold -------------------------------------------------------------------------------------------------------

/** Invariants H1 and A1 of every customer; `checkBooks` adds the ledgers up. */
export function checkPositions(world: TestWorld) {
  for (const partition of world.partitions) {
    const positions = new Map<string, PositionState[]>();
    for (const position of positionsIn(partition)) {
      const { available, pending, reserved, customer, instrument } = position;
      must(Math.min(available, pending, reserved) >= 0, `${customer} has less than nothing of ${instrument}`);
      positions.set(customer, [...(positions.get(customer) ?? []), position]);
    }
    for (const [name] of partition.images()) {
      if (name.startsWith('customer|')) checkOne(partition, name.slice('customer|'.length), positions);
    }
  }
}

function checkOne(partition: TestPartition, id: string, positions: ReadonlyMap<string, PositionState[]>) {
  const { held, reservedE5Sek, reservedWh, positionCount, orders } = partition.get<CustomerState>(
    'customer',
    id,
  )!.context;
  const own = positions.get(id) ?? [];
  must(own.length === positionCount, `${id} has ${own.length} positions and counts ${positionCount}`);
  const buys = own.reduce((sum, { buy }) => sum + (buy?.amountE5Sek ?? 0), 0);
  must(buys === reservedE5Sek, `${id} has reserved ${reservedE5Sek} for buys of ${buys}`);
  let wh = 0;
  for (const { instrument, pending, reserved, sell } of own) {
    const units = sell?.units ?? 0;
    must((sell?.trigger ?? null) !== null || units === 0, `${id} has units set aside without a trigger`);
    if (instrument.startsWith('energy:')) {
      wh += units;
      continue;
    }
    must(reserved === units, `${id} has reserved ${reserved} of ${instrument} for ${units}`);
    const sold = held.reduce(
      (sum, one) => sum + (one.side === 'sell' && `symbol:${one.symbol}` === instrument ? one.held : 0),
      0,
    );
    must(pending === sold, `${id} holds ${pending} of ${instrument}, its orders ${sold}`);
  }
  must(wh === reservedWh, `${id} has reserved ${reservedWh} Wh for ${wh}`);
  const numbers = held.map(({ n }) => n);
  must(
    numbers.every((n, i) => i === 0 || n > numbers[i - 1]!),
    `the holds of ${id} are out of order`,
  );
  must(orders.length <= 32, `${id} has ${orders.length} orders`);
}

function must(holds: boolean, what: string) {
  if (!holds) throw new Error(what);
}
