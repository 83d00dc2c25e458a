/**
 * Nothing owned comes into being or vanishes: per ledger, what the entities of a record own after it is what they owned
 * before it, and the legs of every `ledger` event come to 0. Checked on every record before it is written, in production
 * too: a partition that stops can be repaired, money that was paid out twice cannot.
 */
import type { Stored } from '#actors/actor';
import type { PublicEvent } from '#actors/schema/events';
import type { Kind } from './catalogue.ts';
import { LedgerSums } from './ledger_sums.ts';

/** Owners named in the message. */
const ownersShown = 8;

/** A record would make or lose something. Nothing of it is committed, and the partition stops: no command is to blame. */
export class NotConserved extends Error {
  override readonly name = 'NotConserved';
  readonly code = 'not_conserved';
  readonly partition: number;
  /** Where the record would have stood: `<partition>:<journal sequence>`. */
  readonly record: string;
  readonly ledger: string;
  /** What there would be too much of, in the ledger's smallest unit. */
  readonly difference: bigint;

  constructor(partition: number, sequence: number, ledger: string, difference: bigint, where: string) {
    const record = `${partition}:${sequence}`;
    super(
      `partition ${partition}: record ${record} does not conserve ${ledger}: ${signed(difference)} in ${where}; ` +
        'nothing of it is committed',
    );
    this.partition = partition;
    this.record = record;
    this.ledger = ledger;
    this.difference = difference;
  }
}

interface Owner {
  kind: string;
  id: string;
  stored: Stored | null;
}
interface Change {
  kind: Kind;
  /** Index among the record's entities. */
  place: number;
  before: Stored | null;
}

/** What changes hands in one record. */
export class Conservation {
  #changes: Change[] = [];
  readonly #sums = new LedgerSums();

  /** An entity of a kind that owns is changed for the first time in this record; null = it did not exist. */
  note(kind: Kind, place: number, before: Stored | null): void {
    this.#changes.push({ kind, place, before });
  }

  /** @throws NotConserved; `sequence` = where the record will stand */
  check(partition: number, sequence: number, entities: readonly Owner[], events: readonly PublicEvent[]): void {
    const sums = this.#sums;
    if (this.#changes.length > 0) {
      sums.clear();
      for (const { kind, place, before } of this.#changes) {
        const after = entities[place]!.stored;
        if (after !== null) sums.addAll(kind.balances?.(after) ?? []);
        if (before !== null) sums.subtractAll(kind.balances?.(before) ?? []);
      }
      const wrong = sums.unbalanced();
      if (wrong) throw new NotConserved(partition, sequence, ...wrong, this.#owners(wrong[0], entities));
    }
    for (const event of events) {
      if (event.kind !== 'ledger') continue;
      const wrong = unbalancedLegs(event, sums);
      if (wrong) throw new NotConserved(partition, sequence, ...wrong, `the batch ${event.payload.batch}`);
    }
  }

  clear(): void {
    if (this.#changes.length > 0) this.#changes = [];
  }

  /** Who has how much more or less of it. */
  #owners(ledger: string, entities: readonly Owner[]): string {
    const owners = this.#changes.flatMap(({ kind, place, before }) => {
      const { id, stored } = entities[place]!;
      const sums = new LedgerSums();
      if (stored !== null) sums.addAll(kind.balances?.(stored) ?? []);
      if (before !== null) sums.subtractAll(kind.balances?.(before) ?? []);
      const difference = sums.get(ledger);
      return difference === 0n ? [] : [`${kind.kind}/${id} ${signed(difference)}`];
    });
    const more = owners.length > ownersShown ? ` and ${owners.length - ownersShown} more` : '';
    return owners.slice(0, ownersShown).join(', ') + more;
  }
}

/** The ledger in which the legs of a batch do not come to 0. `sums` is scratch room. */
export function unbalancedLegs(
  { payload }: Extract<PublicEvent, { kind: 'ledger' }>,
  sums = new LedgerSums(),
): [ledger: string, difference: bigint] | undefined {
  sums.clear();
  for (const { ledger, amount } of payload.legs) sums.add(ledger, amount);
  return sums.unbalanced();
}

const signed = (amount: bigint) => (amount > 0n ? `+${amount}` : `${amount}`);
