/** One partition of a domain on a log that works, in virtual time. */
import type { Domain } from '#actors/actor';
import { Life } from '../simulation/life.ts';
import { MemoryLog } from '../simulation/memory_log.ts';
import { World } from '../simulation/world.ts';
import { encodeFrame, type CommandEnvelope, type Frame, type ReplyOut } from '../wire.ts';
import { compileDomain } from './catalogue.ts';
import { PartitionOwner, type OwnerEvent, type OwnerMeter } from './owner.ts';
import { decodeRecord } from './record.ts';

export type Sent = Partial<CommandEnvelope> & { type: string };

export class Bench {
  readonly world = new World(7);
  readonly log = new MemoryLog(this.world, 1);
  readonly replies: ReplyOut[] = [];
  readonly events: OwnerEvent[] = [];
  readonly failures: Error[] = [];
  readonly owner: PartitionOwner;
  #next = 1;

  constructor(domain: Domain, meter?: OwnerMeter) {
    this.owner = new PartitionOwner({
      partition: 0,
      partitions: 1,
      build: 'test',
      catalogue: compileDomain(domain),
      ports: this.log.ports(0, new Life(), (_at, replies) => this.replies.push(...replies)),
      onFailed: (error) => this.failures.push(error),
      onEvent: (event) => this.events.push(event),
      ...(meter && { meter }),
    });
  }

  async start(): Promise<this> {
    let started = false;
    void this.owner.start().then(() => (started = true));
    await this.world.run(10_000, () => started);
    this.store({ kind: 'hello', writer: 'door', first: 1, commands: [] });
    return this;
  }

  store(frame: Frame) {
    this.log.commands[0]!.store(Uint8Array.from(encodeFrame(frame)));
  }

  /** Stores commands as one frame and waits for their answers, in order, or for the end of the partition. */
  async send(...commands: Sent[]) {
    const answered = this.replies.length;
    const envelopes = commands.map((command): CommandEnvelope => ({
      id: null,
      to: { kind: '', key: '', id: '' },
      body: {},
      reply: { inbox: 'i', token: 0 },
      deadline: 0,
      correlation: null,
      ...command,
    }));
    this.store({ kind: 'commands', writer: 'door', first: this.#next, commands: envelopes });
    this.#next += commands.length;
    const failures = this.failures.length;
    const done = () => this.replies.length >= answered + commands.length || this.failures.length > failures;
    await this.world.run(20_000, done);
    return this.replies.slice(answered).map((reply) => reply.result);
  }

  idle = (ms: number) => this.world.run(ms, () => false);
  journal = () => this.log.journals[0]!.messages.map(({ bytes }) => decodeRecord(bytes));
}
