/** Faults that end an installation's log: a disk that fills up, and files of the store that are not what they were. */
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdtempSync,
  openSync,
  closeSync,
  readdirSync,
  readSync,
  rmSync,
  statSync,
  truncateSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { verifyPartitions } from '#engine/partition/verify';
import type { Random } from '#gateway/simulator/random';
import { sleep, until } from '../system/installation.ts';
import { partitions } from '../system/money_plan.ts';
import { Bed } from './bed.ts';
import { check, type Verdict } from './checker.ts';

export interface StoreFault {
  name: string;
  what: string;
  /** With an installation of its own. */
  play(random: Random): Promise<Verdict & { recoveryMs: number | null; note: string }>;
}

const diskMiB = 96;
const noticedMsMax = 20_000;
/** A reader of a damaged stream may wait for ever. */
const readMsMax = 5_000;

/** A small disk in memory; @throws when this user may not mount one */
function mountSmallDisk(): { folder: string; unmount(): void } {
  const folder = mkdtempSync(join(tmpdir(), 'gridtick-disk-'));
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${diskMiB}m`, 'tmpfs', folder], { stdio: 'pipe' });
  return {
    folder,
    unmount: () => {
      execFileSync('umount', ['-l', folder], { stdio: 'pipe' });
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function fillDisk(random: Random) {
  const disk = mountSmallDisk();
  const bed = await Bed.open(random, { storeDir: join(disk.folder, 'store') });
  try {
    bed.trade();
    await bed.answers();
    const filler = join(disk.folder, 'filler');
    const file = openSync(filler, 'w');
    // To the last page: records are small.
    for (const bytes of [64 * 1024, 4 * 1024])
      for (let isFull = false; !isFull;)
        try {
          writeSync(file, Buffer.alloc(bytes, 1));
        } catch {
          isFull = true;
        }
    closeSync(file);
    // Nothing that cannot be stored is acknowledged; it must not go on as if it could.
    const isSilent = await Promise.race([bed.answers().then(() => false), sleep(noticedMsMax / 2).then(() => true)]);
    rmSync(filler);
    const healedAt = Date.now();
    // nats-server stops JetStream on a full disk, until it is started again.
    await bed.market.nats.restart();
    const recoveryMs = await bed.answers(healedAt);
    await bed.rest();
    const verdict = await check(bed.market);
    verdict.problems.push(...bed.problems, ...(await bed.market.check()));
    if (!isSilent) verdict.problems.push('commands were still stored: the disk was not full for nats-server');
    return {
      ...verdict,
      recoveryMs,
      note: isSilent ? 'refused while the disk was full' : 'still had room in its files',
    };
  } finally {
    await bed.close();
    disk.unmount();
  }
}

/** The newest file that holds messages of a partition's journal. */
function journalFile(storeDir: string): string {
  const found: string[] = [];
  const walk = (folder: string) => {
    for (const item of readdirSync(folder, { withFileTypes: true })) {
      const path = join(folder, item.name);
      if (item.isDirectory()) walk(path);
      else if (/\/J_\d+\/msgs\/\d+\.blk$/.test(path)) found.push(path);
    }
  };
  walk(storeDir);
  return found.sort((a, b) => statSync(b).size - statSync(a).size)[0]!;
}

/** Damages the largest journal while nothing runs; somebody must say so, be it a role that refuses or `gridtick verify`. */
async function damage(random: Random, how: (file: string) => void) {
  const bed = await Bed.open(random, {});
  const { market } = bed;
  try {
    bed.trade();
    await bed.answers();
    await sleep(3_000);
    await bed.rest();
    const before = await check(market);
    const roles = (['engine', 'history'] as const).map((name) => market.role(name));
    for (const role of roles) role.pause();
    await market.nats.kill9();
    const file = journalFile(market.nats.storeDir);
    how(file);
    // The server's own index would hide what the files hold.
    const index = join(file, '..', 'index.db');
    if (existsSync(index)) rmSync(index);
    await market.nats.restart();
    for (const role of roles) role.resume();
    const all = Array.from({ length: partitions }, (_, p) => p);
    const heard = new Set<string>();
    for (const role of roles)
      void role.ended.then(() => heard.add(`${role.name} refuses: ${role.lastWords.slice(-300)}`));
    await until('the damage is noticed', noticedMsMax, async () => {
      const reading = verifyPartitions(market.nc, all).catch((error: Error) => {
        // A server that is not back yet has noticed nothing.
        if (error.name === 'Unreadable' || error.name === 'LogWentBack') heard.add(`verify: ${error.message}`);
        return [];
      });
      const verdicts = await Promise.race([reading, sleep(readMsMax).then(() => [])]);
      for (const { partition, problems } of verdicts) if (problems[0]) heard.add(`verify ${partition}: ${problems[0]}`);
      return heard.size > 0 || undefined;
    }).catch(() => undefined);
    const [said = ''] = heard;
    return {
      ...before,
      problems: said ? [] : ['the damage was not noticed'],
      recoveryMs: null,
      note: said.replaceAll('\n', ' ').slice(0, 160),
    };
  } finally {
    await bed.close();
  }
}

export const storeFaults: readonly StoreFault[] = [
  {
    name: 'disk-full',
    what: `nats-server's disk (a tmpfs of ${diskMiB} MiB) is full for some seconds`,
    play: fillDisk,
  },
  {
    name: 'store-flipped',
    what: 'one bit in the middle of a journal file is another one',
    play: (random) =>
      damage(random, (path) => {
        const file = openSync(path, 'r+');
        const at = Math.floor(statSync(path).size / 2);
        const byte = Buffer.alloc(1);
        readSync(file, byte, 0, 1, at);
        writeSync(file, Buffer.from([byte[0]! ^ 0x10]), 0, 1, at);
        closeSync(file);
      }),
  },
  {
    name: 'store-truncated',
    what: 'the last third of a journal file is gone',
    play: (random) => damage(random, (path) => truncateSync(path, Math.floor((statSync(path).size * 2) / 3))),
  },
];
