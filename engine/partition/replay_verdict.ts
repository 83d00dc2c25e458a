/** What re-executing a partition came to. */

/** Consecutive records of one build with one outcome. */
export interface ReplaySegment {
  build: string;
  /** Journal sequences, and the log's clock there, unix ms; 0 = it has not begun to go. */
  from: number;
  to: number;
  fromTime: number;
  toTime: number;
  records: number;
  /** null: every one of them came out of its commands again; else why it was not tried, or did not. */
  notVerified: string | null;
  /** Stands before anything that can be executed: what it needs was purged. */
  isBefore: boolean;
}

export type ReplayProblem =
  /** Stored bytes are not what was written. */
  | { kind: 'corruption'; stream: string; sequence: number; text: string }
  /** The commands, executed again by the same build, do not give what the journal holds. */
  | {
      kind: 'difference';
      partition: number;
      sequence: number;
      /** `<kind>/<id>`; null: not of an entity. */
      entity: string | null;
      field: string;
      journal: unknown;
      executed: unknown;
    };

export interface ReplayVerdict {
  partition: number;
  /** Sequences of the journal at the beginning; last = 0: it was empty. */
  first: number;
  last: number;
  segments: ReplaySegment[];
  problems: ReplayProblem[];
  records: number;
  epochs: number;
  /** Records of superseded owners that do not count. */
  strays: number;
  /** Messages of the command log and units of work that were executed. */
  frames: number;
  units: number;
  /** Units that were taken for refused because the journal says that they could not be committed. */
  refused: number;
}

/** 0: the whole window was verified; 1: something is wrong; 2: nothing is wrong, but a part could not be verified. */
export function exitCodeOf(verdicts: readonly ReplayVerdict[]): 0 | 1 | 2 {
  if (verdicts.some(({ problems }) => problems.length > 0)) return 1;
  return verdicts.every(({ segments }) => {
    const window = segments.filter(({ isBefore }) => !isBefore);
    return window.every(({ notVerified }) => notVerified === null) && (window.length > 0 || segments.length === 0);
  })
    ? 0
    : 2;
}

export function problemText(problem: ReplayProblem): string {
  if (problem.kind === 'corruption') return `corruption: ${problem.stream}:${problem.sequence} ${problem.text}`;
  const { partition, sequence, entity, field, journal, executed } = problem;
  const of = entity === null ? field : `${entity} ${field}`;
  return `difference: ${partition}:${sequence} ${of}: the journal has ${shown(journal)}, executed again it is ${shown(executed)}`;
}

function shown(value: unknown): string {
  const text = value === undefined ? 'nothing' : JSON.stringify(value);
  return text.length > 120 ? `${text.slice(0, 120)}…` : text;
}
