/**
 * Open-loop load: commands fall due by the clock whether or not earlier ones were answered, each with its own id, over
 * 10,000 keys. Every reply is awaited and compared with a shadow balance of its own; nothing is sampled.
 * Arguments: rate (commands/s), warm-up (s), measured (s), run name. Prints one JSON line.
 */
import { connectLog, openDoor } from '#engine/log/mod';
import { Latencies } from '../lib/latencies.ts';

const [rate = 60_000, warmUpS = 10, measuredS = 30] = process.argv.slice(2, 5).map(Number);
const run = process.argv[5] ?? 'bench';
const keys = 10_000;
const partitions = Number(process.env['GRIDTICK_PARTITIONS'] ?? 16);
const kinds = ['add', 'hold', 'post'] as const;

const nc = await connectLog(process.env['GRIDTICK_NATS_URL']!, 'load');
const door = await openDoor(nc, { name: 'load', partitions, inFlightMax: 32_768 });

interface Account {
  id: string;
  to: { kind: string; key: string; id: string };
  /** Its dense series of command ids: a refusal ends one and begins the next. */
  series: number;
  n: number;
  available: number;
}
const accounts = Array.from({ length: keys }, (_, i): Account => {
  const id = `${run}-${i}`;
  return { id, to: { kind: 'account', key: id, id }, series: 0, n: 0, available: 0 };
});
const bodies = { add: { amount: 3 }, hold: { amount: 2 }, post: { amount: 2 } };
const changes = { add: 3, hold: -2, post: 0 };
const latencies = new Latencies();
let sent = 0,
  answered = 0,
  refused = 0,
  wrong = 0,
  errors = 0;
const codes: Record<string, number> = {};

/** Adds 3, holds 2, posts 2 in turn. The answers of an account come in its own order, so each is known beforehand. */
function issue(account: Account, dueAt: number, measured: boolean) {
  const type = kinds[account.n % 3]!;
  account.n += 1;
  sent += 1;
  const { series } = account;
  const id = `${run}.${series}:${account.n}`;
  door.request({ id, to: account.to, type, body: bodies[type], timeoutMs: 30_000 }).then(
    (result) => {
      answered += 1;
      if (result.ok) {
        account.available += changes[type];
        if (result.value !== account.available) wrong += 1;
      } else {
        refused += 1;
        codes[result.code] = (codes[result.code] ?? 0) + 1;
        if (account.series === series) Object.assign(account, { series: series + 1, n: 0 });
      }
      if (measured) latencies.add(performance.now() - dueAt);
    },
    (error: Error) => {
      errors += 1;
      codes[error.message.slice(0, 60)] = (codes[error.message.slice(0, 60)] ?? 0) + 1;
    },
  );
}

/**
 * Sends what is due every turn until `seconds` are over; resolves to the number sent. The warm-up rises from nothing to the
 * full rate in its first half: cold code is not what is measured.
 */
async function drive(seconds: number, measured: boolean): Promise<number> {
  const started = performance.now();
  let issued = 0;
  let seed = 1;
  for (;;) {
    const elapsed = performance.now() - started;
    const rising = measured ? 0 : (seconds * 1_000) / 2;
    const dueMs = elapsed < rising ? (elapsed * elapsed) / (2 * rising) : elapsed - rising / 2;
    const due = Math.min(Math.floor((dueMs / 1_000) * rate), rate * seconds);
    for (; issued < due; issued++) {
      seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
      issue(accounts[seed % keys]!, started + (issued / rate) * 1_000, measured);
    }
    if (elapsed >= seconds * 1_000) return issued;
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

process.send?.({ phase: 'warm-up' });
await drive(warmUpS, false);
process.send?.({ phase: 'measured' });
const before = { answered, at: performance.now() };
const issued = await drive(measuredS, true);
const waiting = sent - answered - errors;
const during = answered - before.answered;
const seconds = (performance.now() - before.at) / 1_000;
process.send?.({ phase: 'drain' });
const drainedFrom = performance.now();
while (answered + errors < sent && performance.now() - drainedFrom < 60_000)
  await new Promise((resolve) => setTimeout(resolve, 5));
process.stdout.write(
  `${JSON.stringify({
    rate,
    issued,
    perSecond: Math.round(during / seconds),
    waitingAtEnd: waiting,
    drainMs: Math.round(performance.now() - drainedFrom),
    sent,
    answered,
    refused,
    wrong,
    errors,
    codes,
    ...latencies.report(),
  })}\n`,
);
await door.close();
await nc.close();
process.exit(0);
