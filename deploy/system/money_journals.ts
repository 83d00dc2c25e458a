/** What the journals say while the money tests trade: followed from the first record on, nothing else is asked. */
import type { NatsConnection } from '@nats-io/transport-node';
import { decodeImage } from '#actors/codec';
import { domain } from '#actors/mod';
import type { AccountState, CustomerState } from '#actors/schema/customer_entities';
import type { PublicEvent } from '#actors/schema/events';
import { journalBounds, tailJournal, type Reader } from '#engine/log/mod';
import { RecordFilter } from '#engine/partition/record_filter';
import type { CommitRecord, ReplyResult } from '#engine/wire';
import { until } from './installation.ts';

const definitionOf = (kind: string) => domain.actors.find((actor) => actor.kind === kind)!;

export class Journals {
  /** Every decision on a command with an id, by `<entity>|<id>`; more than one is one too many. */
  readonly outcomes = new Map<string, ReplyResult[]>();
  readonly customers = new Map<string, CustomerState>();
  /** `<ledger>:<account>` → balance, over all partitions. */
  readonly #accounts = new Map<string, AccountState>();
  /** Public events by kind, each with its place. */
  readonly events = new Map<PublicEvent['kind'], { at: string; event: PublicEvent }[]>();
  epochs = 0;
  readonly #nc: NatsConnection;
  readonly #read: number[];
  readonly #readers: Reader[] = [];

  private constructor(nc: NatsConnection, partitions: number) {
    this.#nc = nc;
    this.#read = Array.from({ length: partitions }, () => 0);
  }

  static async follow(nc: NatsConnection, partitions: number): Promise<Journals> {
    const journals = new Journals(nc, partitions);
    for (let p = 0; p < partitions; p++) {
      const filter = new RecordFilter();
      const reader = await tailJournal(nc, p, 1, ({ sequence, record }) => {
        journals.#read[p] = sequence;
        if (filter.accepts(record)) journals.#apply(p, sequence, record);
      });
      journals.#readers.push(reader);
    }
    return journals;
  }

  async close(): Promise<void> {
    for (const reader of this.#readers) await reader.stop();
  }

  /** Resolves when everything is read that is there now. */
  async caughtUp(): Promise<void> {
    const lasts = await Promise.all(this.#read.map(async (_, p) => (await journalBounds(this.#nc, p)).last));
    await until('the journals are read', 60_000, () => lasts.every((last, p) => this.#read[p]! >= last) || undefined);
  }

  /** Balances by `<ledger>:<account>` as in the events: system accounts over all partitions. */
  get balances(): Map<string, number> {
    const balances = new Map<string, number>();
    const add = (name: string, amount: number) => balances.set(name, (balances.get(name) ?? 0) + amount);
    for (const { ledger, name, balance } of this.#accounts.values()) add(`${ledger}:${name}`, balance);
    for (const [id, { sek, wh, reservedE5Sek, reservedWh }] of this.customers) {
      if (reservedE5Sek !== 0) add(`SEK:customer:${id}:reserved`, reservedE5Sek);
      if (reservedWh !== 0) add(`Wh:customer:${id}:reserved`, reservedWh);
      for (const [ledger, { available, pending }] of Object.entries({ SEK: sek, Wh: wh })) {
        add(`${ledger}:customer:${id}:available`, available);
        add(`${ledger}:customer:${id}:pending`, pending);
      }
    }
    return balances;
  }

  eventsOf<Kind extends PublicEvent['kind']>(kind: Kind) {
    return (this.events.get(kind) ?? []) as { at: string; event: Extract<PublicEvent, { kind: Kind }> }[];
  }

  #apply(partition: number, sequence: number, record: CommitRecord): void {
    if (record.kind === 'epoch') this.epochs += 1;
    for (const { kind, id, image } of record.entities) {
      if (image === null || (kind !== 'customer' && kind !== 'account')) continue;
      const { context } = decodeImage(definitionOf(kind), image);
      if (kind === 'customer') this.customers.set(id, context as CustomerState);
      else this.#accounts.set(`${partition}|${id}`, context as AccountState);
    }
    for (const { commandId, entity, result } of record.replies) {
      if (commandId === null || !entity) continue;
      const name = `${entity.join('/')}|${commandId}`;
      this.outcomes.set(name, [...(this.outcomes.get(name) ?? []), result]);
    }
    for (const [i, event] of record.events.entries()) {
      const list = this.events.get(event.kind);
      const one = { at: `${partition}:${sequence}:${i}`, event };
      if (list) list.push(one);
      else this.events.set(event.kind, [one]);
    }
  }
}
