/**
 * The chargers of `npm run bench -- monitoring`, in a process of their own: every other one speaks 2.0.1, each has an open
 * session and gives a sample per interval, all of them spread evenly over it.
 *
 *   --url ws://127.0.0.1:9220/ocpp  --chargers 500  --every 10000  --tag BENCH-TAG
 *
 * Prints {"charging":N} when all sessions are open. On stdin: `measure` counts from here, `end` sends nothing more, waits for
 * what is under way and prints the result.
 */
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { identityOf } from '../ocpp/fleet.ts';
import { endWithParent } from '../ocpp/parent.ts';
import { Charger, Tally } from './charger.ts';
import { v16, v201 } from './messages.ts';

endWithParent();
const { values: args } = parseArgs({
  options: {
    url: { type: 'string', default: 'ws://127.0.0.1:9220/ocpp' },
    chargers: { type: 'string', default: '500' },
    every: { type: 'string', default: '10000' },
    tag: { type: 'string', default: 'BENCH-TAG' },
  },
});
const [count, everyMs] = [Number(args.chargers), Number(args.every)];
const openAtOnce = 50;
/** Golden section: neighbours, who belong to the same site, do not speak at the same time. */
const phaseOf = (place: number) => ((place * 0.618_034) % 1) * everyMs;

export interface LoadResult {
  sent: number;
  answered: number;
  errors: number;
  unanswered: number;
  /** Sockets that the system closed. */
  closed: number;
  p50Ms: number;
  p99Ms: number;
  maxMs: number;
  /** Answered samples since the beginning. */
  samples: number;
}

let tally = new Tally();
let ended = false;

/** One sample per interval, never two at a time: what is late is sent as soon as the one before is answered. */
async function charge(charger: Charger, firstAt: number): Promise<void> {
  for (let dueAt = firstAt; ; dueAt += everyMs) {
    await delay(Math.max(0, dueAt - performance.now()));
    if (ended || charger.closed) return;
    await charger.sample(dueAt, tally);
  }
}

const chargers = Array.from(
  { length: count },
  (_, place) => new Charger(identityOf(place + 1), args.tag, place % 2 === 0 ? v16 : v201),
);
const lines = createInterface({ input: process.stdin });
const end = new Promise<void>((resolve) =>
  lines.on('line', (line) => {
    if (line === 'measure') tally = new Tally();
    else if (line === 'end') {
      ended = true;
      resolve();
    }
  }),
);
for (let n = 0; n < count; n += openAtOnce)
  await Promise.all(chargers.slice(n, n + openAtOnce).map((charger) => charger.begin(args.url, tally)));
console.log(JSON.stringify({ charging: count }));

const began = performance.now();
const charging = chargers.map((charger, place) => charge(charger, began + phaseOf(place)));
await end;
await Promise.all(charging);
const { sent, answered, errors, unanswered, latencies } = tally;
const { p50Ms, p99Ms, maxMs } = latencies.report();
const result: LoadResult = {
  ...{ sent, answered, errors, unanswered, p50Ms, p99Ms, maxMs },
  closed: chargers.filter(({ closed }) => closed).length,
  samples: chargers.reduce((sum, { samples }) => sum + samples, 0),
};
console.log(JSON.stringify(result));
for (const charger of chargers) charger.close();
process.exit(0);
