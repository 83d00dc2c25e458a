/**
 * `npm run chaos`: does something to real processes under trade, fault by fault, and lets a checker say what became of every
 * command. Its table is written to RESULTS.md after every round; what is interrupted can be gone on with.
 */
import { parseArgs } from 'node:util';
import { Random } from '#gateway/simulator/random';
import { textTable } from '../lib/text_table.ts';
import { until } from '../system/installation.ts';
import { tallyOf } from '../system/money_tally.ts';
import { Bed } from './bed.ts';
import { check } from './checker.ts';
import { faults, type Fault } from './faults.ts';
import { cellsOf, head, interrupted, isBroken, note, noVerdict, totalOf, type Row, type Run } from './results.ts';
import { storeFaults, type StoreFault } from './store_faults.ts';

const usage = `npm run chaos -- [--rounds N | --kills N] [--only A,B] [--minutes M] [--seed N] [--resume] [--list]
  --rounds N   every fault, N times @default 1
  --only A,B   of them those whose names contain A or B
  --kills N    N rounds of kill -9: of each role and server at a random moment and at each failpoint, in turn
  --minutes M  begins no round after that; --resume goes on with the run that ended early, under the same other options`;

/** So long an installation is used: its logs are read after every round. */
const roundsPerBed = 25;

async function playOn(bed: Bed, fault: Fault): Promise<Omit<Row, 'tookMs'>> {
  const { market } = bed;
  const problems: string[] = [];
  bed.trade();
  await bed.answers();
  const appliedAt = Date.now();
  await fault.apply(bed);
  const healedAt = fault.heal ? Date.now() : appliedAt;
  await fault.heal?.(bed);
  const recoveryMs = await bed.answers(healedAt);
  await bed.rest();
  await bed.askAgain();
  const verdict = await check(market);
  // What relays carry is delivered within moments.
  await until('all that was answered is posted', 20_000, async () => {
    await market.journals.caughtUp();
    return tallyOf(market).problems.length === 0 || undefined;
  }).catch(() => problems.push(...tallyOf(market).problems));
  problems.push(...verdict.problems, ...bed.problems.splice(0), ...(await market.check()));
  const { acked, applied } = bed.counted;
  bed.counted = verdict;
  const own = { acked: verdict.acked - acked, applied: verdict.applied - applied };
  return { ...verdict, ...own, problems, name: fault.name, rounds: 1, recoveryMs, note: '' };
}

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '1' },
    kills: { type: 'string' },
    only: { type: 'string', default: '' },
    minutes: { type: 'string', default: 'Infinity' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    resume: { type: 'boolean', default: false },
    list: { type: 'boolean', default: false },
  },
});
const every: readonly (Fault | StoreFault)[] = [...faults, ...storeFaults];
const order = every.map(({ name }) => name);
if (values.list) {
  console.log(textTable([['fault', 'what'], ...every.map(({ name, what }) => [name, what])]));
  process.exit(0);
}
const isKill = ({ name }: { name: string }) => /^(kill|failpoint)-/.test(name);
const isMeant = (fault: Fault | StoreFault) =>
  values.only.split(',').some((part) => fault.name.includes(part)) && (values.kills === undefined || isKill(fault));
const chosen = every.filter(isMeant);
const plays = values.kills === undefined ? Number(values.rounds) * chosen.length : Number(values.kills);
const minutes = Number(values.minutes);
if (chosen.length === 0 || !Number.isInteger(plays) || plays < 1 || !(minutes > 0)) {
  console.error(chosen.length === 0 ? `no fault is called '${values.only}'; npm run chaos -- --list` : usage);
  process.exit(2);
}

const run: Run = values.resume ? interrupted() : { seed: Number(values.seed), done: 0, rows: [] };
const random = new Random(`chaos ${run.seed} ${run.done}`);
const began = performance.now();
function report(): never {
  const total = totalOf(run.rows);
  console.log(`\n${textTable([head, ...[...run.rows, total].map(cellsOf)])}`);
  const perRound = total.tookMs / Math.max(1, total.rounds) / 1_000;
  const left = plays - run.done;
  console.log(`${total.rounds} rounds of ${perRound.toFixed(0)} s${left > 0 ? `; ${left} are left for --resume` : ''}`);
  process.exit(isBroken(total) ? 1 : left > 0 ? 3 : 0);
}
// A terminal gives Ctrl-C to every process of the installation, too: the round that runs is void, those before are written.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, report);
let bed: Bed | null = null;
let roundsOfBed = 0;
const closeBed = async () => {
  await bed?.close().catch(() => undefined);
  bed = null;
};

async function play(fault: Fault | StoreFault): Promise<Omit<Row, 'tookMs'>> {
  if ('play' in fault) {
    await closeBed();
    return { ...(await fault.play(random)), name: fault.name, rounds: 1 };
  }
  if (bed === null) {
    bed = await Bed.open(random, { isProxied: true });
    roundsOfBed = 0;
  }
  roundsOfBed += 1;
  return playOn(bed, fault);
}
const unplayed = (name: string, error: Error): Omit<Row, 'tookMs'> => ({
  ...{ ...noVerdict(), name, rounds: 1, recoveryMs: null, note: '' },
  problems: [`it could not be played: ${error.message}`],
});

console.log(`seed ${run.seed}; ${head.join(', ')}`);
while (run.done < plays && performance.now() - began < minutes * 60_000) {
  const fault = chosen[run.done % chosen.length]!;
  const startedAt = performance.now();
  const played = await play(fault).catch((error: Error) => unplayed(fault.name, error));
  const row: Row = { ...played, tookMs: performance.now() - startedAt };
  console.log(`${run.done + 1}/${plays}  ${cellsOf(row).join('  ')}  (${(row.tookMs / 1_000).toFixed(0)} s)`);
  note(run, row, order);
  // The next one begins with an installation that nothing has happened to.
  if (isBroken(row) || roundsOfBed >= roundsPerBed) await closeBed();
}
await closeBed();
report();
