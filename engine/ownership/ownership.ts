/**
 * The partitions of one engine process: takes those that it should own, gives away those that another one should, and drops
 * what it has lost, while the process and all its other partitions go on.
 *
 * W1 Who should own what is worked out from who lives (hints); who does own it is decided by the journal alone. So a
 *    partition may be claimed too early or by two at once: one of them is fenced, falls silent and looks again.
 * W2 Given away is only what is finished: records in flight are acknowledged and released, then the others are told. They
 *    take a partition that somebody living claims only when it does not let go for {@link patienceMs}.
 * W3 Few are given at a time, and the next only when the last one is served again: nobody waits for all of them.
 * W4 What is wrong with a partition itself (a damaged log, a time jump, a ledger that does not add up) is not a matter of who
 *    owns it: it is left unserved, loudly, and looked at again now and then, while all others are served. It stays with the
 *    engine that should own it, so that it does not go through all of them.
 * W5 Every other failure of an owner ends its process; the next one finds what was stored.
 */
import {
  ClosedConnectionError,
  ConnectionError,
  DrainingConnectionError,
  RequestError,
  TimeoutError,
} from '@nats-io/transport-node';
import { LogDamaged, LogWentBack } from '../log/errors.ts';
import { NotConserved } from '../partition/conservation.ts';
import { Superseded, TimeJump, type PartitionOwner } from '../partition/owner.ts';
import type { OwnerClock } from '../partition/ports.ts';
import type { Announcement, Members } from './members.ts';
import { rendezvous } from './rendezvous.ts';

/** A living engine that should not have a partition lets it go within this, or another one takes it. */
const patienceMs = 5_000;
/** Given away at the same time, unless all are. */
const givenAtOnceMax = 2;
/** For so long what was given away counts as not yet served. */
const servedWithinMs = 1_000;
/** Until a partition that was lost, or could not be reached, is looked at again. */
const lookAgainMs = 500;
/** Until a partition that cannot be served is looked at again; somebody may have mended it. */
const unservedLookMs = 15_000;
/** For so long it is told when something was given away. */
const givenToldMs = 5_000;

export type OwnedPartition = Pick<
  PartitionOwner,
  'start' | 'stop' | 'abandon' | 'epoch' | 'state' | 'committed' | 'logEnd' | 'lagMs'
>;

export interface OwnershipOptions<Owner extends OwnedPartition> {
  id: string;
  partitions: number;
  clock: OwnerClock;
  members(): Pick<Members, 'candidates' | 'claimOf' | 'givenAt' | 'has' | 'say'>;
  /** `mayClaim` says whether the claim is still wanted. */
  newOwner(partition: number, mayClaim: () => boolean, onFailed: (error: Error) => void): Owner;
  /** Something is wrong that is not a partition's own: the process has to begin anew. */
  onFatal(error: Error): void;
  onEvent(event: OwnershipEvent): void;
}

export type OwnershipEvent =
  /** `gapMs`: since its last owner stopped deciding, by both machines' clocks; null when it did not say so. */
  | { event: 'taken'; partition: number; epoch: number; ms: number; gapMs: number | null }
  | { event: 'given'; partition: number; epoch: number; to: string | null; ms: number }
  | { event: 'superseded'; partition: number; epoch: number; reason: string }
  | { event: 'unreachable'; partition: number; reason: string }
  /** Nothing is decided in it until it is mended. `code` as in the operators' table. */
  | { event: 'unserved'; partition: number; code: string; reason: string };

interface Claim<Owner> {
  owner: Owner;
  phase: 'taking' | 'owned' | 'giving';
  /** Taken from a living engine that does not let go. */
  forced: boolean;
}

export class Ownership<Owner extends OwnedPartition> {
  readonly #options: OwnershipOptions<Owner>;
  readonly #claims = new Map<number, Claim<Owner>>();
  /** Since when somebody else has what this engine should own. */
  readonly #waiting = new Map<number, number>();
  readonly #notBefore = new Map<number, number>();
  readonly #unserved = new Map<number, ItsOwn>();
  /** What was given away and is not served again yet, by time. */
  readonly #handedOver = new Map<number, number>();
  #given: { partition: number; epoch: number; at: number; told: number }[] = [];
  #takenAt = -Infinity;
  #begun = false;
  #leaving = false;
  #broken = false;
  readonly #settled: { resolve(): void; reject(error: Error): void }[] = [];

  constructor(options: OwnershipOptions<Owner>) {
    this.#options = options;
  }

  /** What this engine owns, by partition. */
  get owned(): Map<number, Owner> {
    const owned = [...this.#claims].filter(([, { phase }]) => phase !== 'taking');
    return new Map(owned.sort(([a], [b]) => a - b).map(([partition, { owner }]) => [partition, owner]));
  }

  /** What this engine should own and cannot, by what is wrong with it. */
  get unserved(): ReadonlyMap<number, ItsOwn> {
    return this.#unserved;
  }

  /** It has what it should have, but for what cannot be served. */
  get isComplete(): boolean {
    const candidates = [...this.#options.members().candidates()];
    for (let partition = 0; partition < this.#options.partitions; partition++)
      if (rendezvous(partition, candidates) === this.#options.id && !this.#isSettled(partition)) return false;
    return true;
  }

  #isSettled(partition: number): boolean {
    return this.#claims.get(partition)?.phase === 'owned' || this.#unserved.has(partition);
  }

  get told(): Pick<Announcement, 'leaving' | 'held' | 'given'> {
    const now = this.#now;
    this.#given = this.#given.filter(({ told }) => now - told < givenToldMs);
    return {
      leaving: this.#leaving,
      held: [...this.#claims].map(([p, { owner, phase }]) => [p, phase === 'taking' ? 0 : owner.epoch]),
      given: this.#given.map(({ partition, epoch, at }) => [partition, epoch, at]),
    };
  }

  /**
   * Takes what it should own. Resolves when it has that, but for what cannot be served; what living engines give away, it
   * waits for.
   */
  begin(): Promise<void> {
    this.#begun = true;
    return new Promise((resolve, reject) => {
      this.#settled.push({ resolve, reject });
      this.look();
    });
  }

  /** Compares what it has with what it should have; to be called when anybody's word changes, and now and then. */
  look() {
    if (!this.#begun || this.#broken) return;
    const { partitions } = this.#options;
    const candidates = [...this.#options.members().candidates()];
    let complete = true;
    for (let partition = 0; partition < partitions; partition++) {
      const should = rendezvous(partition, candidates);
      const claim = this.#claims.get(partition);
      if (claim) this.#compare(partition, claim, should);
      else if (should === this.#options.id && !this.#leaving) this.#consider(partition);
      if (should !== this.#options.id) this.#unserved.delete(partition);
      else if (!this.#isSettled(partition)) complete = false;
    }
    if (complete) for (const { resolve } of this.#settled.splice(0)) resolve();
  }

  /** Gives everything away; resolves when nothing is left. */
  async leave() {
    this.#leaving = true;
    this.#options.members().say();
    await Promise.all([...this.#claims].map(([partition, claim]) => this.#give(partition, claim, null)));
  }

  get #now() {
    return this.#options.clock.monotonic();
  }

  #compare(partition: number, claim: Claim<Owner>, should: string | null) {
    const { id } = this.#options;
    if (claim.phase !== 'owned') return;
    const other = this.#options.members().claimOf(partition);
    if (other && other.epoch > claim.owner.epoch) {
      claim.owner.abandon();
      this.#lost(partition, claim, `engine ${other.engine} has epoch ${other.epoch}`);
    } else if (should !== null && should !== id && this.#mayGive()) void this.#give(partition, claim, should);
  }

  #mayGive(): boolean {
    const members = this.#options.members();
    for (const [partition, at] of this.#handedOver)
      if (this.#now - at > servedWithinMs || (members.claimOf(partition)?.epoch ?? 0) > 0)
        this.#handedOver.delete(partition);
    const giving = [...this.#claims.values()].filter(({ phase }) => phase === 'giving').length;
    return giving + this.#handedOver.size < givenAtOnceMax;
  }

  #consider(partition: number) {
    if (this.#now < (this.#notBefore.get(partition) ?? 0)) return;
    if (this.#options.members().claimOf(partition) === null) return this.#take(partition, false);
    const since = this.#waiting.get(partition) ?? this.#now;
    this.#waiting.set(partition, since);
    // As long as others of them come, it is only not their turn.
    if (this.#now - Math.max(since, this.#takenAt) > patienceMs) this.#take(partition, true);
  }

  #take(partition: number, forced: boolean) {
    const { newOwner, onEvent, members } = this.#options;
    const began = this.#now;
    this.#waiting.delete(partition);
    const owner = newOwner(
      partition,
      () => this.#mayClaim(partition),
      (error) => this.#failed(partition, claim, error),
    );
    const claim: Claim<Owner> = { owner, phase: 'taking', forced };
    this.#claims.set(partition, claim);
    owner.start().then(
      () => {
        if (this.#claims.get(partition) !== claim || claim.phase !== 'taking') return;
        claim.phase = 'owned';
        this.#unserved.delete(partition);
        this.#takenAt = this.#now;
        const givenAt = members().givenAt(partition, owner.epoch - 1);
        onEvent({
          event: 'taken',
          partition,
          epoch: owner.epoch,
          ms: Math.round(this.#now - began),
          gapMs: givenAt === null ? null : Math.max(0, this.#options.clock.wall() - givenAt),
        });
        members().say();
        this.look();
      },
      (error: Error) => this.#failed(partition, claim, error),
    );
  }

  /** Asked again before every attempt: a process that stood still may find that all has changed. */
  #mayClaim(partition: number): boolean {
    const { id } = this.#options;
    const members = this.#options.members();
    if (this.#leaving || rendezvous(partition, members.candidates()) !== id) return false;
    return this.#claims.get(partition)?.forced === true || (members.claimOf(partition)?.epoch ?? 0) === 0;
  }

  async #give(partition: number, claim: Claim<Owner>, to: string | null) {
    const { owner } = claim;
    const began = this.#now;
    const taken = claim.phase === 'owned';
    if (claim.phase === 'giving') return;
    claim.phase = 'giving';
    await owner.stop();
    // Lost meanwhile.
    if (this.#claims.get(partition) !== claim) return;
    this.#claims.delete(partition);
    if (taken) {
      this.#handedOver.set(partition, this.#now);
      const { epoch } = owner;
      this.#given.push({ partition, epoch, at: this.#options.clock.wall(), told: this.#now });
      this.#options.onEvent({ event: 'given', partition, epoch, to, ms: Math.round(this.#now - began) });
    }
    this.#options.members().say();
    this.look();
  }

  #failed(partition: number, claim: Claim<Owner>, error: Error) {
    if (this.#claims.get(partition) !== claim) return;
    if (error instanceof Superseded) return this.#lost(partition, claim, error.message);
    if (isItsOwn(error)) {
      this.#unserved.set(partition, error);
      this.#options.onEvent({ event: 'unserved', partition, code: error.code, reason: error.message });
      this.#forget(partition, claim, unservedLookMs);
      return this.look();
    }
    // Only a claim that has not begun to work can be repeated; an owner outlasts such things by itself.
    if (claim.phase === 'taking' && isUnreachable(error)) {
      this.#options.onEvent({ event: 'unreachable', partition, reason: error.message });
      return this.#forget(partition, claim);
    }
    this.#broken = true;
    for (const { reject } of this.#settled.splice(0)) reject(error);
    this.#options.onFatal(error);
  }

  #lost(partition: number, claim: Claim<Owner>, reason: string) {
    this.#options.onEvent({ event: 'superseded', partition, epoch: claim.owner.epoch, reason });
    this.#forget(partition, claim);
  }

  #forget(partition: number, claim: Claim<Owner>, againMs = lookAgainMs) {
    claim.owner.abandon();
    this.#claims.delete(partition);
    this.#notBefore.set(partition, this.#now + againMs);
    this.#options.members().say();
  }
}

/** W4. */
type ItsOwn = LogDamaged | LogWentBack | NotConserved | TimeJump;
const isItsOwn = (error: Error): error is ItsOwn =>
  [LogDamaged, LogWentBack, NotConserved, TimeJump].some((kind) => error instanceof kind);

/** The log could not be asked, which says nothing about the partition. */
const isUnreachable = (error: Error) =>
  [TimeoutError, RequestError, ConnectionError, ClosedConnectionError, DrainingConnectionError].some(
    (kind) => error instanceof kind,
  );
