/**
 * The topic `me` over the live states of customers. A user sees the account that has the user's own id, and there is no
 * name by which another one could be asked for.
 */
import type { CustomerState } from '#actors/schema/customer_entities';
import type { PublicEvent, Trade } from '#actors/schema/events';
import { partitionOf } from '#actors/partition_key';
import type { LiveEvent } from '../schema/live.ts';
import { batteryView, orderView, walletView } from './account_views.ts';
import type { GridChange, GridReplica } from './grid.ts';
import type { JournalPosition, Position, Topic, TopicListener, TopicSource } from './source.ts';
import { Tail } from './tail.ts';

/** Trades, and orders that ended, of each partition: minutes of a busy market. */
const tailMax = 2_048;

const orderKey = (order: string) => `order:${order}`;

export class MeTopics implements TopicSource {
  readonly #replica: GridReplica;
  readonly #partitions: number;
  readonly #trades = new Tail<Trade>(tailMax);
  /** Keys of orders that have ended. */
  readonly #ended = new Tail<string>(tailMax);
  /** By partition: what ended or was traded up to there is not known. */
  #floor: number[] | null = null;
  readonly #listeners = new Set<TopicListener>();
  readonly #stops: (() => void)[];

  constructor(replica: GridReplica, partitions: number) {
    this.#replica = replica;
    this.#partitions = partitions;
    this.#stops = [
      replica.onChange((change) => this.#changed(change)),
      replica.onEvents((events, at) => this.#events(events, at)),
    ];
    this.#lookFrom();
  }

  /** The account of a user; undefined: none has been opened. */
  of(user: string): CustomerState | undefined {
    return this.#replica.get<CustomerState>('customer', user)?.context;
  }

  listen(listener: TopicListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  close(): void {
    for (const stop of this.#stops) stop();
  }

  /** Always: an account may be opened while its owner looks. */
  position({ id }: Topic): Position {
    const partition = partitionOf(id, this.#partitions);
    return { partition, sequence: this.#replica.position(partition) };
  }

  keysSince({ id }: Topic, sequence: number): string[] | undefined {
    const customer = this.#replica.get<CustomerState>('customer', id);
    const keys: string[] = [];
    if (customer !== undefined && customer.sequence > sequence) {
      keys.push('wallet', 'battery', ...customer.context.orders.map(({ order }) => orderKey(order)));
    } else if (customer !== undefined && customer.context.powerW !== 0) keys.push('battery');
    if (sequence < 0) return keys;
    const ended = this.#known(id, sequence) ? this.#ended.since(this.#partitionOf(id), id, sequence) : undefined;
    return ended && [...keys, ...ended.map(({ item }) => item)];
  }

  eventsSince({ id }: Topic, sequence: number): { event: LiveEvent; sequence: number }[] | undefined {
    if (!this.#known(id, sequence)) return undefined;
    return this.#trades
      .since(this.#partitionOf(id), id, sequence)
      ?.map(({ item, sequence }) => ({ event: { kind: 'trade', ...item }, sequence }));
  }

  valueOf({ id }: Topic, key: string, now: number): unknown {
    const customer = this.of(id);
    if (customer === undefined) return undefined;
    if (key === 'wallet') return walletView(customer);
    if (key === 'battery') return batteryView(customer, now);
    const order = customer.orders.find(({ order }) => orderKey(order) === key);
    return order && orderView(order);
  }

  #partitionOf = (user: string): number => partitionOf(user, this.#partitions);

  /** What the replica loaded came without changes, so what is known begins where it was complete. */
  #lookFrom(): void {
    if (this.#floor === null && this.#replica.ready)
      this.#floor = Array.from({ length: this.#partitions }, (_, p) => this.#replica.position(p));
  }

  #known(user: string, sequence: number): boolean {
    this.#lookFrom();
    const partition = this.#partitionOf(user);
    return sequence >= (this.#floor?.[partition] ?? Infinity) && sequence <= this.#replica.position(partition);
  }

  #changed({ kind, id, before, after, at }: GridChange): void {
    if (kind !== 'customer') return;
    const was = before?.context as CustomerState | undefined;
    const is = after?.context as CustomerState | undefined;
    const keys = changedKeys(was, is);
    for (const { order } of was?.orders ?? []) {
      if (!is?.orders.some((other) => other.order === order))
        this.#ended.push(at.partition, { id, item: orderKey(order), sequence: at.sequence });
    }
    this.#touched(id, keys);
  }

  #events(events: readonly PublicEvent[], at: JournalPosition): void {
    for (const { kind, payload } of events) {
      if (kind === 'battery') this.#touched(payload.customer, ['battery']);
      else if (kind === 'trade') {
        const { customer } = payload;
        this.#trades.push(at.partition, { id: customer, item: payload, sequence: at.sequence });
        for (const listener of this.#listeners)
          listener.event('me', customer, { kind: 'trade', ...payload }, at.sequence);
      }
    }
  }

  #touched(id: string, keys: readonly string[]): void {
    if (keys.length > 0) for (const listener of this.#listeners) listener.touched([{ kind: 'me', id, keys }]);
  }
}

/** A customer may change for other reasons than what its owner sees, such as being present. */
function changedKeys(was: CustomerState | undefined, is: CustomerState | undefined): string[] {
  const keys: string[] = [];
  const differs = (read: (customer: CustomerState) => unknown) =>
    JSON.stringify(was && read(was)) !== JSON.stringify(is && read(is));
  if (differs(walletView)) keys.push('wallet');
  if (differs(({ wh, capacityWh, sinceAt, powerW }) => [wh, capacityWh, sinceAt, powerW])) keys.push('battery');
  const orders = new Set([...(was?.orders ?? []), ...(is?.orders ?? [])].map(({ order }) => order));
  for (const id of orders)
    if (differs(({ orders }) => orders.find(({ order }) => order === id))) keys.push(orderKey(id));
  return keys;
}
