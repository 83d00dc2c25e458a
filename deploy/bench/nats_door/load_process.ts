/**
 * Closed-loop load: every caller sends its next request when the last one is answered. Every answer is compared with the
 * caller's own count of the balance; nothing is sampled.
 * Arguments: mode (single, batch, echo), callers, customers, connections, warm-up (s), measured (s), run name. Every caller
 * goes round its own customers. Prints one JSON line.
 */
import { connectLog } from '#engine/log/mod';
import type { CommandResult } from '#engine/wire';
import { customerOf, exampleAnswer } from './names.ts';
import { closedLoop, type Phase } from '../lib/closed_loop.ts';
import { Latencies } from '../lib/latencies.ts';

const [mode = 'single', ...numbers] = process.argv.slice(2);
const [callers = 256, customers = 256, connections = 8, warmUpS = 5, measuredS = 10] = numbers.slice(0, 5).map(Number);
const run = numbers[5] ?? 'bench';
const url = process.env['GRIDTICK_BENCH_URL']!;
const perRequest = mode === 'batch' ? 64 : 1;
const amountE5Sek = 100_000;
const requestMs = 30_000;

const ncs = await Promise.all(Array.from({ length: connections }, () => connectLog(url, 'load')));
const latencies = new Latencies();
let requests = 0;
let commands = 0;
let wrong = 0;
const codes: Record<string, number> = {};
const count = (code: string) => (codes[code] = (codes[code] ?? 0) + 1);

type Answer = { id: string } & CommandResult;

/** A customer as its caller knows it: the number of the next command, and the balance that the last one left. */
interface Account {
  subject: string;
  next: number;
  balance: number | null;
}

/** One caller and its customers: numbers the commands of each densely and knows what the next balance must be. */
async function call(caller: number, phase: Readonly<Phase>): Promise<void> {
  const nc = ncs[caller % ncs.length]!;
  const accounts = Array.from({ length: Math.max(1, Math.ceil((customers - caller) / callers)) }, (_, i): Account => {
    const subject = mode === 'echo' ? 'echo' : `in.integrator.customer.${customerOf(caller + i * callers)}`;
    return { subject, next: 1, balance: null };
  });
  for (let turn = 0; !phase.over; turn++) {
    const account = accounts[turn % accounts.length]!;
    const { subject, next } = account;
    const sent = Array.from({ length: perRequest }, (_, i) => ({
      id: `${run}:${next + i}`,
      type: 'customer.deposit',
      body: { amountE5Sek },
    }));
    const started = performance.now();
    let answers: Answer[];
    try {
      const payload = JSON.stringify(mode === 'batch' ? { commands: sent } : sent[0]);
      const answer = (await nc.request(subject, payload, { timeout: requestMs })).json<
        Answer | { results: Answer[] }
      >();
      answers = 'results' in answer ? answer.results : [answer];
    } catch (error) {
      count((error as Error).message.slice(0, 60));
      continue;
    }
    if (phase.measured) {
      latencies.add(performance.now() - started);
      requests += 1;
    }
    if (mode === 'echo') {
      if (JSON.stringify(answers[0]) !== exampleAnswer) wrong += 1;
      if (phase.measured) commands += 1;
      continue;
    }
    for (const answer of answers) {
      if (!answer.ok) {
        count(answer.code);
        continue;
      }
      const { availableE5Sek } = answer.value as { availableE5Sek: number };
      // The first answer tells what earlier runs left.
      const due = account.balance === null ? availableE5Sek : account.balance + amountE5Sek;
      if (answer.id !== `${run}:${account.next}` || availableE5Sek !== due) wrong += 1;
      account.balance = availableE5Sek;
      account.next += 1;
      if (phase.measured) commands += 1;
    }
  }
}

const elapsedS = await closedLoop({ callers, warmUpS, measuredS }, call);
const line = { requests, commands, elapsedS, wrong, codes, ...latencies.report() };
process.stdout.write(`${JSON.stringify(line)}\n`);
for (const nc of ncs) await nc.close();
process.exit(0);
