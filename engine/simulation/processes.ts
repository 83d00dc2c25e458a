/** Doors and engines of the faulty world, as far as their promises go. */
import type { Catalogue } from '../partition/catalogue.ts';
import { PartitionOwner } from '../partition/owner.ts';
import { encodeFrame, type ClockKind, type CommandEnvelope, type ReplyOut, type ReplyResult } from '../wire.ts';
import { Life } from './life.ts';
import type { MemoryLog } from './memory_log.ts';

/** A door as the writers' rules demand: dense numbers per partition, the first unacknowledged frame again until it is stored. */
export class SimulatedDoor {
  readonly #log: MemoryLog;
  readonly #writer: string;
  readonly #next = new Map<number, number>();
  constructor(log: MemoryLog, writer: string) {
    this.#log = log;
    this.#writer = writer;
  }

  async open() {
    for (let p = 0; p < this.#log.commands.length; p++)
      await this.#store(p, { kind: 'hello', writer: this.#writer, first: 1, commands: [] });
  }

  async send(commands: CommandEnvelope[], partition: number) {
    const first = this.#next.get(partition) ?? 1;
    this.#next.set(partition, first + commands.length);
    await this.#store(partition, { kind: 'commands', writer: this.#writer, first, commands });
  }

  async #store(partition: number, frame: Parameters<typeof encodeFrame>[0]) {
    const bytes = Uint8Array.from(encodeFrame(frame));
    for (;;) {
      try {
        await this.#log.append(this.#log.commands[partition]!, bytes);
        return;
      } catch {
        /* uncertain: the same bytes again */
      }
    }
  }
}

export interface EngineOptions {
  catalogue: Catalogue;
  /** What leaves it, with the place of its record. */
  onReplies(at: string, replies: ReplyOut[]): void;
  trace?: ((line: string) => void) | undefined;
  /** @default 6,000 */
  snapshotEveryBytes?: number;
  /** @default wall */
  clock?: ClockKind;
  /** Those that it owns. @default all */
  partitions?: readonly number[];
  /** What befalls its process. @default nothing but `kill` */
  life?: Life;
  /** Its clock against the world's, ms. @default 0 */
  clockAheadMs?: number;
  /** Told when one of its partitions cannot go on, unless another owner has it. @default kept in `errors` */
  onFailed?(error: Error): void;
}

/** A process that owns partitions. */
export class SimulatedEngine {
  readonly life: Life;
  /** By partition; a hole where another one owns it. */
  readonly owners: PartitionOwner[] = [];
  readonly errors: Error[] = [];
  readonly #log: MemoryLog;

  constructor(log: MemoryLog, options: EngineOptions) {
    const { catalogue, onReplies, trace, snapshotEveryBytes = 6_000, clock = 'wall', clockAheadMs = 0 } = options;
    const { onFailed = (error) => this.errors.push(error) } = options;
    this.#log = log;
    this.life = options.life ?? new Life();
    for (const partition of options.partitions ?? log.commands.keys()) {
      const owner = new PartitionOwner({
        partition,
        partitions: log.commands.length,
        build: 'sim',
        catalogue,
        clock,
        snapshotEveryBytes,
        ports: log.ports(partition, this.life, onReplies, clockAheadMs),
        onEvent: (event) =>
          trace?.(`${log.world.now % 1_000_000} p${partition} ${owner.owner.slice(0, 4)} ${JSON.stringify(event)}`),
        onFailed: (error) => {
          if (error.name !== 'Superseded') onFailed(error);
        },
      });
      this.owners[partition] = owner;
      void owner.start().catch((error: Error) => {
        if (this.life.isAlive) onFailed(error);
      });
    }
  }

  /** Everything in the logs of its partitions is decided and committed, and no relay is under way. */
  get quiet(): boolean {
    return this.owners.every(
      (owner, p) =>
        owner.state && owner.relaysPending === 0 && owner.committed.offset === this.#log.commands[p]!.messages.length,
    );
  }

  kill() {
    this.life.kill();
  }
}

/** What doors were answered, by command id. Whoever asks again is told the same. */
export class Answers {
  readonly results = new Map<string, ReplyResult>();
  readonly #problems: string[];
  constructor(problems: string[]) {
    this.#problems = problems;
  }

  note(replies: readonly ReplyOut[]) {
    for (const { commandId, result } of replies) {
      if (commandId === null) continue;
      const before = this.results.get(commandId);
      if (before && JSON.stringify(before) !== JSON.stringify(result))
        this.#problems.push(`${commandId} was answered twice, differently`);
      this.results.set(commandId, result);
    }
  }
}
