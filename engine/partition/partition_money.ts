/** What one partition's journal says of who owns what, record by record; see `verify_money.ts`. */
import type { Amounts, Domain } from '#actors/actor';
import type { CommitRecord, EntityImage, RelayOut } from '../wire.ts';
import type { Catalogue } from './catalogue.ts';
import { unbalancedLegs } from './conservation.ts';
import { LedgerSums } from './ledger_sums.ts';
import type { StoredSnapshot } from './snapshot.ts';
import { relayWriter } from './state.ts';

type Owned = readonly (readonly [ledger: string, amount: number])[];

const nothing: Owned = [];
const kept = (amounts: Amounts | null | undefined): Owned => (amounts ? [...amounts] : nothing);

export class PartitionMoney {
  readonly partition: number;
  /** Everything that is owned here; 0 in every ledger at every cut. */
  readonly sums = new LedgerSums();
  /** The part of it that is in transit between partitions. */
  readonly transit = new LedgerSums();
  /** Per target: the last relay that was made. */
  readonly sent = new Map<number, number>();
  records = 0;
  readonly #domain: Domain;
  readonly #catalogue: Catalogue;
  readonly #problem: (text: string) => void;
  readonly #owners = new Map<string, { owned: Owned; transit: Owned }>();
  /** Relays that carry something, in order per target. */
  readonly #carrying: { to: number; seq: number; carries: Owned }[] = [];
  /** Watermarks of all writers whose relays were applied here. */
  readonly #applied = new Map<string, number>();
  /** What was wrong at the cut before: a difference is told when it changes. */
  readonly #wrong = new Map<string, bigint>();
  /** Generation whose pointer is waited for: a snapshot runs ahead of its sequence, and is whole at its pointer. */
  #until: number | null = null;

  constructor(partition: number, domain: Domain, catalogue: Catalogue, onProblem: (text: string) => void) {
    this.partition = partition;
    this.#domain = domain;
    this.#catalogue = catalogue;
    this.#problem = onProblem;
  }

  get owners(): number {
    return this.#owners.size;
  }

  /** Begins with a snapshot instead of nothing. */
  load(snapshot: StoredSnapshot): void {
    this.#until = snapshot.gen;
    for (const image of snapshot.entities) this.#entity(image);
    for (const [writer, seq] of snapshot.writers) this.#applied.set(writer, seq);
    for (const relay of snapshot.relays) this.#relay(relay);
    for (const [target, seq] of snapshot.relaySeq) this.sent.set(target, seq);
  }

  apply(sequence: number, record: CommitRecord): void {
    this.records += 1;
    for (const image of record.entities) this.#entity(image);
    for (const [writer, seq] of Object.entries(record.writers)) this.#applied.set(writer, seq);
    for (const relay of record.relays) this.#relay(relay);
    const at = `${this.partition}:${sequence}`;
    for (const [i, event] of record.events.entries()) {
      const wrong = event.kind === 'ledger' ? unbalancedLegs(event) : undefined;
      if (wrong) this.#problem(`${at}:${i} the legs of a batch come to ${wrong[1]} ${wrong[0]}, not 0`);
    }
    if (record.snapshot?.gen === this.#until) this.#until = null;
    if (this.#until === null) this.#cut(at);
  }

  /** The last relay of partition `source` that was applied here. */
  appliedFrom(source: number): number {
    return this.#applied.get(relayWriter(source)) ?? 0;
  }

  /** What relays to `target` behind `seq` carry. */
  *carriedTo(target: number, seq: number): Iterable<readonly [ledger: string, amount: number]> {
    for (const relay of this.#carrying) if (relay.to === target && relay.seq > seq) yield* relay.carries;
  }

  #cut(at: string): void {
    for (const [ledger, sum] of this.sums) {
      if (sum === (this.#wrong.get(ledger) ?? 0n)) continue;
      this.#wrong.set(ledger, sum);
      this.#problem(`${at} what is owned comes to ${sum} ${ledger}, not 0`);
    }
  }

  #entity({ kind: name, id, image, schema }: EntityImage): void {
    const kind = this.#catalogue.kinds.get(name);
    if (!kind) return this.#problem(`partition ${this.partition}: this build knows no '${name}' and cannot read it`);
    if (!kind.balances) return;
    const key = `${name}|${id}`;
    const before = this.#owners.get(key);
    if (before) {
      this.sums.subtractAll(before.owned);
      this.transit.subtractAll(before.transit);
    }
    this.#owners.delete(key);
    if (image === null) return;
    const stored = kind.decode(image, schema);
    const owned = kept(kind.balances(stored));
    if (owned.length === 0) return;
    const transit = kept(this.#domain.transit?.(name, stored));
    this.#owners.set(key, { owned, transit });
    this.sums.addAll(owned);
    this.transit.addAll(transit);
  }

  #relay({ to, seq, command }: RelayOut): void {
    if (seq <= (this.sent.get(to) ?? 0)) return;
    this.sent.set(to, seq);
    const carries = kept(this.#domain.carried?.(command));
    if (carries.length > 0) this.#carrying.push({ to, seq, carries });
  }
}
