import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { validateXML } from 'xmllint-wasm';
import { writeDump, type DumpEntry } from './dump.ts';
import { checkDump, referenceBounds } from './dump_check.ts';
import { someEntries } from './testing.ts';

const schema = join(import.meta.dirname, '../../../shared/data/workloads/logfile.xsd');

async function dumpOf(entries: Iterable<DumpEntry>): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of writeDump(entries)) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}
/** In pieces of so many bytes. */
async function* pieces(text: string, bytes = 1_000_000) {
  const whole = Buffer.from(text);
  for (let at = 0; at < whole.length; at += bytes) yield whole.subarray(at, at + bytes);
}
const check = (text: string, bytes?: number) => checkDump(pieces(text, bytes), referenceBounds);
const inSchema = async (xml: string) => validateXML({ xml, schema: readFileSync(schema, 'utf8') });

const head = { timestamp: 1_546_300_800_001, server: 'gw', transactionNum: 1 };
const one: DumpEntry[] = [
  {
    ...{ type: 'userCommand', ...head, command: 'BUY', username: 'anna', stockSymbol: 'S' },
    ...{ filename: './out', fundsE5: 27_683_000 },
  },
  {
    ...{ type: 'quoteServer', ...head, priceE5: 1_000, stockSymbol: 'S', username: 'anna' },
    ...{ quoteServerTime: 17, cryptokey: 'a-b_c' },
  },
  { type: 'accountTransaction', ...head, action: 'remove', username: 'anna', fundsE5: 1 },
  { type: 'systemEvent', ...head, command: 'SET_BUY_TRIGGER' },
  { type: 'errorEvent', ...head, command: 'SELL', username: 'anna', errorMessage: 'a < b & "c"' },
  { type: 'debugEvent', ...head, command: 'DUMPLOG', debugMessage: 'x' },
];

describe('what is written', () => {
  test('is one line an entry, its elements in the order of the schema', async () => {
    const common = '<timestamp>1546300800001</timestamp><server>gw</server><transactionNum>1</transactionNum>';
    const anna = '<username>anna</username>';
    expect((await dumpOf(one)).split('\n')).toEqual([
      '<?xml version="1.0" encoding="UTF-8"?>',
      '<log>',
      ` <userCommand>${common}<command>BUY</command>${anna}<stockSymbol>S</stockSymbol><filename>./out</filename>` +
        '<funds>276.83</funds></userCommand>',
      ` <quoteServer>${common}<price>0.01</price><stockSymbol>S</stockSymbol>${anna}` +
        '<quoteServerTime>17</quoteServerTime><cryptokey>a-b_c</cryptokey></quoteServer>',
      ` <accountTransaction>${common}<action>remove</action>${anna}<funds>0.00001</funds></accountTransaction>`,
      ` <systemEvent>${common}<command>SET_BUY_TRIGGER</command></systemEvent>`,
      ` <errorEvent>${common}<command>SELL</command>${anna}` +
        '<errorMessage>a &lt; b &amp; &quot;c&quot;</errorMessage></errorEvent>',
      ` <debugEvent>${common}<command>DUMPLOG</command><debugMessage>x</debugMessage></debugEvent>`,
      '</log>',
      '',
    ]);
  });

  test('has funds of two decimals, and of five where two would not be exact', async () => {
    const amounts = [0, 1_000, 999, 100_000, 123_456_789, 9_007_199_254_740_991, 7_661_122_413_600_000];
    const text = await dumpOf(amounts.map((fundsE5) => ({ ...one[2], fundsE5 }) as DumpEntry));
    expect([...text.matchAll(/<funds>(.*?)</g)].map(([, funds]) => funds)).toEqual([
      ...['0.00', '0.01', '0.00999', '1.00', '1234.56789'],
      ...['90071992547.40991', '76611224136.00'],
    ]);
  });

  test('leaves out a symbol of more than three characters, control characters and halves of pairs', async () => {
    const username = 'a\u0000b\u0007\n\t\u0085c\ud800d\udc00\uffff😀';
    const text = await dumpOf([{ type: 'userCommand', ...head, command: 'BUY', username, stockSymbol: 'LONG' }]);
    expect(text).toContain('<username>abcd😀</username></userCommand>');
  });

  test.each([0, -1, 1.5, NaN])('refuses the transaction number %s', async (transactionNum) => {
    await expect(dumpOf([{ type: 'systemEvent', ...head, command: 'BUY', transactionNum }])).rejects.toThrow(
      RangeError,
    );
  });

  test('is valid however nasty its texts are, and checked the same in pieces of any size', async () => {
    const text = await dumpOf(someEntries(120));
    const verdict = await check(text);
    expect(verdict).toMatchObject({ isValid: true, problems: [], problemCount: 0 });
    expect(Object.values(verdict.entries)).toEqual([20, 20, 20, 20, 20, 20]);
    for (const bytes of [1, 7]) expect(await check(text, bytes)).toEqual(verdict);
  });

  test('adds up: what was added minus what was removed, for each user', async () => {
    const entry = (username: string, action: 'add' | 'remove', fundsE5: number): DumpEntry => ({
      ...{ type: 'accountTransaction', ...head, action, username, fundsE5 },
    });
    const entries = [entry('a', 'add', 500_000), entry('b', 'add', 7), entry('a', 'remove', 123_456), ...one];
    const { availableE5 } = await check(await dumpOf(entries));
    expect(Object.fromEntries(availableE5)).toEqual({ a: 376_544n, b: 7n, anna: -1n });
  });

  test('is out before more is read: entries that are not asked for are not read', async () => {
    let read = 0;
    function* counted() {
      for (const entry of someEntries(5_000)) {
        read += 1;
        yield entry;
      }
    }
    let written = 0;
    for await (const chunk of writeDump(counted())) {
      written += chunk.length;
      // An entry has some 250 bytes.
      expect(read * 100).toBeLessThan(written);
      expect(chunk.length).toBeLessThan(100_000);
    }
    expect(read).toBe(5_000);
  });
});

const line = (inside: string) => `<?xml version="1.0"?>\n<log>\n <userCommand>\n${inside}</userCommand>\n</log>\n`;
const required =
  '<timestamp>1546300800001</timestamp>\n<server>gw</server>\n<transactionNum>1</transactionNum>\n<command>BUY</command>\n';
/** What is wrong, the problem, its line, and whether the reference schema says so, too. */
const broken: [why: string, xml: string, code: string, line: number, bySchema: boolean][] = [
  ['nothing', '', 'not_xml', 1, true],
  ['another root', '<logs></logs>', 'wrong_root', 1, true],
  ['two roots', '<log></log>\n<log></log>', 'not_xml', 2, true],
  ['an unfinished document', '<log>\n<userCommand>\n', 'not_xml', 3, true],
  ['tags that cross', '<log>\n<userCommand>\n</log></userCommand>', 'not_xml', 3, true],
  ['an entry of no known type', '<log>\n<command/></log>', 'unknown_entry', 2, true],
  ['an attribute', '<log>\n<userCommand a="1"></userCommand></log>', 'attribute', 2, true],
  ['text between entries', '<log>\n\nhello\n</log>', 'stray_text', 3, true],
  ['no command', line(required.replace(/<command>.*\n/, '')), 'missing_element', 7, true],
  ['an unknown element', line(`${required}<fund>1</fund>`), 'unknown_element', 8, true],
  ["another entry's element", line(`${required}<cryptokey>1</cryptokey>`), 'unknown_element', 8, true],
  ['an element twice', line(`${required}<server>x</server>`), 'repeated_element', 8, true],
  ['an element in an element', line(`${required}<username><b>x</b></username>`), 'unknown_element', 8, true],
  ['a time before 2019', line(required.replace('1546300800001', '1546300799999')), 'outside_bounds', 4, true],
  ['a time after April', line(required.replace('1546300800001', '1556668800001')), 'outside_bounds', 4, true],
  ['a time with decimals', line(required.replace('1546300800001', '1546300800001.5')), 'bad_value', 4, true],
  ['transaction 0', line(required.replace('>1<', '>0<')), 'bad_value', 6, true],
  ['an unknown command', line(required.replace('BUY', 'BYE')), 'bad_value', 7, true],
  ['a long symbol', line(`${required}<stockSymbol>LONG</stockSymbol>`), 'bad_value', 8, true],
  ['funds with an exponent', line(`${required}<funds>1e5</funds>`), 'bad_value', 8, true],
  ['funds of one decimal', line(`${required}<funds>1.5</funds>`), 'bad_value', 8, false],
  ['a bare ampersand', line(`${required}<username>a&b</username>`), 'not_xml', 8, true],
  ['a control character', line(`${required}<username>\u0001</username>`), 'not_xml', 1, true],
  ['a reference to one', line(`${required}<username>&#1;</username>`), 'not_xml', 8, true],
  ['a document type', '<!DOCTYPE log>\n<log></log>', 'not_xml', 1, false],
];

test.each(broken)('%s is found, with its line', async (_, xml, code, line) => {
  for (const bytes of [1, 1_000]) {
    const { isValid, problems } = await check(xml, bytes);
    expect(isValid).toBe(false);
    expect(problems[0]).toMatchObject(code === 'not_xml' && line === 1 ? { code } : { code, line });
  }
});

test('bytes that are no UTF-8 are found', async () => {
  const bytes = Buffer.from([...Buffer.from('<log>\n'), 0xff, ...Buffer.from('</log>')]);
  const verdict = await checkDump(
    (async function* () {
      yield bytes;
    })(),
    referenceBounds,
  );
  expect(verdict.problems).toMatchObject([{ code: 'not_xml' }]);
});

test('bounds of time are given by who asks, and many problems are counted and a hundred kept', async () => {
  const text = await dumpOf(someEntries(300));
  const now = await checkDump(pieces(text), { from: 1_800_000_000_000, to: 1_900_000_000_000 });
  expect(now).toMatchObject({ isValid: false, problemCount: 300 });
  expect(now.problems).toHaveLength(100);
  expect(now.problems[99]).toMatchObject({ code: 'outside_bounds', line: 102 });
});

describe.skipIf(!existsSync(schema))('the reference schema (needs logfile.xsd)', { timeout: 120_000 }, () => {
  test('accepts what is written, whatever is in it', async () => {
    const entries = fc.array(
      fc.record({
        type: fc.constantFrom('userCommand', 'errorEvent', 'debugEvent', 'systemEvent'),
        timestamp: fc.integer({ min: referenceBounds.from, max: referenceBounds.to }),
        transactionNum: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
        server: fc.string({ unit: 'binary' }),
        command: fc.constantFrom('ADD', 'DUMPLOG', 'CANCEL_SET_SELL'),
        username: fc.string({ unit: 'binary' }),
        stockSymbol: fc.string({ unit: 'binary', maxLength: 5 }),
        fundsE5: fc.maxSafeNat(),
        errorMessage: fc.string({ unit: 'binary' }),
        debugMessage: fc.string({ unit: 'binary' }),
      }),
      { minLength: 50, maxLength: 100 },
    );
    const samples = fc.sample(entries, { seed: 7, numRuns: 4 }).flat() as DumpEntry[];
    const xml = await dumpOf([...one, ...someEntries(300), ...samples]);
    expect(await inSchema(xml)).toMatchObject({ valid: true, errors: [] });
    expect(await check(xml)).toMatchObject({ isValid: true, problems: [] });
  });

  test('refuses what our own check refuses', async () => {
    const verdicts = await Promise.all(
      broken.map(async ([why, xml]) => {
        const { valid } = await inSchema(xml).catch(() => ({ valid: false }));
        return [why, !valid];
      }),
    );
    expect(verdicts).toEqual(broken.map(([why, , , , bySchema]) => [why, bySchema]));
  });
});
