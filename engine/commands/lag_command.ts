/** `gridtick lag`: how far each partition is behind its commands, and each reader behind the journal. */
import { ConfigError, type Config } from '../config/config.ts';
import { withRunningLog } from '../supervisor/log_access.ts';
import { argumentsOf, jsonLine, tableOf, type Screen } from './command.ts';
import { readersOf, standingsOf, type ReaderStanding } from './standing.ts';

export const lagUsage = `gridtick lag [--json]
  per partition the messages stored, committed and behind, by number and by the age of the oldest; per reader of the journal
  (clickhouse, redis, publisher) the records it has yet to write; how full command log and journal are, and who needs what
  cannot be purged (from half full on): exit code 1 when nobody owns a partition or a reader is silent`;

export async function lagCommand(config: Config, args: readonly string[], { say, tell }: Screen): Promise<0 | 1> {
  const { values, words } = argumentsOf(args, { json: { type: 'boolean' } }, lagUsage);
  if (words.length > 0) throw new ConfigError(lagUsage);
  return withRunningLog(config, 'lag', async ({ nc, partitions: count }) => {
    tell('listening to engines and readers');
    const [partitions, readers] = await Promise.all([standingsOf(nc, count), readersOf(nc, count)]);
    const exitCode = partitions.some(({ engine }) => !engine) || readers.some(({ silent }) => silent) ? 1 : 0;
    if (values.json) {
      say(jsonLine({ exitCode, partitions, readers }));
      return exitCode;
    }
    const at = (reader: ReaderStanding, p: number) => {
      const { behind = 0, behindMs = 0 } = reader.partitions[p] ?? {};
      return reader.silent ? 'silent' : behind === 0 ? '0' : `${behind} (${seconds(behindMs)} s)`;
    };
    const rows = partitions.map((p) => [
      p.partition,
      p.engine ?? 'nobody',
      p.stored,
      p.offset,
      p.behind,
      seconds(p.behindMs),
      p.record,
      p.room === null ? '–' : `${Math.round(p.room.commandsPercent)} / ${Math.round(p.room.journalPercent)}`,
      p.room?.heldBy ?? '–',
      ...readers.map((reader) => at(reader, p.partition)),
    ]);
    const names = readers.map(({ reader }) => reader);
    const head = [
      'partition',
      'engine',
      'stored',
      'committed',
      'behind',
      's',
      'journal',
      '% full',
      'held by',
      ...names,
    ];
    for (const line of tableOf(head, rows)) say(line);
    const sum = partitions.reduce((all, { behind }) => all + behind, 0);
    const readersSum = readers.map(
      ({ reader, silent, partitions: all }) =>
        `${reader} ${silent ? 'silent' : all.reduce((records, { behind }) => records + behind, 0)}`,
    );
    say(`messages behind: ${sum}; records behind: ${readersSum.join(', ')}`);
    return exitCode;
  });
}

const seconds = (ms: number) => (ms / 1_000).toFixed(1);
