/** `gridtick archive DIR`: keeps copying what the log will drop, copies it once, or says what is there. */
import { setTimeout as delay } from 'node:timers/promises';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import {
  archiveOnce,
  archivePartitions,
  listArchive,
  readArchive,
  readSnapshots,
  type ArchiveRound,
} from '../backup/archive.ts';
import { checkParts } from '../backup/parts.ts';
import { ConfigError, type Config } from '../config/config.ts';
import { stream } from '../log/mod.ts';
import { partitionList } from '../projections/journal.ts';
import { announcePositions } from '../projections/positions_feed.ts';
import { archiveOfCommands, archiveOfJournal } from '../projections/sinks.ts';
import { withLog } from './log_access.ts';

export const archiveUsage = `gridtick archive DIR [--once | --list] [--json]
  copies closed segments of command logs and journals, and one snapshot a day, into DIR; goes on every 10 s until it is
  stopped, unless --once is given or nothing runs; exit code 1 when something was purged before it was copied
  --list: what is in DIR, every file compared with its hash`;

/** A small log goes round within minutes, and waits for the archive where the settings say so. */
const everyMs = 10_000;

/** @throws {BackupRefused} or {ConfigError} in words */
export async function archiveCommand(
  config: Config,
  args: readonly string[],
  say: (line: string) => void,
  signal: AbortSignal = stopSignal(),
): Promise<0 | 1> {
  let parsed;
  try {
    const flag = { type: 'boolean' } as const;
    const options = { once: flag, list: flag, json: flag };
    parsed = parseArgs({ args: [...args], options, strict: true, allowPositionals: true });
  } catch (error) {
    throw new ConfigError(`${(error as Error).message}\n\n${archiveUsage}`);
  }
  const [named, ...rest] = parsed.positionals;
  const { once = false, list = false, json = false } = parsed.values;
  if (named === undefined || rest.length > 0 || (once && list)) throw new ConfigError(archiveUsage);
  const directory = resolve(named);
  if (list) return listed(directory, json, say);
  return withLog(config, 'archive', async ({ nc, partitions, isRunning }) => {
    let exitCode: 0 | 1 = 0;
    const feeds: ReturnType<typeof announcePositions>[] = [];
    for (;;) {
      const round = await archiveOnce(nc, partitions, directory);
      if (feeds.length === 0)
        for (const [reader, name] of [
          [archiveOfJournal, stream.journal],
          [archiveOfCommands, stream.commands],
        ] as const)
          feeds.push(announcePositions(nc, reader, () => archivedTo(directory, partitions, name)));
      else for (const feed of feeds) feed.announce();
      exitCode = round.missing.length > 0 ? 1 : 0;
      if (json) say(JSON.stringify({ exitCode, ...round }));
      else for (const line of linesOf(round)) say(line);
      if (!once && isRunning && !signal.aborted) await delay(everyMs, undefined, { signal }).catch(() => undefined);
      if (!once && isRunning && !signal.aborted) continue;
      for (const feed of feeds) feed.stop();
      await nc.flush();
      return exitCode;
    }
  });
}

/** Up to where each partition's stream has been copied, or was purged too early: nobody needs to wait for that. */
const archivedTo = (directory: string, partitions: number, name: (partition: number) => string) =>
  partitionList(partitions).map((p): [number, number] => {
    const found = listArchive(directory, p).find((one) => one.name === name(p));
    const ends = [
      ...(found?.segments ?? []).map(({ last }) => last),
      ...(found?.missing ?? []).map(([, last]) => last),
    ];
    return [p, Math.max(0, ...ends)];
  });

function stopSignal(): AbortSignal {
  const controller = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => controller.abort());
  return controller.signal;
}

function* linesOf({ segments, messages, snapshots, missing }: ArchiveRound): Generator<string> {
  yield `${segments} segments with ${messages} messages, ${snapshots} snapshots`;
  for (const { stream, runs } of missing)
    for (const [first, last] of runs) yield `    ${stream}: ${first} to ${last} were purged before they were copied`;
}

async function listed(directory: string, json: boolean, say: (line: string) => void): Promise<0 | 1> {
  let exitCode: 0 | 1 = 0;
  const found = [];
  for (const p of partitionList(archivePartitions(directory))) {
    const snapshots = readSnapshots(directory, p);
    await checkParts(
      directory,
      snapshots.map(({ file }) => file),
    );
    for (const { name, segments, missing } of listArchive(directory, p)) {
      if (missing.length > 0) exitCode = 1;
      // Reads every message, too: a segment holds what its name says.
      let messages = 0;
      for (const { first, last } of segments)
        for await (const { sequence } of readArchive(directory, name, first)) {
          if (sequence > last) break;
          messages += 1;
        }
      const snapshotDays = snapshots.map(({ day }) => day);
      found.push({
        stream: name,
        first: segments[0]?.first ?? 0,
        last: segments.at(-1)?.last ?? 0,
        messages,
        missing,
        snapshotDays,
      });
    }
  }
  if (json) say(JSON.stringify({ exitCode, directory, streams: found }));
  else
    for (const { stream, first, last, messages, missing, snapshotDays } of found) {
      const days = stream.startsWith('J_') ? `; snapshots of ${snapshotDays.join(', ') || 'no day'}` : '';
      say(messages === 0 ? `${stream} empty${days}` : `${stream} ${first} to ${last}: ${messages} messages${days}`);
      for (const [from, to] of missing) say(`    ${from} to ${to} were purged before they were copied`);
    }
  return exitCode;
}
