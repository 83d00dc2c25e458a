/** Doors and engines of the faulty world, as far as their promises go. */
import type { Catalogue } from '../partition/catalogue.ts';
import { PartitionOwner } from '../partition/owner.ts';
import { encodeFrame, type ClockKind, type CommandEnvelope, type ReplyOut, type ReplyResult } from '../wire.ts';
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

/** An engine that owns all partitions. */
export class SimulatedEngine {
  alive = true;
  owners: PartitionOwner[] = [];
  errors: Error[] = [];
  readonly #log: MemoryLog;

  constructor(
    log: MemoryLog,
    catalogue: Catalogue,
    onReplies: (replies: ReplyOut[]) => void,
    trace?: (line: string) => void,
    snapshotEveryBytes = 6_000,
    clock: ClockKind = 'wall',
  ) {
    this.#log = log;
    const partitions = log.commands.length;
    for (let partition = 0; partition < partitions; partition++) {
      const owner = new PartitionOwner({
        partition,
        partitions,
        build: 'sim',
        catalogue,
        clock,
        snapshotEveryBytes,
        ports: log.ports(
          partition,
          () => this.alive,
          (_at, replies) => onReplies(replies),
        ),
        onEvent: (event) =>
          trace?.(`${log.world.now % 1_000_000} p${partition} ${owner.owner.slice(0, 4)} ${JSON.stringify(event)}`),
        onFailed: (error) => {
          if (error.name !== 'Superseded') this.errors.push(error);
        },
      });
      this.owners.push(owner);
      void owner.start().catch((error: Error) => {
        if (this.alive) this.errors.push(error);
      });
    }
  }

  /** Everything in the logs is decided and committed, and no relay is under way. */
  get quiet(): boolean {
    return this.owners.every(
      (owner, p) =>
        owner.state && owner.relaysPending === 0 && owner.committed.offset === this.#log.commands[p]!.messages.length,
    );
  }

  kill() {
    this.alive = false;
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
