/**
 * Which engines live, as this one sees it. All of it is hints: two engines may see it differently for a while, and then
 * both claim a partition. The journal decides who owns it, so whatever is believed here costs time, never a command.
 *
 * M1 An engine that is killed is missed at once: its ping answers "no responders", asked twice, 30 ms apart.
 * M2 One that is paused or cut off is missed when nothing was heard of it for 2 s.
 * M3 Who stood still itself, or was cut off, holds nobody's silence against him: that was its own.
 */
import type { OwnerClock } from '../partition/ports.ts';
import type { ClockKind } from '../wire.ts';

const tickMs = 100;
const announceEveryMs = 500;
const silentMs = 2_000;
/** Longer than a busy process stands still: its timer would fire before it reads the answer that is there. */
const pingMs = 1_500;
const confirmMs = 30;
/** A tick that comes so late was none of the others' doing. */
const stalledMs = 500;
/** After a reconnect: the others redial as well, and are not there for a moment. */
const reconnectedMs = 1_000;

/** What an engine says of itself: twice a second, and when something changes. */
export interface Announcement {
  engine: string;
  /** Of the installation: engines of another number, or clock, belong to another one. */
  partitions: number;
  clock: ClockKind;
  /** It takes nothing any more and gives away what it has. */
  leaving: boolean;
  /** Its last word. */
  gone: boolean;
  /** What it owns, by epoch; 0 = it is being taken. */
  held: [partition: number, epoch: number][];
  /** What it gave away lately: until which epoch it was its own, and when it stopped deciding, unix ms. */
  given: [partition: number, epoch: number, at: number][];
}

/** How engines hear of each other. */
export interface MemberBus {
  /** Whether there is a connection at all. */
  readonly connected: boolean;
  /**
   * From now on everybody hears everybody. Resolves when those who were there before have been heard, or soon after.
   * `onBack` is called after each loss of the connection, once it stands again.
   */
  open(onAnnouncement: (announcement: Announcement) => void, onBack: () => void, onAsked: () => void): Promise<void>;
  announce(announcement: Announcement): void;
  ping(engine: string, timeoutMs: number): Promise<'alive' | 'gone' | 'silent'>;
  close(): void;
}

interface Member {
  said: Announcement;
  heardAt: number;
  confirming: boolean;
}

export interface MembersOptions {
  id: string;
  partitions: number;
  clockKind: ClockKind;
  bus: MemberBus;
  clock: OwnerClock;
  /** What this engine says of itself. */
  self(): Pick<Announcement, 'leaving' | 'held' | 'given'>;
  /** Called when somebody came, went or said something new, and at every tick. */
  onChange(): void;
  onEvent(event: MemberEvent): void;
}

export type MemberEvent =
  { event: 'joined'; engine: string } | { event: 'lost'; engine: string; reason: 'gone' | 'silent' | 'left' };

export class Members {
  readonly #options: MembersOptions;
  readonly #members = new Map<string, Member>();
  /** Per partition, who gave it away last. */
  readonly #given = new Map<number, { epoch: number; at: number }>();
  #tickedAt = 0;
  #saidAt = -Infinity;
  #trustedFrom = -Infinity;
  #cancelTick: (() => void) | null = null;
  #closed = false;

  constructor(options: MembersOptions) {
    this.#options = options;
  }

  /** Makes itself known and gets to know the others. @throws when they belong to an installation of another shape */
  async join() {
    const { bus } = this.#options;
    let joined = false;
    await bus.open(
      (announcement) => this.#heard(announcement, joined),
      () => this.#back(),
      () => this.say(),
    );
    for (const { said } of this.#members.values()) this.#checkShape(said);
    joined = true;
    this.say();
    this.#tickedAt = this.#now;
    this.#tick();
  }

  /** Says at once how things stand. */
  say(gone = false) {
    const { id, partitions, clockKind, bus } = this.#options;
    this.#saidAt = this.#now;
    bus.announce({ engine: id, partitions, clock: clockKind, gone, ...this.#options.self() });
  }

  /** Engines that may own something, this one among them unless it leaves. */
  *candidates(): Generator<string> {
    if (!this.#options.self().leaving) yield this.#options.id;
    for (const { said } of this.#members.values()) if (!said.leaving) yield said.engine;
  }

  has(engine: string): boolean {
    return this.#members.has(engine);
  }

  /** Who of the others says that the partition is its own: the newest epoch; 0 = it is taking it. */
  claimOf(partition: number): { engine: string; epoch: number } | null {
    let claim: { engine: string; epoch: number } | null = null;
    for (const { said } of this.#members.values())
      for (const [p, epoch] of said.held)
        if (p === partition && (claim === null || epoch > claim.epoch)) claim = { engine: said.engine, epoch };
    return claim;
  }

  /** When whoever owned the partition until `epoch` stopped deciding, unix ms; null when nobody says so. */
  givenAt(partition: number, epoch: number): number | null {
    const given = this.#given.get(partition);
    return given?.epoch === epoch ? given.at : null;
  }

  /** Says goodbye. */
  close() {
    if (this.#closed) return;
    this.say(true);
    this.#closed = true;
    this.#cancelTick?.();
    this.#options.bus.close();
  }

  get #now() {
    return this.#options.clock.monotonic();
  }

  #heard(said: Announcement, joined: boolean) {
    const { id, onChange, onEvent } = this.#options;
    if (said.engine === id || this.#closed) return;
    const known = this.#members.get(said.engine);
    for (const [p, epoch, at] of said.given)
      if (epoch > (this.#given.get(p)?.epoch ?? 0)) this.#given.set(p, { epoch, at });
    if (said.gone) return this.#lose(said.engine, 'left');
    // Whoever came after us with another shape is the one who must not stay.
    if (joined && !this.#sameShape(said)) return;
    if (known) Object.assign(known, { said, heardAt: this.#now });
    else {
      this.#members.set(said.engine, { said, heardAt: this.#now, confirming: false });
      onEvent({ event: 'joined', engine: said.engine });
      // It should know what is taken before it takes anything.
      if (joined) this.say();
    }
    if (joined) onChange();
  }

  #sameShape({ partitions, clock }: Announcement) {
    return partitions === this.#options.partitions && clock === this.#options.clockKind;
  }

  #checkShape(said: Announcement) {
    if (this.#sameShape(said)) return;
    const { partitions, clockKind } = this.#options;
    const shape = (n: number, clock: ClockKind) => `${n} partitions by the ${clock} clock`;
    throw new Error(
      `engine ${said.engine} runs ${shape(said.partitions, said.clock)}, this one ${shape(partitions, clockKind)}: ` +
        'engines of one installation have the same settings',
    );
  }

  #back() {
    this.#trustedFrom = this.#now + reconnectedMs;
    this.#forgiveSilence();
    this.say();
  }

  #forgiveSilence() {
    for (const member of this.#members.values()) member.heardAt = this.#now;
  }

  #tick() {
    const { clock, bus, onChange } = this.#options;
    if (this.#closed) return;
    const now = this.#now;
    if (now - this.#tickedAt > tickMs + stalledMs) this.#forgiveSilence();
    this.#tickedAt = now;
    if (bus.connected) {
      for (const [engine, member] of this.#members) {
        if (now - member.heardAt > silentMs) this.#lose(engine, 'silent');
        else void this.#ping(engine, member);
      }
      if (now - this.#saidAt >= announceEveryMs) this.say();
    }
    onChange();
    this.#cancelTick = clock.after(tickMs, () => this.#tick());
  }

  async #ping(engine: string, member: Member) {
    const { bus, clock } = this.#options;
    const answer = await bus.ping(engine, pingMs);
    if (answer === 'alive') member.heardAt = this.#now;
    if (answer !== 'gone' || member.confirming) return;
    // While accounts are reloaded nobody may be heard for a moment.
    member.confirming = true;
    await clock.delay(confirmMs);
    const again = await bus.ping(engine, pingMs);
    member.confirming = false;
    if (again === 'gone' && this.#now >= this.#trustedFrom && this.#members.get(engine) === member)
      this.#lose(engine, 'gone');
  }

  #lose(engine: string, reason: 'gone' | 'silent' | 'left') {
    if (this.#closed || !this.#members.delete(engine)) return;
    this.#options.onEvent({ event: 'lost', engine, reason });
    this.#options.onChange();
  }
}
