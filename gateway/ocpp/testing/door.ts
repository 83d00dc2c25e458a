/** A command log in memory for tests of this folder: it records what comes, and acknowledges when it is told to. */
import type { CommandResult } from '#engine/wire';
import type { Command, Door } from '../door.ts';

type Reply = (command: Command) => CommandResult;

export class MemoryDoor implements Door {
  readonly partitions = 16;
  readonly commands: Command[] = [];
  /** Answers of decided commands by type. */
  readonly replies = new Map<string, Reply>();
  /** While true nothing is acknowledged; `release` lets everything go. */
  held = false;
  inFlight = 0;
  /** How far its engine is behind, all partitions alike, ms. */
  behindMs = 0;
  #waiting: (() => void)[] = [];
  readonly #grants = new Map<string, number>();
  #watchers: (() => void)[] = [];

  constructor() {
    const token = { status: 'Accepted', expiresAt: null, group: null };
    this.reply('charger.connected', ({ to }) => {
      const connectionSeq = (this.#grants.get(to.id) ?? 0) + 1;
      this.#grants.set(to.id, connectionSeq);
      return { connectionSeq, registration: 'accepted' };
    });
    this.reply('charger.booted', () => ({ status: 'Accepted', intervalS: 300 }));
    this.reply('token.presented', () => token);
    this.reply('session.started', () => ({ transaction: 33_554_433, token }));
    this.reply('session.ended', ({ body }) => ({ transaction: body['transaction'], token }));
  }

  reply(type: string, value: (command: Command) => unknown): void {
    this.replies.set(type, (command) => ({ ok: true, value: value(command), at: '0:1' }));
  }

  refuse(type: string, code: 'internal_error' | 'unavailable' | 'overloaded'): void {
    this.replies.set(type, () => ({ ok: false, code, at: '0:1' }));
  }

  engineLagMs(): number {
    return this.behindMs;
  }

  async append(command: Command): Promise<void> {
    await this.#take(command);
  }

  async request(command: Command & { timeoutMs?: number }): Promise<CommandResult> {
    // What is decided is what the command said when it came.
    const reply =
      this.replies.get(command.type) ?? (() => ({ ok: false as const, code: 'unknown_command' as const, at: '' }));
    const result = reply(command);
    await this.#take(command);
    return result;
  }

  release(): void {
    this.held = false;
    for (const go of this.#waiting.splice(0)) go();
  }

  /** Acknowledges the oldest command that waits. */
  releaseOne(): void {
    this.#waiting.shift()?.();
  }

  get types(): string[] {
    return this.commands.map((command) => command.type);
  }

  of(type: string): Command[] {
    return this.commands.filter((command) => command.type === type);
  }

  /** Commands that come from messages of chargers, without those about connections. */
  get facts(): Command[] {
    return this.commands.filter(
      ({ type }) => !['charger.connected', 'charger.disconnected', 'gateway.alive'].includes(type),
    );
  }

  /** Resolves once `done` holds; looked at after each command. */
  async until(done: () => boolean): Promise<void> {
    while (!done()) await new Promise<void>((next) => this.#watchers.push(next));
  }

  async #take(command: Command): Promise<void> {
    this.commands.push(command);
    for (const notify of this.#watchers.splice(0)) notify();
    this.inFlight += 1;
    if (this.held) await new Promise<void>((go) => this.#waiting.push(go));
    this.inFlight -= 1;
  }
}
