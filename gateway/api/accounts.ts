/** The customer behind a user who signs in: opened once, read from the live state, never older than an own write. */
import { setTimeout as delay } from 'node:timers/promises';
import type { FastifyBaseLogger } from 'fastify';
import { customerAddress } from '#actors/addresses';
import { partitionOf } from '#actors/partition_key';
import type { CustomerState } from '#actors/schema/customer_entities';
import type { DoorCommand } from '#engine/log/mod';
import type { CommandResult } from '#engine/wire';
import type { Principal } from '../auth/principal.ts';
import { may } from '../auth/rights.ts';
import type { GridEntity, GridReplica } from '../live/grid.ts';
import type { CommandBook } from './command_book.ts';
import { Refused } from './refused.ts';

export interface AccountsDeps {
  door: { readonly partitions: number; request(command: DoorCommand): Promise<CommandResult> };
  replica: GridReplica;
  book: Pick<CommandBook, 'written'>;
  log: FastifyBaseLogger;
}

/** How long an answer waits for the live state to show what the same customer wrote before. */
const catchUpMs = 1_000;
const lookEveryMs = 4;
const nameMax = 200;
/** A series of our own: callers cannot make ids that begin with `=`. */
const openId = '=open:1';

export class Accounts {
  readonly #deps: AccountsDeps;
  /** By customer: the opening that is under way. */
  readonly #opening = new Map<string, Promise<void>>();

  constructor(deps: AccountsDeps) {
    this.#deps = deps;
  }

  get(customer: string): GridEntity<CustomerState> | undefined {
    return this.#deps.replica.get<CustomerState>('customer', customer);
  }

  /** All, sorted by id. */
  all(): GridEntity<CustomerState>[] {
    return [...this.#deps.replica.all<CustomerState>('customer')].sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  /** Opens the account of who may trade and has none; opening again changes nothing. Throws {@link Refused}. */
  async open(principal: Principal): Promise<void> {
    const { user, roles } = principal;
    if (!may(roles, 'trade') || this.get(user) !== undefined) return;
    let opening = this.#opening.get(user);
    if (opening === undefined) {
      opening = this.#open(user, principal.name).finally(() => this.#opening.delete(user));
      this.#opening.set(user, opening);
    }
    await opening;
  }

  async #open(user: string, name: string): Promise<void> {
    const result = await this.#deps.door.request({
      id: openId,
      to: customerAddress(user),
      type: 'customer.open',
      body: { name: name.slice(0, nameMax) },
    });
    if (!result.ok) throw new Refused(result.code, result.detail);
    this.#deps.log.info({ event: 'account_opened', customer: user, at: result.at }, 'account opened');
    await this.#shows(user, Number(result.at.split(':')[1]));
  }

  /** The state with everything that this customer was told before. Throws {@link Refused} `unknown_customer`. */
  async current(customer: string): Promise<GridEntity<CustomerState>> {
    await this.#shows(customer, await this.#deps.book.written(customer));
    const found = this.get(customer);
    if (found === undefined) throw new Refused('unknown_customer', { customer });
    return found;
  }

  /** Waits until the live state of the customer's partition is at `sequence`, for a second at most. */
  async #shows(customer: string, sequence: number): Promise<void> {
    const { replica, door } = this.#deps;
    const partition = partitionOf(customerAddress(customer).key, door.partitions);
    const deadline = performance.now() + catchUpMs;
    while (replica.position(partition) < sequence && performance.now() < deadline) await delay(lookEveryMs);
  }
}
