/** The table of a run: one row per fault, added up over its rounds, in RESULTS.md and in a file that an interrupted run goes on from. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { hardware } from '../bench/lib/process_cpu.ts';
import { markdownTable } from '../lib/text_table.ts';
import type { Verdict } from './checker.ts';

/** `acked` and `applied` are those of the fault's own rounds. */
export interface Row extends Verdict {
  name: string;
  rounds: number;
  /** How long its rounds took together. */
  tookMs: number;
  /** The longest until every partition answered again; null where nothing does. */
  recoveryMs: number | null;
  note: string;
}

/** What a run has done so far. */
export interface Run {
  seed: number;
  /** Plays that are over. */
  done: number;
  rows: Row[];
}

const resultsFile = join(import.meta.dirname, 'RESULTS.md');
const runFile = join(import.meta.dirname, '../../.cache/chaos.json');
const startOf = '<!-- results -->';

export const head = [
  'fault',
  'rounds',
  'acked',
  'applied',
  'lost',
  'doubled',
  'out of order',
  'recovered, s',
  'verdict',
];

export const isBroken = ({ lost, doubled, disordered, problems }: Verdict) =>
  lost + doubled + disordered + problems.length > 0;

export function cellsOf(row: Row): string[] {
  const { name, rounds, acked, applied, lost, doubled, disordered, recoveryMs, problems } = row;
  const seconds = recoveryMs === null ? '–' : (recoveryMs / 1_000).toFixed(1);
  const counts = [rounds, acked, applied, lost, doubled, disordered].map(String);
  const [problem] = problems;
  // One line of a table, whatever a process said last.
  const verdict = (problem ?? (row.note || 'ok')).replaceAll(/[\n|]+/g, ' ').slice(0, 160);
  return [name, ...counts, seconds, verdict];
}

/** All rows together. */
export function totalOf(rows: readonly Row[]): Row {
  const total: Row = { ...noVerdict(), name: 'all', rounds: 0, tookMs: 0, recoveryMs: null, note: '' };
  for (const row of rows) add(total, row);
  return { ...total, note: '' };
}

export const noVerdict = (): Verdict => ({ acked: 0, applied: 0, lost: 0, doubled: 0, disordered: 0, problems: [] });

/** Adds a row to another one. */
function add(to: Row, row: Row): void {
  for (const name of ['rounds', 'tookMs', 'acked', 'applied', 'lost', 'doubled', 'disordered'] as const)
    to[name] += row[name];
  to.problems.push(...row.problems);
  to.note = row.note;
  if (row.recoveryMs !== null) to.recoveryMs = Math.max(to.recoveryMs ?? 0, row.recoveryMs);
}

/** Notes what one play came to, in both files; `order`: names of all faults. */
export function note(run: Run, row: Row, order: readonly string[]): void {
  const before = run.rows.find(({ name }) => name === row.name);
  if (before) add(before, row);
  else run.rows.push(row);
  run.done += 1;
  mkdirSync(dirname(runFile), { recursive: true });
  writeFileSync(runFile, JSON.stringify(run));
  write(run, order);
}

/** The run that was interrupted. @throws when there is none */
export function interrupted(): Run {
  if (!existsSync(runFile)) throw new Error('there is no run to go on with');
  return JSON.parse(readFileSync(runFile, 'utf8')) as Run;
}

/** Rows of this run in place of older ones of the same faults. */
function write({ rows, seed }: Run, order: readonly string[]): void {
  const text = readFileSync(resultsFile, 'utf8');
  const [intro = '', table = ''] = text.split(startOf);
  const older = table
    .split('\n')
    .filter((line) => line.startsWith('| ') && !line.startsWith('| fault') && !line.startsWith('| ---'))
    .map((line) => line.slice(2, -2).split(' | '));
  const when = `${new Date().toISOString().slice(0, 10)}, seed ${seed}, ${hardware()}`;
  const fresh = new Map(rows.map((row) => [row.name, [...cellsOf(row), when]]));
  const lines = order
    .map((name) => fresh.get(name) ?? older.find(([one]) => one === name))
    .filter((line) => line !== undefined);
  writeFileSync(resultsFile, `${intro}${startOf}\n\n${markdownTable([[...head, 'run'], ...lines])}\n`);
}
