import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseScriptLine, readScriptFile, scriptLine, type ScriptCommand, type ScriptProblem } from './script.ts';

let home: string;
beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'gridtick-script-'));
});
afterAll(() => rm(home, { recursive: true, force: true }));

async function read(bytes: string | Buffer) {
  const path = join(home, 'script');
  await writeFile(path, bytes);
  const problems: ScriptProblem[] = [];
  const commands: ScriptCommand[] = [];
  for await (const command of readScriptFile(path, (problem) => void problems.push(problem))) commands.push(command);
  return { commands, problems };
}

const none = { user: null, symbol: null, amountE5Sek: null, filename: null };
const anna = { ...none, user: 'anna' };

test.each<[string, Partial<ScriptCommand>]>([
  ['[1] ADD,anna,63511.53 ', { ...anna, command: 'ADD', amountE5Sek: 6_351_153_000 }],
  ['[1] ADD,anna,5', { ...anna, command: 'ADD', amountE5Sek: 500_000 }],
  ['[1] QUOTE,anna,S', { ...anna, command: 'QUOTE', symbol: 'S' }],
  ['[1] BUY,anna,ABC,0.01', { ...anna, command: 'BUY', symbol: 'ABC', amountE5Sek: 1_000 }],
  ['[1] COMMIT_BUY,anna\r', { ...anna, command: 'COMMIT_BUY' }],
  [
    '[1] SET_SELL_TRIGGER,anna,N01,51.9',
    { ...anna, command: 'SET_SELL_TRIGGER', symbol: 'N01', amountE5Sek: 5_190_000 },
  ],
  ['[1] DUMPLOG,anna,./testLOG', { ...anna, command: 'DUMPLOG', filename: './testLOG' }],
  ['[1] DUMPLOG,./testLOG', { ...none, command: 'DUMPLOG', filename: './testLOG' }],
  ['  [ 1 ]  ADD , anna , 1.00 ', { ...anna, command: 'ADD', amountE5Sek: 100_000 }],
  ['[1]DISPLAY_SUMMARY,anna', { ...anna, command: 'DISPLAY_SUMMARY' }],
])("'%s' is understood", (text, command) => {
  expect(parseScriptLine(text, 9)).toEqual({ line: 9, transactionNum: 1, ...command });
});

test.each([
  ['[1] ADD,anna,', 'bad_amount'],
  ['[1] ADD,anna,0', 'bad_amount'],
  ['[1] ADD,anna,0.00', 'bad_amount'],
  ['[1] ADD,anna,-1', 'bad_amount'],
  ['[1] ADD,anna,1.234', 'bad_amount'],
  ['[1] ADD,anna,1e3', 'bad_amount'],
  ['[1] ADD,anna,NaN', 'bad_amount'],
  ['[1] ADD,anna,1000000000.01', 'bad_amount'],
  ['[1] ADD,anna', 'wrong_arguments'],
  ['[1] ADD,anna,1,2', 'wrong_arguments'],
  ['[1] DUMPLOG', 'wrong_arguments'],
  ['[1] add,anna,1', 'unreadable_line'],
  ['[1] STEAL,anna,1', 'unknown_command'],
  ['[1] constructor,anna', 'unreadable_line'],
  ['[0] ADD,anna,1', 'unreadable_line'],
  ['[x] ADD,anna,1', 'unreadable_line'],
  ['[1', 'unreadable_line'],
  ['[1] ADD,,1', 'bad_user'],
  ['[1] ADD,an na,1', 'bad_user'],
  [`[1] ADD,${'a'.repeat(65)},1`, 'bad_user'],
  ['[1] QUOTE,anna,LONG', 'bad_symbol'],
  ['[1] QUOTE,anna,', 'bad_symbol'],
  ['[1] QUOTE,anna,A1', 'bad_symbol'],
  ['[1] DUMPLOG,anna,', 'bad_filename'],
  [`[1] DUMPLOG,anna,${'f'.repeat(300)}`, 'bad_filename'],
  ['\u0000\u0001', 'unreadable_line'],
])("'%s' is a problem: %s", (text, code) => {
  expect(parseScriptLine(text, 3)).toMatchObject({ line: 3, code });
});

test('a negative ADD is money that goes out only where the recorded outcomes are asked for, with their sign', () => {
  const amount = (text: string) => parseScriptLine(text, 1, { recordedSigns: true });
  expect(amount('[1] ADD,anna,-5.25')).toMatchObject({ command: 'ADD', amountE5Sek: -475_000 });
  expect(amount('[1] ADD,anna,-5')).toMatchObject({ amountE5Sek: -500_000 });
  expect(amount('[1] ADD,anna,5.25')).toMatchObject({ amountE5Sek: 525_000 });
  for (const text of ['[1] ADD,anna,-0.5', '[1] ADD,anna,--5', '[1] ADD,anna,-5.255', '[1] BUY,anna,S,-5.00'])
    expect(amount(text)).toMatchObject({ code: 'bad_amount' });
});

test('a script keeps its order and its line numbers; blank lines are nothing, bad ones are told', async () => {
  const text = '\uFEFF[1] ADD,anna,1\r\n\r\n  \nADD,bert,2\n[7] nonsense\n[8] ADD,anna,\n[9] COMMIT_BUY,anna';
  const { commands, problems } = await read(text);
  expect(commands.map(({ line, transactionNum, command }) => [line, transactionNum, command])).toEqual([
    [1, 1, 'ADD'],
    // Without a number its place in the file is one.
    [4, 4, 'ADD'],
    [7, 9, 'COMMIT_BUY'],
  ]);
  expect(problems).toEqual([
    { line: 5, code: 'unreadable_line', command: null, text: '[7] nonsense' },
    { line: 6, code: 'bad_amount', command: 'ADD', text: '[8] ADD,anna,' },
  ]);
});

test('a gzip is read like what it holds; a damaged or missing one is an error with its name', async () => {
  const text = Array.from({ length: 5_000 }, (_, i) => `[${i + 1}] ADD,user${i % 7},${i + 1}.00\r\n`).join('');
  expect(await read(gzipSync(text))).toEqual(await read(text));
  expect((await read(text)).commands).toHaveLength(5_000);
  await expect(read(gzipSync(text).subarray(0, 2_000))).rejects.toThrow(/cannot read the script .*script/);
  const missing = readScriptFile(join(home, 'missing'), () => undefined);
  await expect(missing.next()).rejects.toThrow('ENOENT');
});

test('empty files and endless lines harm nobody', async () => {
  for (const text of ['', '\n', '[']) expect((await read(text)).commands).toEqual([]);
  const { commands, problems } = await read(`${'x'.repeat(500_000)}\n[2] ADD,anna,1\n`);
  expect(problems).toMatchObject([{ line: 1, code: 'unreadable_line' }]);
  expect(problems[0]!.text.length).toBeLessThanOrEqual(100);
  expect(commands).toMatchObject([{ line: 2, command: 'ADD' }]);
});

test('what is written as a line reads as the same command', () => {
  for (const text of [
    '[12] SET_BUY_AMOUNT,anna,S,658.38',
    '[3] DUMPLOG,./out',
    '[4] DUMPLOG,anna,./out',
    '[5] ADD,u,1.00',
  ])
    expect(scriptLine(parseScriptLine(text, 1) as ScriptCommand)).toBe(text);
});
