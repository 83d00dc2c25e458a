/** The streams of a simulated log as they lie in the store. */
import type { ReplaySource, StoredMessage } from '../partition/replay_source.ts';
import { Life } from './life.ts';
import type { MemoryLog, MemoryStream } from './memory_log.ts';

export function storedPartition(log: MemoryLog, partition: number): ReplaySource {
  const commands = log.commands[partition]!;
  const journal = log.journals[partition]!;
  const { snapshots } = log.ports(partition, new Life(), () => {});
  return {
    partition,
    partitions: log.commands.length,
    journal: { first: 1, last: journal.messages.length },
    commands: { first: 1, last: commands.messages.length },
    records: (from) => piecesOf(journal, from),
    frames: (from) => piecesOf(commands, from),
    snapshots,
  };
}

async function* piecesOf(stream: MemoryStream, from: number): AsyncGenerator<readonly StoredMessage[]> {
  for (let first = from; first <= stream.messages.length; first += 7)
    yield stream.messages
      .slice(first - 1, first + 6)
      .map(({ bytes, at }, i): StoredMessage => ({ sequence: first + i, at, bytes }));
}
