/** `gridtick replay --verify`: executes the command logs again and tells what came of it. */
import { parseArgs } from 'node:util';
import { domain } from '#actors/mod';
import { ConfigError, type Config } from '../config/config.ts';
import { compileDomain } from '../partition/catalogue.ts';
import { replayPartition } from '../partition/replay.ts';
import { jetstreamSource } from '../partition/replay_source.ts';
import { exitCodeOf, problemText, type ReplaySegment, type ReplayVerdict } from '../partition/replay_verdict.ts';
import { build } from '../roles/build.ts';
import { withLog } from './log_access.ts';

export const replayUsage = `gridtick replay --verify [p] [--json]
  executes the commands of partition p, or of all, again by the rules of this build, and compares every record of the journal:
  exit code 0 = all came out the same, 1 = a difference or damaged data, 2 = nothing wrong, but not all could be verified`;

/** At most so often a word about how far it is. */
const progressEveryMs = 2_000;

/**
 * Prints the verdict by `say`, progress by `tell`; returns the exit code.
 * @throws {ConfigError} on wrong arguments, or when there is no log
 */
export async function replayCommand(
  config: Config,
  args: readonly string[],
  say: (line: string) => void,
  tell: (line: string) => void,
): Promise<0 | 1 | 2> {
  const { only, isJson } = parsed(args);
  return withLog(config, 'replay', async ({ nc, partitions, clock }) => {
    if (only !== undefined && only >= partitions)
      throw new ConfigError(`${only} is no partition: 0 to ${partitions - 1}, or none for all`);
    const rules = { catalogue: compileDomain(domain), build, clock };
    const verdicts: ReplayVerdict[] = [];
    const startedAt = performance.now();
    let toldAt = startedAt;
    if (!isJson) say(`rules of build ${build}, ${clock} clock`);
    for (let p = 0; p < partitions; p++) {
      if (only !== undefined && only !== p) continue;
      const source = await jetstreamSource(nc, p, partitions);
      const verdict = await replayPartition(source, rules, (partition, sequence, last) => {
        if (performance.now() - toldAt < progressEveryMs) return;
        toldAt = performance.now();
        tell(`partition ${partition}: record ${sequence} of ${last}`);
      });
      verdicts.push(verdict);
      if (!isJson) for (const line of linesOf(verdict)) say(line);
    }
    const exitCode = exitCodeOf(verdicts);
    const seconds = Math.round(performance.now() - startedAt) / 1_000;
    if (isJson)
      say(JSON.stringify({ build, clock, exitCode, seconds, window: windowOf(verdicts), partitions: verdicts }));
    else say(closing(verdicts, exitCode, seconds));
    return exitCode;
  });
}

function parsed(args: readonly string[]): { only: number | undefined; isJson: boolean } {
  let parts;
  try {
    parts = parseArgs({
      args: [...args],
      options: { verify: { type: 'boolean' }, json: { type: 'boolean' } },
      strict: true,
      allowPositionals: true,
    });
  } catch (error) {
    throw new ConfigError(`${(error as Error).message}\n\n${replayUsage}`);
  }
  const [name, ...more] = parts.positionals;
  const isNumber = name === undefined || /^\d{1,5}$/.test(name);
  if (parts.values.verify !== true || more.length > 0 || !isNumber) throw new ConfigError(replayUsage);
  return { only: name === undefined ? undefined : Number(name), isJson: parts.values.json === true };
}

const isVerified = ({ notVerified }: ReplaySegment) => notVerified === null;
const time = (ms: number) => (ms === 0 ? 'the beginning' : new Date(ms).toISOString());
const span = ({ from, to }: ReplaySegment) => (from === to ? `record ${from}` : `records ${from} to ${to}`);

function* linesOf(verdict: ReplayVerdict): Generator<string> {
  const { partition, records, epochs, strays, units, frames, refused, segments, problems, last } = verdict;
  const sign = problems.length > 0 ? '✗' : exitCodeOf([verdict]) === 0 ? '✓' : '–';
  if (last === 0) {
    yield `${sign} partition ${partition} is empty`;
    return;
  }
  const dead = refused > 0 ? `, ${refused} refused as impossible to commit` : '';
  yield `${sign} partition ${partition}: ${records} records, ${epochs} epochs, ${strays} strays; ${units} units of ${frames} frames executed${dead}`;
  for (const segment of segments) {
    const what = isVerified(segment) ? 'verified' : segment.isBefore ? 'before the window' : 'not verified';
    const why = isVerified(segment) ? '' : `: ${segment.notVerified}`;
    yield `    ${what}: ${span(segment)}, ${time(segment.fromTime)} to ${time(segment.toTime)}${why}`;
  }
  for (const problem of problems) yield `    ${problemText(problem)}`;
}

/** Log time that every partition's verified records lie in; null when nothing was verified. */
function windowOf(verdicts: readonly ReplayVerdict[]): { from: number; to: number; records: number } | null {
  const verified = verdicts.flatMap(({ segments }) => segments.filter(isVerified));
  if (verified.length === 0) return null;
  const began = verified.filter(({ fromTime }) => fromTime > 0).map(({ fromTime }) => fromTime);
  return {
    from: began.length === 0 ? 0 : Math.min(...began),
    to: Math.max(...verified.map(({ toTime }) => toTime)),
    records: verified.reduce((sum, { records }) => sum + records, 0),
  };
}

function closing(verdicts: readonly ReplayVerdict[], exitCode: 0 | 1 | 2, seconds: number): string {
  const window = windowOf(verdicts);
  const problems = verdicts.reduce((sum, verdict) => sum + verdict.problems.length, 0);
  const covered = window
    ? `${window.records} records verified, ${time(window.from)} to ${time(window.to)}`
    : 'nothing verified';
  const outcome = { 0: 'clean', 1: `${problems} problems`, 2: 'nothing wrong, but not all verified' }[exitCode];
  return `${outcome}: ${covered}, ${seconds.toFixed(1)} s`;
}
