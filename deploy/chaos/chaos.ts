/**
 * `npm run chaos`: does something to real processes under trade, fault by fault, and lets a checker say what became of every
 * command. Its table is written to RESULTS.md.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Random } from '#gateway/simulator/random';
import { hardware } from '../bench/lib/process_cpu.ts';
import { markdownTable, textTable } from '../lib/text_table.ts';
import { until } from '../system/installation.ts';
import { tallyOf } from '../system/money_tally.ts';
import { Bed } from './bed.ts';
import { check, type Verdict } from './checker.ts';
import { faults, type Fault } from './faults.ts';
import { storeFaults } from './store_faults.ts';

interface Row extends Verdict {
  name: string;
  what: string;
  rounds: number;
  /** The longest until every partition answered again. */
  recoveryMs: number | null;
  note: string;
}

const results = join(import.meta.dirname, 'RESULTS.md');
const startOf = '<!-- results -->';

async function playOn(bed: Bed, fault: Fault): Promise<Row> {
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
  return { ...verdict, problems, name: fault.name, what: fault.what, rounds: 1, recoveryMs, note: '' };
}

function add(rows: Map<string, Row>, row: Row): void {
  const before = rows.get(row.name);
  if (!before) return void rows.set(row.name, row);
  rows.set(row.name, {
    ...row,
    rounds: before.rounds + 1,
    recoveryMs: Math.max(before.recoveryMs ?? 0, row.recoveryMs ?? 0),
    problems: [...before.problems, ...row.problems],
  });
}

const isBroken = ({ lost, doubled, disordered, problems }: Row) => lost + doubled + disordered + problems.length > 0;

function cellsOf(row: Row): string[] {
  const { name, rounds, acked, applied, lost, doubled, disordered, recoveryMs, problems } = row;
  const seconds = recoveryMs === null ? '–' : (recoveryMs / 1_000).toFixed(1);
  const counts = [rounds, acked, applied, lost, doubled, disordered].map(String);
  return [name, ...counts, seconds, problems.length === 0 ? row.note || 'ok' : problems[0]!.slice(0, 160)];
}
const head = ['fault', 'rounds', 'acked', 'applied', 'lost', 'doubled', 'out of order', 'recovered, s', 'verdict'];

/** Rows of this run in place of older ones of the same faults. */
function write(rows: readonly Row[], seed: number): void {
  const text = readFileSync(results, 'utf8');
  const [intro = '', table = ''] = text.split(startOf);
  const older = table
    .split('\n')
    .filter((line) => line.startsWith('| ') && !line.startsWith('| fault') && !line.startsWith('| ---'))
    .map((line) => line.slice(2, -2).split(' | '));
  const when = `${new Date().toISOString().slice(0, 10)}, seed ${seed}, ${hardware()}`;
  const fresh = new Map(rows.map((row) => [row.name, [...cellsOf(row), when]]));
  const order = [...faults, ...storeFaults].map(({ name }) => name);
  const lines = order
    .map((name) => fresh.get(name) ?? older.find(([one]) => one === name))
    .filter((line) => line !== undefined);
  writeFileSync(results, `${intro}${startOf}\n\n${markdownTable([[...head, 'run'], ...lines])}\n`);
}

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '1' },
    only: { type: 'string', default: '' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    list: { type: 'boolean', default: false },
  },
});
if (values.list) {
  console.log(textTable([['fault', 'what'], ...[...faults, ...storeFaults].map(({ name, what }) => [name, what])]));
  process.exit(0);
}
const seed = Number(values.seed);
const random = new Random(`chaos ${seed}`);
const isMeant = ({ name }: { name: string }) => name.includes(values.only);
const chosen = faults.filter(isMeant);
const stores = storeFaults.filter(isMeant);
if (chosen.length + stores.length === 0) {
  console.error(`no fault is called '${values.only}'; npm run chaos -- --list`);
  process.exit(2);
}
const rows = new Map<string, Row>();
const tell = (row: Row) => {
  add(rows, row);
  console.log(cellsOf(row).join('  '));
  write([...rows.values()], seed);
};
console.log(`seed ${seed}; ${head.join(', ')}`);
const none: Verdict = { acked: 0, applied: 0, lost: 0, doubled: 0, disordered: 0, problems: [] };
const failed = ({ name, what }: { name: string; what: string }, error: Error): Row => ({
  ...{ ...none, name, what, rounds: 1, recoveryMs: null, note: '' },
  problems: [`it could not be played: ${error.message}`],
});
let bed: Bed | null = null;
for (let round = 0; round < Number(values.rounds); round++) {
  for (const fault of chosen) {
    bed ??= await Bed.open(random, { isProxied: true });
    const row = await playOn(bed, fault).catch((error: Error) => failed(fault, error));
    tell(row);
    if (!isBroken(row)) continue;
    // The next one begins with an installation that nothing has happened to.
    await bed.close().catch(() => undefined);
    bed = null;
  }
  for (const fault of stores)
    tell(
      await fault.play(random).then(
        (verdict): Row => ({ ...verdict, name: fault.name, what: fault.what, rounds: 1 }),
        (error: Error) => failed(fault, error),
      ),
    );
}
await bed?.close();
console.log(`\n${textTable([head, ...[...rows.values()].map(cellsOf)])}`);
process.exit([...rows.values()].some(isBroken) ? 1 : 0);
