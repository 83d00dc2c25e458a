/** `gridtick replay --verify` as an operator runs it, beside the installation that serves. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { problemText, type ReplayVerdict } from '#engine/partition/replay_verdict';

const program = join(import.meta.dirname, '../../dist/engine/cli.js');
const limitMs = 240_000;

/** What does not come out of the commands again, and what could not be verified; empty: every record of every partition did. */
export async function executedAgain(dataDir: string): Promise<string[]> {
  const said = await new Promise<string>((resolve, reject) => {
    const env = { PATH: process.env.PATH, GRIDTICK_DATA_DIR: dataDir };
    const options = { env, timeout: limitMs, maxBuffer: 64 * 1024 * 1024 };
    execFile(process.execPath, [program, 'replay', '--verify', '--json'], options, (error, stdout, stderr) => {
      // Its verdict is in what it says, whatever it exits with.
      if (stdout === '') reject(new Error(`replay said nothing: ${error?.message} ${stderr.slice(-2_000)}`));
      else resolve(stdout);
    });
  });
  const { partitions } = JSON.parse(said) as { partitions: ReplayVerdict[] };
  return partitions.flatMap(({ partition, problems, segments }) => [
    ...problems.map(problemText),
    ...segments
      .filter(({ notVerified }) => notVerified !== null)
      .map(({ from, to, notVerified }) => `partition ${partition}, ${from} to ${to}: ${notVerified}`),
  ]);
}
