/** Faults of the membership: engines that come, go, die and stand still, and engines of two builds side by side. */
import { appendFileSync, cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readJournalLast } from '#engine/log/mod';
import { sleep, until } from '../system/installation.ts';
import { partitions } from '../system/money_plan.ts';
import type { Role } from '../system/role.ts';
import type { Bed } from './bed.ts';
import type { Fault } from './faults.ts';

const turnMs = 2_000;
/** Longer than it takes to be taken for dead. */
const pauseMs = 3_000;
const takenMsMax = 60_000;
const turns = ['join', 'stand still', 'join', 'die', 'leave', 'join', 'stand still', 'die', 'join', 'leave'] as const;

/** One that gives its partitions away must end in order. */
async function leave(engine: Role): Promise<void> {
  const end = await engine.leave();
  if (end !== 0) throw new Error(`an engine that was to leave ended with ${end}: ${engine.lastWords}`);
}

function churn(): Fault {
  /** Beside the one that the market starts again. */
  let others: Role[] = [];
  const living = ({ market }: Bed) => [...others, market.role('engine')].filter(({ end }) => end === undefined);
  return {
    name: 'engines-churn',
    what: `every ${turnMs / 1_000} s an engine joins, leaves, dies or stands still for ${pauseMs / 1_000} s, ${turns.length} times`,
    apply: async (bed) => {
      const { market, random } = bed;
      others = [];
      const anyOf = (engines: readonly Role[]) => engines[random.below(engines.length)]!;
      for (const turn of turns) {
        await sleep(turnMs);
        if (turn === 'join') {
          others.push(market.role('engine'));
          await market.startBeside('engine');
        } else if (turn === 'leave') {
          const left = anyOf(others.filter(({ end }) => end === undefined));
          if (left) await leave(left);
        } else if (turn === 'die') await anyOf(living(bed)).kill();
        else {
          const sleeper = anyOf(living(bed));
          sleeper.pause();
          await sleep(pauseMs);
          sleeper.resume();
        }
        const crashed = others.find(({ end }) => typeof end === 'number' && end !== 0);
        if (crashed) throw new Error(`an engine ended by itself: ${crashed.lastWords}`);
      }
    },
    heal: async () => {
      for (const engine of others.splice(0)) if (engine.end === undefined) await leave(engine);
    },
  };
}

/** The same rules in files that differ: whoever decides from them is another build. */
function nextBuild(): string {
  const root = join(import.meta.dirname, '../..');
  const folder = mkdtempSync(join(tmpdir(), 'gridtick-build-'));
  cpSync(join(root, 'dist'), join(folder, 'dist'), { recursive: true });
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ ...manifest, version: `${manifest.version}-next` }));
  appendFileSync(join(folder, 'dist/engine/partition/decider.js'), '\n// of the next build\n');
  return folder;
}

/** Resolves when the newest record of every partition is of the next build, or of this one. */
const decidedBy = ({ market }: Bed, isNext: boolean) =>
  until(`every partition is decided by the ${isNext ? 'next' : 'first'} build`, takenMsMax, async () => {
    for (let p = 0; p < partitions; p++) {
      const newest = await readJournalLast(market.nc, p);
      if (newest?.record.build.includes('-next+') !== isNext) return undefined;
    }
    return true;
  });

function upgrade(): Fault {
  let folder = '';
  let old: Role[] = [];
  return {
    name: 'rolling-upgrade',
    what: 'two engines are replaced by those of another build, one by one; then the same way back',
    apply: async (bed) => {
      const { market } = bed;
      folder = nextBuild();
      const first = market.role('engine');
      old = [first, await market.startBeside('engine')];
      for (const engine of old.splice(0)) {
        old.push(await market.startBeside('engine', '', join(folder, 'dist')));
        await leave(engine);
      }
      await decidedBy(bed, true);
      await sleep(turnMs);
    },
    heal: async (bed) => {
      try {
        await bed.market.startBeside('engine');
        for (const engine of old.splice(0)) await leave(engine);
        await decidedBy(bed, false);
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    },
  };
}

export const engineFaults: readonly Fault[] = [churn(), upgrade()];
