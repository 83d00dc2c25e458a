import { expect, test } from 'vitest';
import { hashOf } from '../simulator/random.ts';
import { generateScript, type GenerateOptions } from './generate.ts';
import { parseScriptLine, scriptLine, type ScriptCommand } from './script.ts';
import { PlainBook, type BookRules } from './testing_book.ts';

const generate = (options: Partial<GenerateOptions> = {}) => [
  ...generateScript({ shape: 'coherent', users: 30, commands: 6_000, seed: 1, ...options }),
];
const counted = (commands: ScriptCommand[]) => {
  const counts: Record<string, number> = {};
  for (const { command } of commands) counts[command] = (counts[command] ?? 0) + 1;
  return counts;
};

test.each(['coherent', 'raw'] as const)('a %s script is the same for the same seed, and a script', (shape) => {
  const commands = generate({ shape });
  expect(commands).toEqual(generate({ shape }));
  expect(commands).not.toEqual(generate({ shape, seed: 2 }));
  expect(commands).toHaveLength(6_000);
  expect(new Set(commands.map(({ user }) => user)).size).toBe(31);
  expect(commands.at(-1)).toMatchObject({ command: 'DUMPLOG', user: null, line: 6_000 });
  for (const command of commands) expect(parseScriptLine(scriptLine(command), command.line)).toEqual(command);
  // All sixteen words, none of them rare.
  for (const n of Object.values({ ...counted(commands), DUMPLOG: 100 })) expect(n).toBeGreaterThan(15);
  expect(Object.keys(counted(commands))).toHaveLength(16);
});

/** Between 0.7 and 1.4 of a start, up and down as the script goes on. */
const movingPrice = (symbol: string, line: number) =>
  Math.floor(((2_000_000 + (hashOf(symbol) % 3_000_001)) * (105 + 35 * Math.sin(line / 700 + hashOf(symbol)))) / 100);

test.each<[string, BookRules]>([
  ['at 0.01 SEK by value', { rule: 'stack', price: () => 1_000, isByValue: true }],
  ['at 0.01 SEK by value, one pending order', { rule: 'slot', price: () => 1_000, isByValue: true }],
  ['by whole shares at prices that move', { rule: 'stack', price: movingPrice, isByValue: false }],
])('of a coherent script nothing fails: %s', (_, rules) => {
  for (const seed of [1, 2]) {
    const book = new PlainBook(rules);
    for (const command of generate({ seed })) book.apply(command);
    expect(book.failed.slice(0, 3), `seed ${seed}`).toEqual([]);
  }
});

test('of a raw script a good part fails, as of the recorded ones', () => {
  const book = new PlainBook({ rule: 'stack', price: () => 1_000, isByValue: true });
  for (const command of generate({ shape: 'raw', users: 100 })) book.apply(command);
  expect(book.failed.length).toBeGreaterThan(6_000 * 0.2);
  expect(book.failed.length).toBeLessThan(6_000 * 0.5);
});

test('fewer commands than users, and one command, are scripts, too', () => {
  expect(generate({ users: 100, commands: 3 }).map(({ command, user }) => [command, user])).toEqual([
    ['ADD', 'u000000'],
    ['ADD', 'u000001'],
    ['DUMPLOG', null],
  ]);
  expect(generate({ commands: 1 })).toHaveLength(1);
  expect(() => generate({ users: 0 })).toThrow('users is 1 to');
  expect(() => generate({ symbols: 677 })).toThrow('symbols is 1 to 676');
});
