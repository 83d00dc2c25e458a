/**
 * Kills parts of an installation under load, at random moments, and starts them again: `kill -9` of roles, of the log's
 * server and of the supervisor with everything below it.
 */
import { Random } from '#gateway/simulator/random';
import { sleep, type Installation } from './installation.ts';

/** How often each is chosen among the roles that the supervisor starts again. */
export type Weights = Readonly<Record<string, number>>;
export const rolesOfTheCommit: Weights = { engine: 6, gateway: 4, history: 4, nats: 4 };
export const allServersToo: Weights = { ...rolesOfTheCommit, redis: 3, clickhouse: 3 };

const slotMs = 12_000;
/** After the death of the supervisor no child may live longer. */
const orphansMsMax = 5_000;

export interface Kill {
  victims: string[];
  at: number;
  /** Everything served again. */
  readyAt: number;
}

export interface Killings {
  kills: Kill[];
  /** ms from the death of the supervisor until no child was left. */
  orphansMs: number[];
}

export interface KillOptions {
  seed: number;
  /** Kills in all, at least; of them so many of the supervisor, evenly spread. */
  kills: number;
  supervisors: number;
  /** @default rolesOfTheCommit */
  weights?: Weights;
}

export const countOf = (kills: readonly Kill[]): number => kills.reduce((sum, kill) => sum + kill.victims.length, 0);

/** Kills one or two roles at a time; goes on as soon as everything serves again, within up to a second. */
export async function killAtRandom(installation: Installation, options: KillOptions): Promise<Killings> {
  const { seed, supervisors, weights = rolesOfTheCommit } = options;
  const random = new Random(`kills ${seed}`);
  const names = Object.keys(weights);
  const choose = () => names[random.weighted(Object.values(weights))]!;
  const kills: Kill[] = [];
  const orphansMs: number[] = [];
  while (countOf(kills) < options.kills || orphansMs.length < supervisors) {
    if (
      countOf(kills) >= ((orphansMs.length + 1) * options.kills) / (supervisors + 1) &&
      orphansMs.length < supervisors
    ) {
      kills.push(await killSupervisor(installation, random, orphansMs));
      continue;
    }
    await sleep(random.below(1_000));
    const chosen = [...new Set(random.below(3) === 0 ? [choose()] : [choose(), choose()])];
    const at = Date.now();
    for (const [i, role] of chosen.entries()) {
      // The second dies while the first one is missed or comes back.
      if (i > 0) await sleep(random.below(400));
      installation.kill(role);
    }
    await installation.ready();
    kills.push({ victims: chosen, at, readyAt: Date.now() });
  }
  return { kills, orphansMs };
}

/** The first time shortly before a border, and back only when a whole slot has passed, so that there is one to skip. */
async function killSupervisor(installation: Installation, random: Random, orphansMs: number[]): Promise<Kill> {
  const long = orphansMs.length === 0;
  if (long) {
    const border = (Math.floor(Date.now() / slotMs) + 1) * slotMs;
    await sleep(Math.max(0, border - 200 - random.below(1_500) - Date.now()));
  } else await sleep(random.below(1_000));
  const at = Date.now();
  orphansMs.push(await installation.killSupervisor(orphansMsMax));
  if (long) await sleep((Math.floor(at / slotMs) + 2) * slotMs - Date.now());
  await installation.start();
  await installation.ready();
  return { victims: ['supervisor'], at, readyAt: Date.now() };
}

/** Slots that passed as a whole while the engine could not work: these, and no others, may be without a price. */
export function mayBeSkipped(slot: number, kills: readonly Kill[]): boolean {
  return kills.some(({ at, readyAt }) => at <= slot * slotMs + 100 && (slot + 1) * slotMs <= readyAt + 100);
}
