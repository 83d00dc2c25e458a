/**
 * A projection alone in a process, for tests that kill it: `node … testing_child.ts publisher <nats url> <partitions>`.
 * Prints a line when it runs; ends with code 3 and the reason when it must not go on.
 */
import { connectLog } from '../log/mod.ts';
import { natsJournal } from './journal.ts';
import { sharedJournal } from './shared_journal.ts';
import { startPublisher } from './publisher.ts';

const [what, natsUrl = '', partitions = '1'] = process.argv.slice(2);
const fatal = (error: Error) => {
  process.stderr.write(`${error.name}: ${error.message}\n`);
  process.exit(3);
};
process.stdin.on('end', () => process.exit(0)).resume();

try {
  const nc = await connectLog(natsUrl, 'test publisher');
  const journal = sharedJournal(natsJournal(nc, Number(partitions)));
  if (what !== 'publisher') throw new Error(`unknown: '${what ?? ''}'`);
  await startPublisher(nc, journal, { kinds: ['price', 'meter'], markEvery: 100, markEveryMs: 200, onFatal: fatal });
  process.stdout.write('{"ready":true}\n');
} catch (error) {
  fatal(error as Error);
}
