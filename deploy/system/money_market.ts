/**
 * NATS, Redis and ClickHouse, an engine, a history role, a gateway with chargers and people at it, and a process of traders
 * with a door of its own. Each can be armed to die or to stop at a failpoint, and killed while another one stands at one.
 */
import type { NatsConnection } from '@nats-io/transport-node';
import { customerAddress, domain } from '#actors/mod';
import { startTestClickHouse, type TestClickHouse } from '#engine/embedded/clickhouse/testing';
import { connectLog, openDoor, provision } from '#engine/log/mod';
import { freePort, startTestNats, startTestProxy, type TestNats, type TestProxy } from '#engine/log/testing';
import { verifyMoney } from '#engine/partition/verify_money';
import { startTestRedis, type TestRedis } from '#engine/projections/testing';
import { hashPassword } from '#gateway/auth/password';
import type { Random } from '#gateway/simulator/random';
import { sleep, until } from './installation.ts';
import { Journals } from './money_journals.ts';
import { Person } from './money_people.ts';
import { customers, foundingOf, opening, partitions, password, people, plugs, type Told } from './money_plan.ts';
import { Plug } from './money_plugs.ts';
import { Role } from './role.ts';

const files = {
  engine: ['engine/roles/engine.js'],
  history: ['engine/projections/main.js'],
  gateway: ['gateway/main.js', '--doors', 'ocpp,api'],
} as const;
export type Served = keyof typeof files;
const served = Object.keys(files) as Served[];

export interface MarketOptions {
  /** The log's data, instead of a temporary directory. */
  storeDir?: string;
  /** Puts a proxy between the roles and NATS, and one between them and ClickHouse. @default false */
  isProxied?: boolean;
}

export class Market {
  /** Between the roles and their servers. */
  readonly proxies: { nats: TestProxy; clickhouse: TestProxy } | null;
  /** Called when somebody was told something. */
  onTold: () => void = () => {};
  /** Called when a role has ended, by itself or not. */
  onEnded: (role: Role) => void = () => {};
  readonly nats: TestNats;
  readonly clickhouse: TestClickHouse;
  readonly nc: NatsConnection;
  readonly journals: Journals;
  readonly plugs: Plug[];
  readonly people: Person[];
  readonly #redis: TestRedis;
  readonly #ports: { http: number; ocpp: number };
  readonly #roles = new Map<Served, Role>();
  #isClosing = false;
  /** What every command was answered first, by `customer/<customer>|<id>`. */
  readonly told = new Map<string, Told>();

  private constructor(
    servers: { nats: TestNats; redis: TestRedis; clickhouse: TestClickHouse },
    proxies: { nats: TestProxy; clickhouse: TestProxy } | null,
    nc: NatsConnection,
    journals: Journals,
    ports: { http: number; ocpp: number },
    random: Random,
  ) {
    this.nats = servers.nats;
    this.proxies = proxies;
    this.#redis = servers.redis;
    this.clickhouse = servers.clickhouse;
    this.nc = nc;
    this.journals = journals;
    this.#ports = ports;
    this.plugs = plugs.map((plan) => new Plug(ports.ocpp, plan, random));
    this.people = people.map((id) => new Person(`http://127.0.0.1:${ports.http}`, id));
  }

  /** Starts everything, founds site and customers, waits for the first price, and lets the first cars come. */
  static async open(random: Random, { storeDir, isProxied = false }: MarketOptions = {}): Promise<Market> {
    const [nats, redis, clickhouse] = await Promise.all([
      startTestNats(storeDir === undefined ? {} : { storeDir }),
      startTestRedis(),
      startTestClickHouse(),
    ]);
    const proxies = isProxied
      ? {
          nats: await startTestProxy(nats.port),
          clickhouse: await startTestProxy(Number(new URL(clickhouse.url).port)),
        }
      : null;
    const nc = await connectLog(nats.url, 'money test');
    await provision(nc, { partitions, scale: 0.1 });
    const ports = { http: await freePort(), ocpp: await freePort() };
    const journals = await Journals.follow(nc, partitions);
    const market = new Market({ nats, redis, clickhouse }, proxies, nc, journals, ports, random);
    await Promise.all(served.map((name) => market.start(name)));
    const door = await openDoor(nc, { name: 'founder', partitions });
    for (const command of [...foundingOf(await hashPassword(password)), ...opening]) {
      const result = await door.request(command);
      if (!result.ok) throw new Error(`${command.type}: ${result.code}`);
      const { id, to, type, body } = command;
      if (to.kind === 'customer') market.#heard({ id: id!, customer: to.id, type, body, result }, []);
    }
    await until('every customer knows a price', 40_000, async () => {
      const ask = (station: string, id: string) =>
        door.request({ id: null, to: customerAddress(id), type: 'order.quote', body: { station } });
      const quotes = await Promise.all(customers.flatMap((id) => ['nord', 'syd'].map((station) => ask(station, id))));
      return quotes.every(({ ok }) => ok) || undefined;
    });
    await door.close();
    for (const plug of market.plugs) plug.begin();
    return market;
  }

  async close(): Promise<void> {
    this.#isClosing = true;
    for (const role of this.#roles.values()) await role.kill();
    await this.journals.close();
    await this.nc.close();
    await Promise.all([this.proxies?.nats.stop(), this.proxies?.clickhouse.stop()]);
    await Promise.all([this.nats.stop(), this.#redis.stop(), this.clickhouse.stop()]);
  }

  /** Where people sign in. */
  get httpUrl(): string {
    return `http://127.0.0.1:${this.#ports.http}`;
  }

  get #env() {
    return {
      GRIDTICK_NATS_URL: this.proxies?.nats.url ?? this.nats.url,
      GRIDTICK_REDIS_URL: this.#redis.url,
      GRIDTICK_CLICKHOUSE_URL: this.proxies ? `http://127.0.0.1:${this.proxies.clickhouse.port}` : this.clickhouse.url,
      GRIDTICK_CLICKHOUSE_USER: this.clickhouse.user,
      GRIDTICK_CLICKHOUSE_PASSWORD: this.clickhouse.password,
      GRIDTICK_PARTITIONS: String(partitions),
      GRIDTICK_HTTP_PORT: String(this.#ports.http),
      GRIDTICK_OCPP_PORT: String(this.#ports.ocpp),
    };
  }

  /** Starts a role in place of the one that runs; `failpoint` arms it. One that ends is started again, unarmed. */
  async start(name: Served, failpoint = ''): Promise<Role> {
    const before = this.#roles.get(name);
    this.#roles.delete(name);
    await before?.kill();
    return this.startBeside(name, failpoint);
  }

  /** Starts a role beside the one that runs, which is left to the caller; `dist` = of another build. */
  async startBeside(name: Served, failpoint = '', dist?: string): Promise<Role> {
    const [file, ...args] = files[name];
    const role = new Role(name, file, args, { ...this.#env, GRIDTICK_FAILPOINT: failpoint }, undefined, dist);
    this.#roles.set(name, role);
    void role.ended.then(async () => {
      this.onEnded(role);
      await sleep(200);
      // One that cannot start yet, for want of a server, ends and is started once more.
      if (this.#roles.get(name) === role && !this.#isClosing) await this.start(name).catch(() => undefined);
    });
    return role.serves();
  }

  role(name: Served): Role {
    return this.#roles.get(name)!;
  }

  /** All that a supervisor takes with it, at one moment; the roles come back as their servers do. */
  async killAll(): Promise<void> {
    for (const name of served) void this.role(name).kill();
    await Promise.all([this.nats.kill9(), this.clickhouse.kill9()]);
    await Promise.all([this.nats.restart(), this.clickhouse.restart()]);
  }

  /** Customers who begin (or begin again) a round. What they are told must be what they were told before. */
  trade(round: number, problems: string[], failpoint = ''): Role {
    const env = { ...this.#env, GRIDTICK_FAILPOINT: failpoint };
    return new Role('trader', 'deploy/system/money_trader.js', [String(round)], env, (line) =>
      this.#heard(JSON.parse(line) as Told, problems),
    );
  }

  /** The same by the API. */
  async tradeByApi(round: number, problems: string[]): Promise<void> {
    await Promise.all(this.people.map((person) => person.trade(round, (told) => this.#heard(told, problems))));
  }

  #heard(told: Told, problems: string[]) {
    const name = `customer/${told.customer}|${told.id}`;
    const before = this.told.get(name);
    this.onTold();
    if (!before) this.told.set(name, told);
    else if (outcomeOf(before) !== outcomeOf(told))
      problems.push(`${name} (${told.type}) was told ${outcomeOf(before)}, then ${outcomeOf(told)}`);
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
