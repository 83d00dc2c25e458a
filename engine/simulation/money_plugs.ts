/**
 * Chargers of the money world. Each keeps a meter of its own and tells what it measured through a door of its own: one
 * message at a time, again and again until it is answered, some twice, samples late, stops after the next start, or never.
 */
import { chargerAddress, partitionOf } from '#actors/mod';
import { samplesOf } from '#actors/testing';
import type { StartedReply } from '#actors/schema/commands';
import type { Sample } from '#actors/schema/events';
import type { CommandEnvelope, ReplyOut, ReplyResult } from '../wire.ts';
import type { MemoryLog } from './memory_log.ts';
import { partitions, plugs, ratedW, site, tags, type PlugFounding } from './money_world.ts';
import { SimulatedDoor } from './processes.ts';
import type { Chance } from './world.ts';

/** What a meter showed, and when. */
export interface Reading {
  at: number;
  registerWh: number;
}

/** A session as the car drove it, whatever became of the messages. */
export interface Drawn {
  transaction: number;
  station: string;
  /** Who pays; null: nobody. */
  customer: string | null;
  /** Start, the samples that were told, and the stop where there was one. */
  readings: Reading[];
  end: 'stopped' | 'closed' | 'closed, then stopped' | 'superseded, then stopped';
  /** Samples that were told after a later one, or after the end. */
  late: number;
}

type Held = { body: Record<string, unknown> }[];

export class Plug {
  readonly drawn: Drawn[] = [];
  readonly #log: MemoryLog;
  readonly #door: SimulatedDoor;
  readonly #founding: PlugFounding;
  readonly #problems: string[];
  readonly #waiting = new Map<number, (result: ReplyResult) => void>();
  #registerWh = 1_000;
  #token = 0;
  #told = 0;

  constructor(log: MemoryLog, founding: PlugFounding, problems: string[]) {
    this.#log = log;
    this.#founding = founding;
    this.#problems = problems;
    this.#door = new SimulatedDoor(log, `plug-${founding.charger}`);
  }

  get #chance(): Chance {
    return this.#log.world.chance;
  }
  get #now(): number {
    return this.#log.world.now;
  }

  /** Takes what is for this charger. */
  note(replies: readonly ReplyOut[]) {
    for (const { inbox, token, result } of replies)
      if (inbox === this.#founding.charger) this.#waiting.get(token)?.(result);
  }

  /** So many sessions, one after the other. */
  async run(sessions: number) {
    await this.#door.open();
    let finish: (() => Promise<void>) | null = null;
    for (let n = 0; n < sessions; n++) finish = await this.#session(finish);
    await finish?.();
  }

  /** Tells a fact until it is answered: the same contents under the same key. */
  async #tell(type: string, body: Record<string, unknown>): Promise<ReplyResult> {
    const key = `${type}-${(this.#told += 1)}`;
    return this.#ask(null, type, { key, connectionSeq: 1, frameHash: '', repairs: [], ...body });
  }

  async #ask(id: string | null, type: string, body: Record<string, unknown>): Promise<ReplyResult> {
    const to = chargerAddress(site, this.#founding.charger);
    for (;;) {
      const token = (this.#token += 1);
      const reply = { inbox: this.#founding.charger, token };
      const command: CommandEnvelope = { id, to, type, body, reply, deadline: 0, correlation: null };
      const answered = new Promise<ReplyResult | null>((resolve) => {
        this.#waiting.set(token, resolve);
        this.#log.world.plan(2_000 + this.#chance.below(4_000), () => resolve(null));
      });
      const messages = this.#chance.of(8) ? [command, command] : [command];
      await this.#door.send(messages, partitionOf(site, partitions));
      const result = await answered;
      this.#waiting.delete(token);
      if (result === null) continue;
      if (!result.ok) this.#problems.push(`${this.#founding.charger}: ${type} was refused ${result.code}`);
      return result;
    }
  }

  #time(at: number) {
    return { at, atRaw: new Date(at).toISOString(), clock: false };
  }

  #sample(transaction: number, { at, registerWh }: Reading, powerW: number): Held[number] {
    const samples: Sample[] = samplesOf({ at, w: powerW, wh: registerWh });
    return { body: { connector: 1, transaction, samples } };
  }

  /** `before`: the end of the session before that has not been told yet. Returns that of this one. */
  async #session(before: (() => Promise<void>) | null): Promise<(() => Promise<void>) | null> {
    const chance = this.#chance;
    const { tag, customer } = tags[chance.below(tags.length)]!;
    const first: Reading = { at: this.#now, registerWh: this.#registerWh };
    const started = await this.#tell('session.started', {
      ...this.#time(first.at),
      connector: 1,
      tag,
      meterStartWh: first.registerWh,
    });
    // Who never heard the number of a transaction tells its samples without one.
    const { transaction } = (started as { value: StartedReply }).value;
    const named = chance.of(10) ? -1 : transaction;
    const drawn: Drawn = {
      transaction,
      station: this.#founding.station,
      customer,
      readings: [first],
      end: 'stopped',
      late: 0,
    };
    this.drawn.push(drawn);
    await before?.();

    const held: Held = [];
    const tellHeld = async () => {
      for (const { body } of held.splice(0)) {
        drawn.late += 1;
        await this.#tell('meter.sampled', body);
      }
    };
    for (let n = 1 + chance.below(7); n > 0; n--) {
      const reading = await this.#draw(12_000);
      drawn.readings.push(reading);
      // What the station feels is not what flows, so that its price moves while much energy does.
      const message = this.#sample(named, reading, chance.of(30) ? 0 : chance.below(18_000));
      if (chance.of(15) && n > 1) {
        held.push(message);
        continue;
      }
      await this.#tell('meter.sampled', message.body);
      if (chance.of(50)) await tellHeld();
    }
    const roll = chance.below(100);
    const isNamed = named === transaction;
    if (roll < 20 && isNamed) {
      await this.#ask(`${this.#uuid(transaction)}`, 'session.close', { transaction });
      drawn.end = 'closed';
      await tellHeld();
      if (chance.of(50)) return null;
      drawn.end = 'closed, then stopped';
    }
    const stop = await this.#draw(8_000);
    drawn.readings.push(stop);
    const tellStop = async () => {
      const body = { tag: null, meterStopWh: stop.registerWh, reason: 'Local', samples: [] };
      await this.#tell('session.ended', { ...this.#time(stop.at), transaction: named, ...body });
      await tellHeld();
    };
    // The stop waits in the charger until after the next start, which supersedes the session.
    if (drawn.end === 'stopped' && isNamed && chance.of(25)) {
      return async () => {
        drawn.end = 'superseded, then stopped';
        await tellStop();
      };
    }
    await tellStop();
    return null;
  }

  #uuid(transaction: number): string {
    return `00000000-close-${this.#founding.charger}-${transaction}`;
  }

  /** The car charges for a while. */
  async #draw(msMax: number): Promise<Reading> {
    const from = this.#now;
    await this.#log.world.clock.delay(1_000 + this.#chance.below(msMax));
    const powerW = this.#chance.of(10) ? 0 : ratedW - this.#chance.below(ratedW / 2);
    this.#registerWh += Math.floor((powerW * (this.#now - from)) / 3_600_000);
    return { at: this.#now, registerWh: this.#registerWh };
  }
}

export const openPlugs = (log: MemoryLog, problems: string[]): Plug[] =>
  plugs.map((founding) => new Plug(log, founding, problems));
