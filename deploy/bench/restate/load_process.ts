/**
 * Closed-loop load at an HTTP ingress: every caller adds to the next of its own keys when its last call is answered, and
 * compares the answer with its own count. Arguments: url, callers, keys, warm-up (s), measured (s). Prints one JSON line.
 */
import { Agent, request } from 'node:http';
import { closedLoop, type Phase } from '../lib/closed_loop.ts';
import { Latencies } from '../lib/latencies.ts';

const [url = '', ...numbers] = process.argv.slice(2);
const [callers = 256, keys = 10_000, warmUpS = 5, measuredS = 10] = numbers.map(Number);
const agent = new Agent({ keepAlive: true, maxSockets: callers });
const { hostname, port } = new URL(url);
const amount = '1';
const requestMs = 30_000;
const headers = { 'content-type': 'application/json', 'content-length': amount.length };

const latencies = new Latencies();
let requests = 0;
let wrong = 0;
const codes: Record<string, number> = {};

const add = (key: string) =>
  new Promise<{ status: number; text: string }>((resolve, reject) => {
    const call = request(
      { agent, hostname, port, method: 'POST', path: `/Counter/${key}/add`, headers },
      (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (part: string) => (text += part));
        response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
        response.on('error', reject);
      },
    );
    call.on('error', reject);
    call.setTimeout(requestMs, () => call.destroy(new Error('no answer')));
    call.end(amount);
  });

async function call(caller: number, phase: Readonly<Phase>): Promise<void> {
  const own = Array.from({ length: Math.ceil((keys - caller) / callers) }, (_, i) => caller + i * callers);
  const balances = new Map<number, number>();
  for (let turn = 0; !phase.over; turn++) {
    const key = own[turn % own.length]!;
    const started = performance.now();
    try {
      const { status, text } = await add(`bench-${key}`);
      if (status !== 200) throw new Error(`${status}`);
      const known = balances.get(key);
      const value = Number(text);
      if (known !== undefined && value !== known + Number(amount)) wrong += 1;
      balances.set(key, value);
      if (!phase.measured) continue;
      latencies.add(performance.now() - started);
      requests += 1;
    } catch (error) {
      const code = (error as Error).message.slice(0, 60);
      codes[code] = (codes[code] ?? 0) + 1;
      balances.delete(key);
    }
  }
}

const elapsedS = await closedLoop({ callers, warmUpS, measuredS }, call);
process.stdout.write(
  `${JSON.stringify({ requests, commands: requests, elapsedS, wrong, codes, ...latencies.report() })}\n`,
);
process.exit(0);
