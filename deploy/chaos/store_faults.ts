/** Faults that end an installation's log: a disk that fills up, and files of the store that are not what they were. */
import { execFileSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { journalBounds, stream } from '#engine/log/mod';
import { cutOff, flipBit, messageFile } from '#engine/log/testing_store';
import { verifyPartitions } from '#engine/partition/verify';
import { readWitnesses } from '#engine/partition/witnesses';
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
const noticedMsMax = 30_000;
/** Until the last pages are full, and without an answer until that is so. */
const fullMsMax = 120_000;
const silentMs = 15_000;
/** Longer than the publisher takes to write down how far it has read. */
const tradeMs = 12_000;
const all = Array.from({ length: partitions }, (_, p) => p);

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
    // Small records still go into the last page of each file. What cannot be stored is not acknowledged, and callers are told.
    let isSilent = false;
    for (const end = Date.now() + fullMsMax; !isSilent && Date.now() < end;)
      isSilent = await Promise.race([bed.answers().then(() => false), sleep(silentMs).then(() => true)]);
    const said = await bed.market.people[0]!.asksForPrice('nord').catch((error: Error) => error.message);
    rmSync(filler);
    const healedAt = Date.now();
    // On a full disk nats-server 2.9.10 hangs in its first failed write, SIGTERM included, until it is killed.
    await bed.market.nats.kill9();
    await bed.market.nats.restart();
    const recoveryMs = await bed.answers(healedAt);
    await bed.rest();
    const verdict = await check(bed.market);
    verdict.problems.push(...bed.problems, ...(await bed.market.check()));
    if (!/^503 (unavailable|overloaded|starting)$/.test(said)) verdict.problems.push(`the API said: ${said}`);
    if (!isSilent) verdict.problems.push('commands were still stored: the disk was not full for nats-server');
    return {
      ...verdict,
      recoveryMs,
      note: `refused while the disk was full: ${said}`,
    };
  } finally {
    await bed.close();
    disk.unmount();
  }
}

interface Damage {
  /** Of the partition with the largest journal. */
  stream: 'journal' | 'commands';
  how(file: string): void;
  /** What was there before: everything goes on behind it, or is started again. */
  roles: 'go on' | 'start again';
  /** nats-server ended in order and trusts its own index, or was killed and reads its files. */
  server: 'ended' | 'killed';
}

/**
 * Damages files of the log while nats-server is down. Then `gridtick verify` must name it where a journal is concerned, the
 * engine must leave the partition unserved with a code and live on, and nothing may be appended behind the damage.
 */
async function damage(random: Random, { stream: kind, how, roles, server }: Damage) {
  const bed = await Bed.open(random, {});
  const { market } = bed;
  try {
    bed.trade();
    await bed.answers();
    await sleep(tradeMs);
    await bed.rest();
    const before = await check(market);
    const sizes = await Promise.all(all.map((p) => journalBounds(market.nc, p)));
    const worst = all.reduce((a, b) => (sizes[a]!.bytes >= sizes[b]!.bytes ? a : b));
    // What reached no mark and no copy before everything stopped cannot be missed by anybody.
    const { last: seen } = await journalBounds(market.nc, worst);
    await until('a mark', noticedMsMax, async () =>
      ((await readWitnesses(market.nc)).get(worst)?.sequence ?? 0) >= seen ? true : undefined,
    );
    const ended: string[] = [];
    // Readers of the history role end with a code of their own.
    market.onEnded = ({ name, lastWords }) => {
      if (!/"code":"(log_damaged|log_went_back|journal_went_back)"/.test(lastWords) || name === 'engine')
        ended.push(name);
    };
    const served = (['engine', 'history', 'gateway'] as const).map((name) => market.role(name));
    for (const role of served) role.pause();
    await (server === 'ended' ? market.nats.leave() : market.nats.kill9());
    const file = messageFile(market.nats.storeDir, stream[kind](worst));
    how(file);
    // Written now and then; by a newer one a server that was killed would know as much as one that ended in order.
    if (server === 'killed') rmSync(file.replace(/blk$/, 'idx'), { force: true });
    await market.nats.restart();
    const bounds = () => journalBounds(market.nc, worst).catch(() => undefined);
    const found = await until('the log answers', noticedMsMax, bounds);
    if (roles === 'go on') for (const role of served) role.resume();
    // Whoever is killed is started again.
    else for (const role of served) await role.kill();
    const askedAt = Date.now();
    const problems: string[] = [];
    if (kind === 'journal') {
      const [verdict] = await verifyPartitions(market.nc, [worst]);
      if (verdict!.problems.length === 0) problems.push('verify calls the damaged journal clean');
    }
    const said = await until('the engine refuses', noticedMsMax, () =>
      market
        .role('engine')
        .lastWords.split('\n')
        .find((line) => /"code":"log_(damaged|went_back)"/.test(line) && line.includes('"msg":"unserved"')),
    ).catch((error: Error) => void problems.push(error.message));
    const { partition, reason = '' } = JSON.parse(said ?? '{}') as { partition?: number; reason?: string };
    if (said !== undefined && partition !== worst) problems.push(`the damage is in ${worst}, not in ${partition}`);
    const recoveryMs = Date.now() - askedAt;
    const { last } = await until('the log answers', noticedMsMax, bounds);
    if (last !== found.last) problems.push(`${last - found.last} records were appended behind the damage`);
    if (roles === 'go on') problems.push(...ended.map((name) => `${name} ended`));
    return { ...before, problems, recoveryMs, note: reason.slice(0, 160) };
  } finally {
    await bed.close();
  }
}

const flipped = (path: string) => flipBit(path, 0.5);
const shortened = (path: string) => cutOff(path, 2 / 3);

const damages: readonly (Damage & Pick<StoreFault, 'name' | 'what'>)[] = [
  {
    name: 'store-flipped',
    what: 'a bit of a journal file flips while nats-server is down; the roles go on',
    ...{ stream: 'journal', how: flipped, roles: 'go on', server: 'killed' },
  },
  {
    name: 'store-flipped-ended',
    what: 'the same, nats-server had ended in order and the roles start again',
    ...{ stream: 'journal', how: flipped, roles: 'start again', server: 'ended' },
  },
  {
    name: 'store-truncated',
    what: 'the last third of a journal file goes while nats-server is down; the roles go on',
    ...{ stream: 'journal', how: shortened, roles: 'go on', server: 'killed' },
  },
  {
    name: 'store-truncated-ended',
    what: 'the same, and the roles start again',
    ...{ stream: 'journal', how: shortened, roles: 'start again', server: 'ended' },
  },
  {
    name: 'commands-truncated',
    what: 'the last third of a command log goes while nats-server is down; the roles start again',
    ...{ stream: 'commands', how: shortened, roles: 'start again', server: 'killed' },
  },
];

export const storeFaults: readonly StoreFault[] = [
  {
    name: 'disk-full',
    what: `nats-server's disk (a tmpfs of ${diskMiB} MiB) is full for some seconds`,
    play: fillDisk,
  },
  ...damages.map(({ name, what, ...how }) => ({ name, what, play: (random: Random) => damage(random, how) })),
];
