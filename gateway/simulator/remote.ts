/** What a charger does when the system tells it to: start, stop, reset, settings. In effect before it is answered. */
import { judge, keys, type KeyName, type SetOutcome } from './configuration.ts';
import type { Line } from './line.ts';
import { openSession, type ChargerMemory, type SessionMemory } from './memory.ts';
import type { Orders, StopReason } from './version.ts';

/** The part of a charger that orders are about. */
export interface Plug {
  readonly identity: string;
  readonly memory: ChargerMemory;
  readonly line: Line;
  now(): number;
  /** When the next car of the plan is there, unix ms; in the past: it is; Infinity: none comes. */
  nextCarAt(): number;
  end(open: SessionMemory, at: number, reason: StopReason): void;
  /** Looks at what is due. */
  advance(): void;
  reportStatus(): void;
  /** A key that nobody has set. */
  unset(key: KeyName): string;
}

/** A start that waits for its car. */
export interface RemoteStart {
  tag: string;
  remoteStart: number | null;
  untilAt: number;
  /** When somebody who was told to drives up, if no car of the plan comes in time. */
  visitorAt: number | null;
}

/** From the order to the plug of a visitor, and the least time there must be for a visit. */
const arrivalMs = 3_000;
const visitMsLeast = 600_000;
/** How long a soft reset waits until what is owed was answered. */
const patienceMs = 5_000;

export class Remote implements Orders {
  readonly #plug: Plug;
  readonly #rebootMs: number;
  #wish: RemoteStart | undefined;
  #rebooting = false;

  constructor(plug: Plug, rebootMs: number) {
    this.#plug = plug;
    this.#rebootMs = rebootMs;
  }

  get rebooting(): boolean {
    return this.#rebooting;
  }

  /** The start that waits for its car, if its time has not run out. */
  get wish(): RemoteStart | undefined {
    if (this.#wish !== undefined && this.#plug.now() >= this.#wish.untilAt) this.#wish = undefined;
    return this.#wish;
  }

  /** The session that was wished for has begun. */
  fulfilled(): void {
    this.#wish = undefined;
  }

  registered(booted: boolean): void {
    if (booted) this.#rebooting = false;
  }

  start(tag: string, connector: number | null, remoteStart: number | null): boolean {
    const plug = this.#plug;
    const { memory } = plug;
    const taken = openSession(memory) !== undefined || this.wish !== undefined;
    if (taken || this.#rebooting || tag === '' || (connector !== null && connector !== 1)) return false;
    const now = plug.now();
    const untilAt = now + Number(this.get('connectionTimeOut')) * 1_000;
    const nobody = memory.parked === null && plug.nextCarAt() > Math.max(untilAt, now + visitMsLeast);
    this.#wish = { tag, remoteStart, untilAt, visitorAt: nobody ? Math.min(now + arrivalMs, untilAt - 1) : null };
    setImmediate(() => plug.advance());
    return true;
  }

  async stop(transaction: unknown): Promise<boolean> {
    const open = openSession(this.#plug.memory);
    if (open === undefined || open.transaction === null || open.transaction !== transaction) return false;
    await this.#end(open, 'Remote');
    return true;
  }

  async resetConnector(): Promise<void> {
    const open = openSession(this.#plug.memory);
    if (open !== undefined) await this.#end(open, 'HardReset');
    setImmediate(() => this.#plug.reportStatus());
  }

  /** The end is remembered before the order is answered, and told after. */
  async #end(open: SessionMemory, reason: StopReason): Promise<void> {
    const { line } = this.#plug;
    line.hold();
    this.#plug.end(open, this.#plug.now(), reason);
    await line.durable();
    setImmediate(() => {
      line.release();
      this.#plug.advance();
    });
  }

  async reset(how: 'soft' | 'hard' | 'idle'): Promise<'Accepted' | 'Scheduled'> {
    const { memory, line, identity: c } = this.#plug;
    const idle = how === 'idle' && openSession(memory) !== undefined;
    await line.durably({ k: 'reset', c, idle });
    if (idle) return 'Scheduled';
    setImmediate(() => void this.#reboot(how === 'soft' ? 'SoftReset' : 'HardReset', false));
    return 'Accepted';
  }

  /** The session is over that a reset waited for. */
  resetNow(): void {
    const { line, identity: c } = this.#plug;
    void line.durably({ k: 'reset', c, idle: false });
    void this.#reboot('SoftReset', true);
  }

  async #reboot(reason: 'SoftReset' | 'HardReset', scheduled: boolean): Promise<void> {
    if (this.#rebooting) return;
    const { memory, line } = this.#plug;
    this.#rebooting = true;
    this.#wish = undefined;
    const open = openSession(memory);
    if (open !== undefined) this.#plug.end(open, this.#plug.now(), reason);
    if (reason === 'SoftReset') await line.emptied(patienceMs);
    line.reboot(scheduled ? 'ScheduledReset' : 'RemoteReset', this.#rebootMs);
  }

  async set(key: KeyName, value: string): Promise<SetOutcome> {
    const outcome = judge(key, value);
    if (outcome === 'Rejected') return outcome;
    const { line, identity: c } = this.#plug;
    await line.durably({ k: 'set', c, key, value });
    if (key === 'heartbeat') line.beat();
    if (key === 'sampling') this.#plug.advance();
    return outcome;
  }

  get(key: KeyName): string {
    return this.#plug.memory.keys[key] ?? this.#plug.unset(key);
  }

  trigger(message: string): boolean {
    const { line } = this.#plug;
    const say: Record<string, () => void> = {
      BootNotification: () => line.bootAgain(),
      Heartbeat: () => line.say(['Heartbeat', {}]),
      StatusNotification: () => this.#plug.reportStatus(),
    };
    const wanted = Object.hasOwn(say, message) ? say[message] : undefined;
    if (wanted === undefined) return false;
    setImmediate(wanted); // the answer goes first
    return true;
  }
}

/** What a key says before anybody has set it. */
export const initialOf = (key: KeyName): string => keys[key].initial;
