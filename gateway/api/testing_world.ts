/** The real domain in memory behind the API's door: what the engine would decide, on a clock that the test moves. */
import type { EntityAddress } from '#actors/actor';
import { customerAddress } from '#actors/addresses';
import type { CustomerState } from '#actors/schema/customer_entities';
import type { Battery, Trade } from '#actors/schema/events';
import { demoSite, TestWorld } from '#actors/testing';
import { BadCursor, type LedgerEntry, type Page, type PageQuery } from '#engine/history/mod';
import type { Door, DoorCommand } from '#engine/log/mod';
import { Outcomes } from '#engine/partition/outcomes';
import { Refusal } from '#engine/refusal';
import type { CommandResult, ReplyResult } from '#engine/wire';
import type { MemoryReplica } from '../live/testing.ts';
import type { FindOutcome } from './outcomes.ts';
import type { AuditDeps } from './routes/audit.ts';
import type { GridHistory } from './routes/history.ts';
import type { RecordHistory } from './routes/records.ts';

export class DomainBehindDoor implements Pick<Door, 'partitions' | 'request' | 'append'> {
  readonly partitions: number;
  readonly world: TestWorld;
  /** Everything that came in, in order. */
  readonly received: DoorCommand[] = [];
  /** While set, nothing is decided and this is the answer. */
  refusal: Extract<CommandResult, { ok: false }>['code'] | null = null;
  /** While false, the replica does not move: as if it were late. */
  shows = true;
  readonly #replica: MemoryReplica;
  readonly #outcomes = new Map<string, Outcomes>();
  readonly #decided = new Map<string, CommandResult>();
  readonly #customers = new Set<string>();
  readonly #late: (() => void)[] = [];

  /** With the demo site: station nord-1 has its first prices, ×1. */
  constructor(replica: MemoryReplica, partitions: number) {
    this.partitions = partitions;
    this.#replica = replica;
    this.world = new TestWorld({ partitions });
    demoSite(this.world);
    this.world.advance(24_000);
  }

  request({ id, to, type, body }: DoorCommand): Promise<CommandResult> {
    return Promise.resolve(this.#decide({ id, to, type, body }));
  }

  append(command: DoorCommand): Promise<void> {
    this.#decide(command);
    return Promise.resolve();
  }

  state(customer: string): CustomerState | undefined {
    return this.world.get<CustomerState>(customerAddress(customer))?.context;
  }

  /** All that a command could have changed, as text. */
  images(): string {
    return JSON.stringify(this.world.partitions.map((partition) => partition.images()));
  }

  advance(ms: number): void {
    this.world.advance(ms);
    for (const customer of this.#customers) this.#commit(customerAddress(customer));
  }

  /** The replica catches up. */
  showNow(): void {
    this.shows = true;
    for (const commit of this.#late.splice(0)) commit();
  }

  readonly findOutcome: FindOutcome = ({ kind, entity, commandId }) =>
    Promise.resolve(this.#decided.get([kind, entity, commandId].join('\n')));

  #decide(command: DoorCommand): CommandResult {
    const { id, to, type, body } = command;
    this.received.push(command);
    if (this.refusal !== null) return { ok: false, code: this.refusal, at: '' };
    const name = `${to.kind}|${to.id}`;
    const outcomes = this.#outcomes.get(name) ?? new Outcomes();
    const verdict = id === null ? ({ kind: 'new' } as const) : outcomes.judge(id, this.world.now);
    const decided: ReplyResult =
      verdict.kind === 'refused'
        ? { ok: false as const, code: verdict.code }
        : verdict.kind === 'known'
          ? verdict.result
          : this.world.send(to, type, body);
    if (to.kind === 'customer') this.#customers.add(to.id);
    const at = this.#commit(to);
    const result: CommandResult = { ...decided, at };
    if (verdict.kind === 'new' && id !== null && this.world.get(to)) {
      outcomes.remember(id, decided, this.world.now);
      this.#outcomes.set(name, outcomes);
      this.#decided.set([to.kind, to.id, id].join('\n'), result);
    }
    return result;
  }

  /** One record with the entity as it is now. Returns its position. */
  #commit(to: EntityAddress): string {
    const stored = to.kind === 'customer' ? this.world.get<CustomerState>(to) : undefined;
    const changes = stored ? [{ kind: to.kind, id: to.id, value: stored.value, context: stored.context }] : [];
    const partition = this.world.partitionOf(to.key).partition;
    if (this.shows) {
      const at = this.#replica.commit(to.key, changes);
      return `${at.partition}:${at.sequence}`;
    }
    this.#late.push(() => this.#replica.commit(to.key, changes));
    return `${partition}:${this.#replica.position(partition) + this.#late.length}`;
  }
}

/** What the history would tell of that world; pages end with the number of the next row. */
export function historyOf(world: TestWorld): RecordHistory {
  const page = <Row extends { customer: string | null; at: number }>(rows: Row[], query: PageQuery): Page<Row> => {
    const { customer, from = 0, to = Infinity, limit = 100, cursor } = query;
    if (typeof cursor === 'string' && !/^\d+$/.test(cursor)) throw new BadCursor(cursor);
    const start = Number(cursor ?? 0);
    const found = rows
      .filter((row) => (customer === null || row.customer === customer) && row.at >= from && row.at < to)
      .reverse();
    return {
      rows: found.slice(start, start + limit),
      cursor: found.length > start + limit ? String(start + limit) : null,
    };
  };
  return {
    trades: (query) => Promise.resolve(page<Trade>(world.payloads('trade'), query)),
    ledgerEntries: (query) => {
      const entries = world
        .payloads('ledger')
        .flatMap(({ legs, ...batch }) => legs.map((leg): LedgerEntry => ({ ...batch, ...leg })));
      return Promise.resolve(page(entries, query));
    },
    batteryStates: (query) => Promise.resolve(page<Battery>(world.payloads('battery'), query)),
  };
}

/** A history that holds nothing of the load tree yet. */
export const emptyGridHistory: GridHistory = {
  loads: () => Promise.resolve({ stepMs: 12_000, rows: [] }),
  consumption: () => Promise.resolve([]),
  sessions: () => Promise.resolve({ rows: [], next: null }),
  messages: () => Promise.resolve({ rows: [], next: null }),
};

/** What the log would tell of that world, as it is now; there is one dead letter, 0:1:0, which nobody can send again. */
export function auditOf(world: TestWorld): AuditDeps {
  const place = '0:1:0';
  const letter = {
    ...{ place, partition: 0, sequence: 1, index: 0, at: 1, entity: 'customer/trader', command: 'customer.deposit' },
    ...{ reason: 'boom', correlation: null, detail: { unit: '3:1' }, state: 'open' as const, settled: null },
  };
  const known = (asked: { sequence: number }) => {
    if (asked.sequence !== letter.sequence) throw new Refusal('unknown_letter', 'no such letter');
  };
  return {
    locate: () => Promise.resolve(undefined),
    travel: {
      async find({ kind, id }) {
        const stored = kind === 'customer' ? world.get(customerAddress(id)) : undefined;
        if (!stored) throw new Refusal('unknown_entity', `there is no ${kind} '${id}'`);
        const { partition } = world.partitionOf(id);
        const at = { sequence: 1, time: world.now };
        const state = stored.context as Record<string, unknown>;
        return [
          {
            kind: 'customer',
            id,
            key: id,
            partition,
            at,
            changed: at,
            version: 1,
            removed: false,
            value: stored.value,
            state,
          },
        ];
      },
    },
    letters: {
      list: async () => [letter],
      show: async (asked) => (known(asked), { ...letter, retained: false }),
      async retry(asked) {
        known(asked);
        throw new Refusal('not_retryable', 'there is no command in it');
      },
      async discard(asked) {
        known(asked);
        throw new Refusal('letter_settled', 'it was discarded');
      },
    },
  };
}
