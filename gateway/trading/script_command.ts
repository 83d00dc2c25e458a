/** `gridtick trade-script`: plays script files, or generated ones, through the NATS door of a running installation. */
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import type { NatsConnection } from '@nats-io/transport-node';
import { domain } from '#actors/mod';
import { jsonLine, type Screen } from '#engine/commands/command';
import { Progress } from '#engine/commands/progress';
import { ConfigError, type Config } from '#engine/config/config';
import { connectLog } from '#engine/log/mod';
import { compileDomain } from '#engine/partition/catalogue';
import { readLedgerHash } from '#engine/partition/ledger_reader';
import { jetstreamSource } from '#engine/partition/replay_source';
import { integratorUser, readEndpoints } from '#engine/supervisor/endpoints';
import { withRunningLog } from '#engine/supervisor/log_access';
import { generateScript } from './generate.ts';
import { compareOutcomes, expectedOutcome, NothingExpected, type ScriptOutcome } from './outcomes.ts';
import { play } from './play.ts';
import { readScriptFile, type ScriptCommand } from './script.ts';
import { scriptRun, scriptUsage, sourceOf, type ScriptRun } from './script_options.ts';
import { reportLines, scriptResult, type ScriptResult } from './script_report.ts';
import { Tally } from './tally.ts';

export interface ScriptDoor {
  nc: NatsConnection;
  /** Under whose name. */
  integrator: string;
  tell: Screen['tell'];
}

/** @throws {ConfigError} on wrong arguments, a file that cannot be read, or when nothing runs */
export async function tradeScriptCommand(config: Config, args: readonly string[], screen: Screen): Promise<0 | 1> {
  if (args.includes('--help')) {
    screen.say(scriptUsage);
    return 0;
  }
  const run = scriptRun(args);
  const expected = expectationOf(run);
  return withRunningLog(config, 'trade-script', async ({ nc: core, partitions }) => {
    const nc = config.natsUrl === '' ? await asIntegrator(config) : core;
    let result;
    try {
      result = await playScript(run, { nc, integrator: integratorOf(config), tell: screen.tell });
    } finally {
      if (nc !== core) await nc.close();
    }
    const sources = await Promise.all(
      Array.from({ length: partitions }, (_, p) => jetstreamSource(core, p, partitions)),
    );
    result.ledgerHash = (await readLedgerHash(sources, compileDomain(domain))).hash;
    if (expected) result.mismatches = mismatchesOf(expected, result);
    if (run.json) screen.say(jsonLine(result));
    else for (const line of reportLines(result)) screen.say(line);
    return result.mismatches.length > 0 || result.conserved === false ? 1 : 0;
  });
}

/** A NATS of one's own knows the user by its URL. */
function integratorOf({ natsUrl }: Config): string {
  const user = natsUrl === '' ? '' : new URL(natsUrl).username;
  return user === '' || user === 'core' ? integratorUser : user;
}

async function asIntegrator({ dataDir }: Config): Promise<NatsConnection> {
  const { nats, integrator } = readEndpoints(dataDir);
  const url = new URL(nats);
  url.username = integrator.user;
  url.password = integrator.password;
  return connectLog(url.href, 'trade-script', { waitForFirst: false });
}

/** Plays it and adds up what is left; `ledgerHash` and `mismatches` are the caller's. */
export async function playScript(run: ScriptRun, { nc, integrator, tell }: ScriptDoor): Promise<ScriptResult> {
  const book = run.book ?? `run-${Date.now().toString(36)}`;
  const tally = new Tally();
  const progress = new Progress(tell);
  const played = await play({
    ...{ nc, integrator, book, rules: run.rules, tally },
    source: sourceOf(run),
    commands: commandsOf(run, tally),
    concurrency: run.concurrency,
    rate: run.rate,
    onProgress: (decided) =>
      progress.at(decided, run.generate?.commands ?? 0, `${decided} commands decided, book ${book}`),
  });
  return scriptResult(book, run.rules, tally, played);
}

async function* commandsOf({ files, generate, rules }: ScriptRun, tally: Tally): AsyncGenerator<ScriptCommand, void> {
  if (generate) yield* generateScript(generate);
  // What was recorded by value was recorded with its own way of writing what goes out.
  const recordedSigns = rules.denomination === 'value';
  for (const file of files) yield* readScriptFile(file, (problem) => tally.problem(problem), { recordedSigns });
}

function expectationOf({ expect: file, files, rules }: ScriptRun): ScriptOutcome | null {
  if (file === null) return null;
  const name = basename(files[0]!);
  try {
    const text = readFileSync(file, 'utf8');
    const known = [name, name.replace(/\.gz$/, ''), `${name}.gz`].find((one) => text.includes(JSON.stringify(one)));
    return expectedOutcome(text, known ?? name, rules.pendingRule);
  } catch (error) {
    if (error instanceof NothingExpected || (error as NodeJS.ErrnoException).code !== undefined)
      throw new ConfigError(`--expect ${file}: ${(error as Error).message}`);
    throw error;
  }
}

/** After a resumed run the counts are those of this run alone: only what is left is compared. */
function mismatchesOf(expected: ScriptOutcome, result: ScriptResult) {
  const all = compareOutcomes(expected, result);
  return result.repeated === 0 ? all : all.filter(({ field }) => !/^(ok|errors)\./.test(field));
}
