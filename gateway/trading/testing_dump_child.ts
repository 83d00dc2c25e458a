/**
 * Writes a dump of `bytes`, checks it if told so, alone in a process, and prints what came of it and by how much memory grew:
 * `node … testing_dump_child.ts <bytes> [check]`.
 */
import { writeDump } from './dump.ts';
import { checkDump, referenceBounds } from './dump_check.ts';
import { someEntries } from './testing.ts';

const [bytes, isChecked] = [Number(process.argv[2]), process.argv[3] === 'check'];
const entries = [...someEntries(1_000)];
const startBytes = process.memoryUsage().rss;
let written = 0;
let rssMax = startBytes;

function* enough() {
  for (let n = 0; written < bytes; n += 1) yield entries[n % entries.length]!;
}

async function* counted() {
  let chunks = 0;
  for await (const chunk of writeDump(enough())) {
    written += chunk.length;
    if ((chunks += 1) % 16 === 0) rssMax = Math.max(rssMax, process.memoryUsage().rss);
    yield chunk;
  }
}

let isValid: boolean | null = null;
if (isChecked) ({ isValid } = await checkDump(counted(), referenceBounds));
else for await (const _ of counted());
process.stdout.write(JSON.stringify({ isValid, written, grownBytes: rssMax - startBytes }));
