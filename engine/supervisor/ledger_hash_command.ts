/** `gridtick ledger-hash`: one number for all books, and whether they add up. */
import { parseArgs } from 'node:util';
import { domain } from '#actors/mod';
import { ConfigError, type Config } from '../config/config.ts';
import { compileDomain } from '../partition/catalogue.ts';
import type { LedgerHash } from '../partition/ledger_hash.ts';
import { readLedgerHash } from '../partition/ledger_reader.ts';
import { jetstreamSource, type ReplaySource } from '../partition/replay_source.ts';
import { withLog } from './log_access.ts';

export const ledgerHashUsage = `gridtick ledger-hash [--json]
  one number for all books, the same wherever and in whichever order the same business was done:
  exit code 0 = they add up, 1 = they do not, 2 = the journal was purged, so that only balances can be hashed`;

/**
 * Prints by `say`; returns the exit code.
 * @throws {ConfigError} on wrong arguments, or when there is no log
 */
export async function ledgerHashCommand(
  config: Config,
  args: readonly string[],
  say: (line: string) => void,
): Promise<0 | 1 | 2> {
  let isJson: boolean;
  try {
    isJson = parseArgs({ args: [...args], options: { json: { type: 'boolean' } }, strict: true }).values.json === true;
  } catch (error) {
    throw new ConfigError(`${(error as Error).message}\n\n${ledgerHashUsage}`);
  }
  return withLog(config, 'ledger-hash', async ({ nc, partitions }) => {
    const sources: ReplaySource[] = [];
    for (let p = 0; p < partitions; p++) sources.push(await jetstreamSource(nc, p, partitions));
    const found = await readLedgerHash(sources, compileDomain(domain));
    const exitCode = found.problems.length > 0 ? 1 : found.hash === null ? 2 : 0;
    if (isJson)
      say(
        JSON.stringify({ exitCode, ...found }, (_, value: unknown) =>
          typeof value === 'bigint' ? String(value) : value,
        ),
      );
    else for (const line of linesOf(found)) say(line);
    return exitCode;
  });
}

function* linesOf({ hash, balances, parties, batches, sums, underWay, problems }: LedgerHash): Generator<string> {
  const shown = (all: LedgerHash['sums']) => all.map(([ledger, sum]) => `${ledger} ${sum}`).join(', ') || 'nothing';
  if (hash === null) yield 'ledger hash  none: the journal was purged, and the first postings with it';
  else yield `ledger hash  ${hash}`;
  yield `balances     ${balances}`;
  yield `${parties} parties, ${batches} batches; all that is owned comes to ${shown(sums)}`;
  if (underWay.some(([, sum]) => sum !== 0n)) yield `not at rest: ${shown(underWay)} on its way between partitions`;
  for (const problem of problems) yield `    ${problem}`;
}
