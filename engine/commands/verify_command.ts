/** `gridtick verify`: whether journals are what they claim to be, and whether the books in them add up. */
import { domain } from '#actors/mod';
import { ConfigError, type Config } from '../config/config.ts';
import { verifyPartitions, type PartitionVerdict } from '../partition/verify.ts';
import { verifyMoney } from '../partition/verify_money.ts';
import { withRunningLog } from '../supervisor/log_access.ts';
import { argumentsOf, jsonLine, partitionNamed, type Screen } from './command.ts';
import { Progress } from './progress.ts';

export const verifyUsage = `gridtick verify [p] [--json]
  checks hash chain, dense sequences, versions and money of one partition's journal, or of all: of the installation running on
  GRIDTICK_DATA_DIR, or of the log at GRIDTICK_NATS_URL: exit code 0 = clean, 1 = not`;

type MoneyVerdict = Awaited<ReturnType<typeof verifyMoney>>;

export async function verifyCommand(config: Config, args: readonly string[], { say, tell }: Screen): Promise<0 | 1> {
  const { values, words } = argumentsOf(args, { json: { type: 'boolean' } }, verifyUsage);
  if (words.length > 1) throw new ConfigError(verifyUsage);
  const [named] = words;
  // Before anything is connected: a wrong word is wrong whatever runs.
  if (named !== undefined) partitionNamed(named, 64);
  return withRunningLog(config, 'verify', async ({ nc, partitions }) => {
    const only = named === undefined ? undefined : partitionNamed(named, partitions);
    const wanted = only === undefined ? Array.from({ length: partitions }, (_, p) => p) : [only];
    const progress = new Progress(tell);
    const verdicts = await verifyPartitions(nc, wanted, (p, sequence, last) =>
      progress.at(wanted.indexOf(p) + sequence / Math.max(1, last), wanted.length, `journal of partition ${p}`),
    );
    const money = await verifyMoney(nc, domain, partitions, only);
    const problems = verdicts.reduce((sum, verdict) => sum + verdict.problems.length, money.problems.length);
    const exitCode = problems === 0 ? 0 : 1;
    if (values.json) say(jsonLine({ exitCode, partitions: verdicts, money }));
    else {
      for (const line of [...linesOf(verdicts), ...moneyLines(money)]) say(line);
      say(problems === 0 ? 'clean' : `${problems} problems`);
    }
    return exitCode;
  });
}

function* linesOf(verdicts: readonly PartitionVerdict[]): Generator<string> {
  for (const { partition, first, last, records, epochs, strays, problems } of verdicts) {
    const read = last === 0 ? 'empty' : `${first}–${last}: ${records} records, ${epochs} epochs, ${strays} strays`;
    yield `${problems.length === 0 ? '✓' : '✗'} partition ${partition} ${read}`;
    for (const problem of problems) yield `    ${problem}`;
  }
}

/** What is owned where, and what is between partitions. */
function* moneyLines({ partitions, between, problems }: MoneyVerdict): Generator<string> {
  const shown = (sums: readonly (readonly [ledger: string, sum: bigint])[]) =>
    sums.map(([ledger, sum]) => `${ledger} ${sum}`).join(', ') || 'nothing';
  for (const { partition, records, owners, sums } of partitions) {
    const clean = sums.every(([, sum]) => sum === 0n);
    const of = `${owners} owners after ${records} records`;
    yield `${clean ? '✓' : '✗'} money of partition ${partition} comes to ${shown(sums)} (${of})`;
  }
  if (between)
    yield `  in transit over all partitions: ${shown(between.transit)}; relays under way: ${shown(between.carried)}`;
  for (const problem of problems) yield `    ${problem}`;
}
