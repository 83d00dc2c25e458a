/**
 * What comes next in a partition, decided in a process that nobody needs: its owner wants to know which unit ends it. Nothing is
 * written; each unit is named before it is decided, so that the last name is the one that did it.
 */
import type { RefusalCode } from '#actors/refusals';
import { decodeFrame, timeOfFrame, type ClockKind, type Frame } from '../wire.ts';
import type { Catalogue } from './catalogue.ts';
import { Decider } from './decider.ts';
import type { PartitionPorts } from './ports.ts';
import { recoverState } from './recovery.ts';
import type { ReplaySource } from './replay_source.ts';

/** An owner has at most four records of 1,024 units under way when it dies. */
const unitsTried = 8_192;

export interface TrialOptions {
  source: ReplaySource;
  ports: Pick<PartitionPorts, 'journalBounds' | 'readJournal' | 'snapshots'>;
  catalogue: Catalogue;
  clock: ClockKind;
  build: string;
  /** Units that are known to end a process: they are refused, as their owner will. */
  deadly: readonly string[];
  /** That a unit is about to be decided; must have left the process when it returns. */
  tell(unit: string, sequence: number): void;
  /** That it was decided, and nobody died of it. */
  decided(): void;
}

/** Asked before every unit, as the owner's list of what must be refused is. */
class Announced extends Map<string, RefusalCode> {
  readonly #tell: (unit: string) => void;
  constructor(deadly: readonly string[], tell: (unit: string) => void) {
    super(deadly.map((unit) => [unit, 'command_isolated']));
    this.#tell = tell;
  }
  override get size() {
    return Math.max(1, super.size);
  }
  override get(unit: string) {
    this.#tell(unit);
    return super.get(unit);
  }
}

/** Resolves when everything that comes next was decided, and this process is still there. */
export async function tryWhatComes({
  source,
  ports,
  catalogue,
  clock,
  build,
  deadly,
  tell,
  decided,
}: TrialOptions): Promise<void> {
  const { partition, partitions } = source;
  // The journal's own end: the owner that asks has begun its epoch there, and waits.
  const { last } = await ports.journalBounds();
  const { state } = await recoverState(ports as PartitionPorts, catalogue, partition, partitions, last);
  let sequence = 0;
  let units = 0;
  const poison = new Announced(deadly, (unit) => tell(unit, sequence));
  const newDecider = () => new Decider(state, catalogue, { onFull: () => cut(), poison, build, clock, unitsMax: 1 });
  let decider = newDecider();
  const cut = () => {
    units += 1;
    try {
      decider.take(last + units);
    } catch {
      // What cannot be written is the owner's to refuse; it ends nobody.
      decider = newDecider();
    }
    decided();
  };
  for await (const messages of source.frames(state.offset + 1)) {
    for (const { sequence: at, at: storedAt, bytes } of messages) {
      sequence = at;
      let frame: Frame | null = null;
      try {
        frame = decodeFrame(bytes);
      } catch (error) {
        decider.unreadable(at, timeOfFrame(clock, null, storedAt), error as Error, bytes);
      }
      if (frame) decider.frame(at, timeOfFrame(clock, frame, storedAt), frame, bytes.length);
      cut();
    }
    if (units > unitsTried) return;
  }
}
