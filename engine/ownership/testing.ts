/** Engines that come and go in one process, on a real log, and callers who count what they were answered. */
import pino from 'pino';
import { accountAddress, tallyDomain } from '../simulation/tally.ts';
import { openDoor, type Door } from '../log/mod.ts';
import { startTestProxy, type TestNats, type TestProxy } from '../log/testing.ts';
import type { NatsConnection } from '@nats-io/transport-node';
import { startEngine, type Engine } from '../roles/engine_role.ts';

type Noted = {
  engine: string;
  event: string;
  partition?: number;
  epoch?: number;
  gapMs?: number | null;
  reason?: string;
};

export class TestEngines {
  readonly failures: unknown[] = [];
  /** What the engines wrote to their logs. */
  readonly noted: Noted[] = [];
  readonly #started: Engine[] = [];
  readonly #nats: TestNats;
  readonly #partitions: number;

  constructor(nats: TestNats, partitions: number) {
    this.#nats = nats;
    this.#partitions = partitions;
  }

  async start(url = this.#nats.url): Promise<Engine> {
    const engine = await startEngine({
      config: { natsUrl: url, partitions: this.#partitions },
      domain: tallyDomain,
      log: pino({ level: 'info' }, { write: (line: string) => void this.noted.push(JSON.parse(line) as Noted) }),
      onFatal: (error) => this.failures.push(error),
      sinks: [],
    });
    this.#started.push(engine);
    return engine;
  }

  /** Those too that are closed already, or cut off. */
  async closeAll() {
    const closing = this.#started.splice(0).map((engine) => engine.close().catch(() => undefined));
    await Promise.race([Promise.all(closing), new Promise((resolve) => setTimeout(resolve, 2_000))]);
  }

  /** One whose line to the log can be held or cut. */
  async startBehindProxy(): Promise<{ engine: Engine; proxy: TestProxy }> {
    const proxy = await startTestProxy(this.#nats.port);
    return { engine: await this.start(proxy.url), proxy };
  }
}

/** Partition → epoch of what an engine owns. */
export const epochsOf = ({ owners }: Engine) => new Map(owners.map(({ partition, epoch }) => [partition, epoch]));
export const partitionsOf = (...engines: Engine[]) =>
  engines.flatMap(({ owners }) => owners.map(({ partition }) => partition)).sort((a, b) => a - b);

/** Each adds 2 to an account of its own, sends 1 of it to the pot, waits for each answer, and goes on until told to stop. */
export class Callers {
  readonly #door: Door;
  readonly #accounts: readonly string[];
  readonly #running: Promise<void>[];
  #stopped = false;
  answered = 0;
  /** Answers that are not what they must be when every command is applied once, and in order. */
  readonly wrong: string[] = [];

  static async open(nc: NatsConnection, partitions: number, name: string, count: number) {
    return new Callers(await openDoor(nc, { name, partitions, lagMax: { commands: 50_000, ms: 60_000 } }), name, count);
  }

  constructor(door: Door, name: string, count: number) {
    this.#door = door;
    this.#accounts = Array.from({ length: count }, (_, i) => `${name}-${i}`);
    this.#running = this.#accounts.map((id) => this.#run(id));
  }

  /** Resolves when `count` more are answered. */
  async more(count: number) {
    const until = this.answered + count;
    while (this.answered < until) await new Promise((resolve) => setTimeout(resolve, 5));
  }

  /** Waits for the last answers; then what the pot should hold. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#running);
    await this.#door.close();
  }

  async #run(id: string) {
    for (let n = 1; !this.#stopped; n++) {
      const to = accountAddress(id);
      const type = n % 2 === 1 ? 'add' : 'transfer';
      const body = n % 2 === 1 ? { amount: 2 } : { to: 'pot', amount: 1 };
      const result = await this.#door.request({ id: `test:${n}`, to, type, body, timeoutMs: 25_000 });
      const wanted = Math.floor(n / 2) + (n % 2) * 2;
      this.answered += 1;
      if (!result.ok || result.value !== wanted)
        this.wrong.push(`${id} ${n}: ${JSON.stringify(result)}, not ${wanted}`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
}
