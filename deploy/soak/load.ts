/**
 * The chargers of `npm run soak`, in a process of their own: one sample per charger and second, spread evenly over it.
 * Prints {"charging":N} when all sessions are open, then a line of figures per minute, until its input ends.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Charger, Tally } from '../bench/monitoring/charger.ts';
import { v16, v201 } from '../bench/monitoring/messages.ts';
import { identityOf } from '../bench/ocpp/fleet.ts';
import { endWithParent } from '../bench/ocpp/parent.ts';

endWithParent();
const { values: args } = parseArgs({
  options: {
    url: { type: 'string', default: '' },
    chargers: { type: 'string', default: '900' },
    tag: { type: 'string', default: '' },
    minute: { type: 'string', default: '60000' },
  },
});
const count = Number(args.chargers);
const everyMs = 1_000;
const openAtOnce = 25;

export interface MinuteOfLoad {
  minute: number;
  answered: number;
  /** Errors, unanswered messages and closed sockets. */
  failed: number;
  p50Ms: number;
  p99Ms: number;
  maxMs: number;
}

let tally = new Tally();
const chargers = Array.from(
  { length: count },
  (_, place) => new Charger(identityOf(place + 1), args.tag, place % 2 === 0 ? v16 : v201),
);
for (let n = 0; n < count; n += openAtOnce)
  await Promise.all(chargers.slice(n, n + openAtOnce).map((charger) => charger.begin(args.url, tally)));
console.log(JSON.stringify({ charging: count }));

tally = new Tally();
const began = performance.now();
for (const [place, charger] of chargers.entries())
  void (async () => {
    // What is late is sent as soon as the one before is answered, and counts from when it was due.
    for (let dueAt = began + (place * everyMs) / count; !charger.closed; dueAt += everyMs) {
      await delay(Math.max(0, dueAt - performance.now()));
      await charger.sample(dueAt, tally);
    }
  })();
for (let minute = 1; ; minute++) {
  await delay(Math.max(0, began + minute * Number(args.minute) - performance.now()));
  const { answered, errors, unanswered, latencies } = tally;
  tally = new Tally();
  const { p50Ms, p99Ms, maxMs } = latencies.report();
  const failed = errors + unanswered + chargers.filter(({ closed }) => closed).length;
  const line: MinuteOfLoad = { minute, answered, failed, p50Ms, p99Ms, maxMs };
  console.log(JSON.stringify(line));
}
