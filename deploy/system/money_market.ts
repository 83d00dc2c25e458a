/** NATS, Redis and ClickHouse, an engine, a history role and traders: each of the last three can be armed to die. */
import type { NatsConnection } from '@nats-io/transport-node';
import { customerAddress, domain } from '#actors/mod';
import { startTestClickHouse, type TestClickHouse } from '#engine/embedded/clickhouse/testing';
import { connectLog, openDoor, provision } from '#engine/log/mod';
import { startTestNats, type TestNats } from '#engine/log/testing';
import { verifyMoney } from '#engine/partition/verify_money';
import { startTestRedis, type TestRedis } from '#engine/projections/testing';
import { until } from './installation.ts';
import { Journals } from './money_journals.ts';
import { customers, founding, partitions, type Told } from './money_plan.ts';
import { Role } from './role.ts';

const files = { engine: 'engine/roles/engine.js', history: 'engine/projections/main.js' } as const;
type Served = keyof typeof files;

export class Market {
  readonly nats: TestNats;
  readonly clickhouse: TestClickHouse;
  readonly nc: NatsConnection;
  readonly journals: Journals;
  readonly #redis: TestRedis;
  readonly #roles = new Map<Served, Role>();
  /** What every command was answered first, by `customer/<customer>|<id>`. */
  readonly told = new Map<string, Told>();

  private constructor(nats: TestNats, redis: TestRedis, clickhouse: TestClickHouse, nc: NatsConnection, j: Journals) {
    this.nats = nats;
    this.#redis = redis;
    this.clickhouse = clickhouse;
    this.nc = nc;
    this.journals = j;
  }

  /** Starts everything, founds site and customers, and waits for the first price. */
  static async open(): Promise<Market> {
    const [nats, redis, clickhouse] = await Promise.all([startTestNats(), startTestRedis(), startTestClickHouse()]);
    const nc = await connectLog(nats.url, 'money test');
    await provision(nc, { partitions, scale: 0.1 });
    const market = new Market(nats, redis, clickhouse, nc, await Journals.follow(nc, partitions));
    await Promise.all([market.start('engine'), market.start('history')]);
    const door = await openDoor(nc, { name: 'founder', partitions });
    for (const command of founding) {
      const result = await door.request(command);
      if (!result.ok) throw new Error(`${command.type}: ${result.code}`);
    }
    await until('every customer knows a price', 40_000, async () => {
      const ask = (station: string, id: string) =>
        door.request({ id: null, to: customerAddress(id), type: 'order.quote', body: { station } });
      const quotes = await Promise.all(customers.flatMap((id) => ['nord', 'syd'].map((station) => ask(station, id))));
      return quotes.every(({ ok }) => ok) || undefined;
    });
    await door.close();
    return market;
  }

  async close(): Promise<void> {
    for (const role of this.#roles.values()) await role.kill();
    await this.journals.close();
    await this.nc.close();
    await Promise.all([this.nats.stop(), this.#redis.stop(), this.clickhouse.stop()]);
  }

  get #env() {
    return {
      GRIDTICK_NATS_URL: this.nats.url,
      GRIDTICK_REDIS_URL: this.#redis.url,
      GRIDTICK_CLICKHOUSE_URL: this.clickhouse.url,
      GRIDTICK_CLICKHOUSE_USER: this.clickhouse.user,
      GRIDTICK_CLICKHOUSE_PASSWORD: this.clickhouse.password,
      GRIDTICK_PARTITIONS: String(partitions),
    };
  }

  /** Starts a role, in place of the one that runs; `failpoint` arms it. */
  async start(name: Served, failpoint = ''): Promise<Role> {
    await this.#roles.get(name)?.kill();
    const role = new Role(name, files[name], [], { ...this.#env, GRIDTICK_FAILPOINT: failpoint });
    this.#roles.set(name, role);
    return role.serves();
  }

  /** Customers who begin (or begin again) a round. What they are told must be what they were told before. */
  trade(round: number, problems: string[], failpoint = ''): Role {
    const env = { ...this.#env, GRIDTICK_FAILPOINT: failpoint };
    return new Role('trader', 'deploy/system/money_trader.js', [String(round)], env, (line) => {
      const told = JSON.parse(line) as Told;
      const name = `customer/${told.customer}|${told.id}`;
      const before = this.told.get(name);
      if (!before) this.told.set(name, told);
      else if (outcomeOf(before) !== outcomeOf(told))
        problems.push(`${name} (${told.type}) was told ${outcomeOf(before)}, then ${outcomeOf(told)}`);
    });
  }

  /** What is wrong with the books and with what was answered, at this moment. */
  async check(): Promise<string[]> {
    await this.journals.caughtUp();
    const { problems } = await verifyMoney(this.nc, domain, partitions);
    for (const [name, told] of this.told) {
      const outcomes = this.journals.outcomes.get(name) ?? [];
      if (outcomes.length !== 1) problems.push(`${name} (${told.type}) was decided ${outcomes.length} times`);
      else if (JSON.stringify(outcomes[0]) !== outcomeOf(told))
        problems.push(`${name} was told ${outcomeOf(told)}, decided is ${JSON.stringify(outcomes[0])}`);
    }
    return problems;
  }
}

/** The result without its place, which a repeated answer has in another record. */
function outcomeOf({ result: { at: _, ...outcome } }: Told): string {
  return JSON.stringify(outcome);
}
