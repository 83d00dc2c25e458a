/**
 * Guarantees switched off one at a time, to show that the simulation would notice. The product has no switch for it: a
 * mutation replaces a method in the running test, or a promise of the simulated log, and gives it back.
 */
import { Decider } from '../partition/decider.ts';
import { Outcomes } from '../partition/outcomes.ts';
import { PartitionState } from '../partition/state.ts';
import { Timers } from '../partition/timers.ts';
import type { MemoryLog } from './memory_log.ts';
import { simulate } from './simulation.ts';

interface Mutation {
  /** What is missing while it is on. */
  missing: string;
  /** Replaces something of the product; returns how to give it back. */
  replace?(): () => void;
  /** Changes the world. */
  prepare?(log: MemoryLog): void;
}

/** Puts another method in place of one. */
function replaced<T extends object, K extends keyof T>(of: T, name: K, by: (original: T[K]) => T[K]): () => void {
  const original = of[name];
  of[name] = by(original);
  return () => {
    of[name] = original;
  };
}

export const mutations = {
  cas: {
    missing: 'appends to the journal do not say which sequence they expect',
    prepare: (log) => {
      log.isFenced = false;
    },
  },
  writer_watermark: {
    missing: 'frames of a writer are applied whatever number they begin with',
    replace: () => {
      let first = 1;
      const giveBack = [
        replaced(
          Decider.prototype,
          'frame',
          (original) =>
            function (this: Decider, sequence, at, frame, bytes) {
              ({ first } = frame);
              original.call(this, sequence, at, frame, bytes);
            },
        ),
        replaced(
          PartitionState.prototype,
          'mark',
          (original) =>
            function (this: PartitionState, writer) {
              const mark = original.call(this, writer);
              return mark && Object.assign(mark, { seq: first - 1 });
            },
        ),
      ];
      return () => giveBack.forEach((back) => back());
    },
  },
  id_ring: {
    missing: 'a command id that was decided before is decided again',
    replace: () => replaced(Outcomes.prototype, 'judge', () => () => ({ kind: 'new' })),
  },
  post_commit_release: {
    missing: 'replies leave with the append of their record, not with its acknowledgement',
    prepare: (log) => {
      log.releasesEarly = true;
    },
  },
  timer_generation: {
    missing: 'a timer that was armed anew is due at its earlier time, too',
    replace: () =>
      replaced(
        Timers.prototype,
        'isCurrent',
        (original) =>
          function (this: Timers, id, dueAt) {
            // A slot is armed again by its own firing, so that without generations it would never end.
            return id.startsWith('slot|') ? original.call(this, id, dueAt) : this.dueAt(id) !== undefined;
          },
      ),
  },
} as const satisfies Record<string, Mutation>;
export type MutationName = keyof typeof mutations;

export interface Found {
  /** null: nothing was noticed. */
  seed: number | null;
  problem: string;
  /** Worlds that were played. */
  played: number;
}

/** Plays worlds with a mutation until one notices. */
export async function findMutation(name: MutationName, from: number, seeds: number): Promise<Found> {
  const { replace, prepare }: Mutation = mutations[name];
  const giveBack = replace?.();
  try {
    for (let seed = from; seed < from + seeds; seed++) {
      const { problems } = await simulate(seed, { prepare });
      if (problems[0] !== undefined) return { seed, problem: problems[0], played: seed - from + 1 };
    }
    return { seed: null, problem: '', played: seeds };
  } finally {
    giveBack?.();
  }
}
