/**
 * Plays a script into a book, and adds up what is left of it.
 *
 * P1 At most 16 commands of a user are on their way: so many results an engine has at hand, so what is sent again after a
 *    lost answer comes back with the result that it had, and the counts are exact whoever was killed meanwhile.
 */
import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { BookRules, SummaryReply } from '#actors/schema/trading';
import type { CommandResult } from '#engine/wire';
import { BookCaller, nobody, type BookCallerOptions, type BookRequest } from './book_caller.ts';
import { runInLanes } from './lanes.ts';
import { requestOf, type TradeRequest } from './request.ts';
import type { ScriptCommand } from './script.ts';
import { type Tally } from './tally.ts';

export interface PlayOptions extends BookCallerOptions {
  /** What the commands come from: the same source is the same script, so that it can be resumed. */
  source: string;
  commands: AsyncIterable<ScriptCommand> | Iterable<ScriptCommand>;
  tally: Tally;
  /** Batches on the way at once. */
  concurrency: number;
  /** Commands per second; null: as fast as they are decided. */
  rate: number | null;
  /** Called with the number of decided commands. */
  onProgress(decided: number): void;
}

/** Sums of all users of the book, 10⁻⁵ SEK and units. */
export interface Left {
  money: { available: number; pending: number; reserved: number };
  units: { available: number; pending: number; reserved: number };
  openBuyTriggers: number;
  openSellTriggers: number;
}

export interface Played {
  /** From the first command to the last answer. */
  seconds: number;
  left: Left;
}

const batchMax = 64;
const resultsKept = 16;
type Due = ScriptCommand & { dueAt: number };
interface Part {
  sent: Due[];
  requests: BookRequest[];
  ofUser: Map<string, number>;
}
const isRead = ({ type }: TradeRequest) => type === 'trade.quote' || type === 'trade.displaySummary';

/** @throws {Refusal} when the door refuses, or nothing is decided any more */
export async function play(options: PlayOptions): Promise<Played> {
  const { tally, concurrency, rate, commands } = options;
  const caller = new BookCaller(options);
  const series = createHash('sha256').update(options.source).digest('hex').slice(0, 8);
  const counts = new Map<string, number>();
  const idOf = (user: string) => {
    const n = (counts.get(user) ?? 0) + 1;
    counts.set(user, n);
    return `${series}:${n}`;
  };

  async function send(batch: readonly Due[]): Promise<void> {
    let part: Part = { sent: [], requests: [], ofUser: new Map() };
    for (const script of batch) {
      const request = requestOf(script);
      if (request === null) {
        tally.problem({ command: script.command, code: 'bad_symbol' });
        continue;
      }
      const user = script.user ?? nobody;
      if ((part.ofUser.get(user) ?? 0) >= resultsKept) {
        await sendPart(part);
        part = { sent: [], requests: [], ofUser: new Map() };
      }
      part.ofUser.set(user, (part.ofUser.get(user) ?? 0) + 1);
      part.requests.push({ user, id: isRead(request) ? null : idOf(user), ...request });
      part.sent.push(script);
    }
    await sendPart(part);
  }

  async function sendPart({ sent, requests }: Part): Promise<void> {
    if (requests.length === 0) return;
    const sentAt = performance.now();
    const results = await caller.send(requests);
    const now = performance.now();
    for (const [i, script] of sent.entries())
      tally.decided(script, results[i]!, now - (rate === null ? sentAt : script.dueAt));
    tally.quoteHits = caller.quoteHits;
    options.onProgress(tally.commands);
  }

  const startedAt = performance.now();
  await runInLanes(paced(commands, rate), send, { lanes: concurrency, batchMax });
  const seconds = (performance.now() - startedAt) / 1_000;
  return { seconds, left: await readLeft(caller, tally, concurrency, options.rules) };
}

/** Each at its time of an even flow, whatever became of those before. */
async function* paced(commands: PlayOptions['commands'], rate: number | null): AsyncGenerator<Due> {
  const startedAt = performance.now();
  let n = 0;
  for await (const command of commands) {
    const dueAt = rate === null ? 0 : startedAt + (n * 1_000) / rate;
    const early = dueAt - performance.now();
    if (early >= 1) await sleep(early);
    n += 1;
    yield { ...command, dueAt };
  }
}

async function readLeft(caller: BookCaller, tally: Tally, concurrency: number, { denomination }: BookRules) {
  const users = [...tally.users];
  const left: Left = {
    money: { available: 0, pending: 0, reserved: 0 },
    units: { available: 0, pending: 0, reserved: 0 },
    openBuyTriggers: 0,
    openSellTriggers: 0,
  };
  // Positions make a summary long: fewer at a time than of small commands.
  const perBatch = 4;
  async function read() {
    for (let batch = users.splice(0, perBatch); batch.length > 0; batch = users.splice(0, perBatch)) {
      const body = { txn: tally.lastTxn + 1, brief: false };
      const requests = batch.map((user): BookRequest => ({ user, id: null, type: 'trade.displaySummary', body }));
      for (const result of await caller.send(requests)) addUp(left, summaryOf(result), denomination);
    }
  }
  await Promise.all(Array.from({ length: concurrency }, read));
  return left;
}

function summaryOf(result: CommandResult): SummaryReply {
  if (result.ok) return result.value as SummaryReply;
  throw new Error(`a summary was refused: ${result.code}`);
}

function addUp(left: Left, { money, holdings, triggers }: SummaryReply, denomination: BookRules['denomination']): void {
  for (const part of ['available', 'pending', 'reserved'] as const) {
    left.money[part] += money[part];
    // By units, shares of different symbols do not add up.
    if (denomination === 'value') for (const holding of holdings) left.units[part] += holding[part];
  }
  for (const { side } of triggers)
    if (side === 'buy') left.openBuyTriggers += 1;
    else left.openSellTriggers += 1;
}
