/** Dumps of any size, made of a seed, also in a process of their own. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { hashOf } from '../simulator/random.ts';
import { commandNames } from './commands.ts';
import { virtualTime, type DumpEntry } from './dump.ts';

/** Texts that XML must not take as they are. */
export const nastyTexts = [
  'a<b>&"c\'',
  ']]> <!-- x -->',
  'tab\tline\nend\r',
  'nul\u0000bell\u0007del\u007fnel\u0085',
  'lone \ud800 and \udc00, pair 😀',
  '\ufffe\uffff',
  'Öre €',
  '',
  '&amp;',
];

/** `count` entries of all types in turn, the same for the same `seed`. */
export function* someEntries(count: number, seed = 1): Generator<DumpEntry> {
  for (let n = 1; n <= count; n += 1) {
    const h = hashOf(`${seed} ${n}`);
    const nasty = nastyTexts[h % nastyTexts.length]!;
    const head = { timestamp: virtualTime(n), server: `gw-${h % 3}`, transactionNum: n };
    const command = commandNames[h % commandNames.length]!;
    const username = h % 50 === 0 ? nasty : `user${h % 97}`;
    const fundsE5 = h % 1_000_000_000;
    const about = { ...head, command, username, stockSymbol: 'ABC'.slice(0, 1 + (h % 3)), fundsE5 };
    switch (n % 6) {
      case 0:
        yield { type: 'userCommand', ...about };
        break;
      case 1:
        yield {
          ...{ type: 'quoteServer', ...head, priceE5: 1 + fundsE5, stockSymbol: 'S', username },
          ...{ quoteServerTime: head.timestamp, cryptokey: `${h}+/=` },
        };
        break;
      case 2:
        yield { type: 'accountTransaction', ...head, action: h % 3 ? 'add' : 'remove', username, fundsE5 };
        break;
      case 3:
        yield { type: 'systemEvent', ...head, command, username };
        break;
      case 4:
        yield { type: 'errorEvent', ...about, errorMessage: nasty };
        break;
      default:
        yield { type: 'debugEvent', ...head, command, filename: './a dump', debugMessage: nasty };
    }
  }
}

/** A dump of 100 MB in a process that is ended when it gathers it; by how much its memory grew, bytes. */
export function hugeDump(...more: 'check'[]): { isValid: boolean | null; written: number; grownBytes: number } {
  const script = join(import.meta.dirname, 'testing_dump_child.ts');
  const flags = ['--conditions=source', '--import', 'tsx', '--max-old-space-size=56', '--max-semi-space-size=2'];
  const told = execFileSync(process.execPath, [...flags, script, '100000000', ...more], { timeout: 300_000 });
  return JSON.parse(told.toString()) as ReturnType<typeof hugeDump>;
}
