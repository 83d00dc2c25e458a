/**
 * Scripts made of a seed. `raw` has the shape of the recorded course workloads: commands by their frequency there, whoever and
 * whatever they are about, so that many fail. `coherent` is what traders do: a command is only given when it can succeed, with
 * holdings taken at what was paid for them. It stays so while prices stay within half and double of what was paid, orders
 * live as long as the script, and no trigger fires (their prices are far off).
 */
import { Random } from '../simulator/random.ts';
import type { CommandName } from './commands.ts';
import type { ScriptCommand } from './script.ts';

export interface GenerateOptions {
  shape: 'coherent' | 'raw';
  users: number;
  /** Lines, the DUMPLOG of all at the end included. */
  commands: number;
  seed: number;
  /** @default 200, at most 676 */ symbols?: number;
}

/** How often each came in 100,000 recorded commands. */
const frequencies: Partial<Record<CommandName, number>> = {
  ...{ ADD: 11_034, QUOTE: 13_206, BUY: 13_945, COMMIT_BUY: 8_048, CANCEL_BUY: 2_446 },
  ...{ SELL: 6_222, COMMIT_SELL: 4_206, CANCEL_SELL: 2_027, DISPLAY_SUMMARY: 9_118 },
  ...{ SET_BUY_AMOUNT: 5_012, SET_BUY_TRIGGER: 8_564, CANCEL_SET_BUY: 1_967 },
  ...{ SET_SELL_AMOUNT: 4_415, SET_SELL_TRIGGER: 7_309, CANCEL_SET_SELL: 2_480 },
};

const sek = 100_000;
const ore = 1_000;
/** An integer number of öre within, 10⁻⁵ SEK. */
const between = (random: Random, leastSek: number, mostSek: number) =>
  leastSek * sek + random.below((mostSek - leastSek) * 100 + 1) * ore;

const userOf = (n: number) => `u${String(n).padStart(6, '0')}`;
const letter = (n: number) => String.fromCharCode(65 + n);
const symbolOf = (n: number) => `${letter(Math.floor(n / 26))}${letter(n % 26)}`;

type Chosen = { command: CommandName } & Partial<Pick<ScriptCommand, 'symbol' | 'amountE5Sek'>>;

/** @throws {RangeError} on what cannot be generated */
export function* generateScript({
  shape,
  users,
  commands,
  seed,
  symbols = 200,
}: GenerateOptions): Generator<ScriptCommand> {
  for (const [name, value, most] of [
    ['users', users, 1_000_000],
    ['commands', commands, 1e9],
    ['symbols', symbols, 676],
  ] as const)
    if (!Number.isSafeInteger(value) || value < 1 || value > most)
      throw new RangeError(`${name} is 1 to ${most}, not ${value}`);
  const random = new Random(`${shape} script ${seed}`);
  const choose = shape === 'raw' ? rawChoice(random, symbols) : coherentChoice(random, symbols);
  const last = commands;
  for (let line = 1; line < last; line += 1) {
    // Everybody pays in first.
    const n = line <= users ? line - 1 : random.below(users);
    const chosen = line <= users ? paysIn(random) : choose(n);
    yield { line, transactionNum: line, user: userOf(n), symbol: null, amountE5Sek: null, filename: null, ...chosen };
  }
  yield {
    ...{ line: last, transactionNum: last, command: 'DUMPLOG' },
    ...{ user: null, symbol: null, amountE5Sek: null, filename: './dump' },
  };
}

const paysIn = (random: Random): Chosen => ({ command: 'ADD', amountE5Sek: between(random, 30_000, 110_000) });

function rawChoice(random: Random, symbols: number): (user: number) => Chosen {
  const names = Object.keys(frequencies) as CommandName[];
  const weights = Object.values(frequencies);
  return () => {
    const command = names[random.weighted(weights)]!;
    if (command === 'ADD') return paysIn(random);
    const symbol = symbolOf(random.below(symbols));
    if (/^(QUOTE|CANCEL_SET_)/.test(command)) return { command, symbol };
    if (/^(BUY|SELL|SET_.*_AMOUNT)$/.test(command)) return { command, symbol, amountE5Sek: between(random, 1, 750) };
    if (command.startsWith('SET_')) return { command, symbol, amountE5Sek: between(random, 1, 250) };
    return { command };
  };
}

interface Order {
  symbol: string;
  amountE5: number;
}

/** What a trader has at least, 10⁻⁵ SEK. */
interface Trader {
  money: number;
  holdings: Map<string, number>;
  buy: Order | null;
  sell: Order | null;
  /** A buy reserve and a sell amount, armed or not. */
  buySet: Order | null;
  sellSet: Order | null;
}

const orderLeastSek = 200;
const orderMostSek = 2_000;

function coherentChoice(random: Random, symbols: number): (user: number) => Chosen {
  const traders = new Map<number, Trader>();
  const order = (money: number) => Math.min(between(random, orderLeastSek, orderMostSek), money);
  /** Holdings of which an order can be sold, even at half their price. */
  const sellable = ({ holdings }: Trader) => [...holdings].filter(([, worth]) => worth >= 2 * orderLeastSek * sek);
  /** Part of one of them: half of what it is worth may be all of it at half the price. */
  const taken = (trader: Trader): Order => {
    const enough = sellable(trader);
    const [symbol, worth] = enough[random.below(enough.length)]!;
    const [least, most] = [orderLeastSek * 100, Math.floor(worth / 2 / ore)];
    const amountE5 = (least + random.below(most - least + 1)) * ore;
    hold(trader, symbol, -2 * amountE5);
    return { symbol, amountE5 };
  };
  const hold = (trader: Trader, symbol: string, worth: number) =>
    trader.holdings.set(symbol, (trader.holdings.get(symbol) ?? 0) + worth);

  /** What can be done next, each by its weight; what is chosen is noted as done. */
  function options(trader: Trader): [weight: number, act: () => Chosen][] {
    const { buy, sell, buySet, sellSet } = trader;
    const canSell = (sell === null || sellSet === null) && sellable(trader).length > 0;
    const anySymbol = () => symbolOf(random.below(symbols));
    const all: [number, boolean, () => Chosen][] = [
      [9, true, () => ({ command: 'DISPLAY_SUMMARY' })],
      [13, true, () => ({ command: 'QUOTE', symbol: anySymbol() })],
      [11, true, () => paysIn(random)],
      // Who has an order decides soon: held prices are short-lived.
      [
        70,
        buy !== null,
        () => {
          hold(trader, buy!.symbol, buy!.amountE5);
          trader.buy = null;
          return { command: 'COMMIT_BUY' };
        },
      ],
      [
        20,
        buy !== null,
        () => {
          trader.money += buy!.amountE5;
          trader.buy = null;
          return { command: 'CANCEL_BUY' };
        },
      ],
      [
        70,
        sell !== null,
        () => {
          trader.sell = null;
          return { command: 'COMMIT_SELL' };
        },
      ],
      [
        20,
        sell !== null,
        () => {
          hold(trader, sell!.symbol, sell!.amountE5);
          trader.sell = null;
          return { command: 'CANCEL_SELL' };
        },
      ],
      [
        14,
        buy === null && trader.money >= orderLeastSek * sek,
        () => {
          trader.buy = { symbol: anySymbol(), amountE5: order(trader.money) };
          trader.money -= trader.buy.amountE5;
          return { command: 'BUY', symbol: trader.buy.symbol, amountE5Sek: trader.buy.amountE5 };
        },
      ],
      [
        14,
        sell === null && canSell,
        () => {
          trader.sell = taken(trader);
          return { command: 'SELL', symbol: trader.sell.symbol, amountE5Sek: trader.sell.amountE5 };
        },
      ],
      [
        5,
        buySet === null && trader.money >= orderLeastSek * sek,
        () => {
          trader.buySet = { symbol: anySymbol(), amountE5: order(trader.money) };
          trader.money -= trader.buySet.amountE5;
          return { command: 'SET_BUY_AMOUNT', symbol: trader.buySet.symbol, amountE5Sek: trader.buySet.amountE5 };
        },
      ],
      [
        8,
        buySet !== null,
        () => ({ command: 'SET_BUY_TRIGGER', symbol: buySet!.symbol, amountE5Sek: between(random, 1, 2) }),
      ],
      [
        4,
        buySet !== null,
        () => {
          trader.money += buySet!.amountE5;
          trader.buySet = null;
          return { command: 'CANCEL_SET_BUY', symbol: buySet!.symbol };
        },
      ],
      [
        5,
        sellSet === null && canSell,
        () => {
          trader.sellSet = taken(trader);
          return { command: 'SET_SELL_AMOUNT', symbol: trader.sellSet.symbol, amountE5Sek: trader.sellSet.amountE5 };
        },
      ],
      [
        8,
        sellSet !== null,
        () => {
          // At the whole amount for one share it is far above the price.
          return { command: 'SET_SELL_TRIGGER', symbol: sellSet!.symbol, amountE5Sek: sellSet!.amountE5 };
        },
      ],
      [
        4,
        sellSet !== null,
        () => {
          hold(trader, sellSet!.symbol, sellSet!.amountE5);
          trader.sellSet = null;
          return { command: 'CANCEL_SET_SELL', symbol: sellSet!.symbol };
        },
      ],
    ];
    return all.flatMap(([weight, isPossible, act]) => (isPossible ? [[weight, act] as [number, () => Chosen]] : []));
  }

  return (user) => {
    let trader = traders.get(user);
    if (trader === undefined) {
      trader = { money: 30_000 * sek, holdings: new Map(), buy: null, sell: null, buySet: null, sellSet: null };
      traders.set(user, trader);
    }
    const possible = options(trader);
    const chosen = possible[random.weighted(possible.map(([weight]) => weight))]![1]();
    if (chosen.command === 'ADD') trader.money += chosen.amountE5Sek ?? 0;
    return chosen;
  };
}
