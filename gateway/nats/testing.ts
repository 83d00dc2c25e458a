/** The NATS door over a real nats-server with accounts, and the real engine with the product's domain behind it. */
import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { MsgHdrs, NatsConnection } from '@nats-io/transport-node';
import type { Redis } from 'ioredis';
import { pino } from 'pino';
import { customerAddress, domain, siteAddress, stationAddress } from '#actors/mod';
import { accountsFile, renderAccounts, renderServerConfig } from '#engine/log/accounts';
import {
  connectLog,
  integratorCommands,
  journalBounds,
  openDoor,
  provision,
  tailJournal,
  type DoorOptions,
  type IntegratorScope,
} from '#engine/log/mod';
import { startTestNats } from '#engine/log/testing';
import { natsJournal } from '#engine/projections/journal';
import { startEngine } from '#engine/roles/engine_role';
import type { JournalEntry } from '#engine/wire';
import { TradeDesk } from '../trading/trade_desk.ts';
import { defaultLimits, type Limits } from './limits.ts';
import { journalOutcomes } from './outcome.ts';
import { scopesOf } from './scopes.ts';
import { startNatsDoor, type NatsDoorOptions } from './server.ts';

export const partitions = 4;

/** `acme` may do everything for everybody; `shop` may quote and buy for anna; `ears` only hears. */
export const scopes: readonly IntegratorScope[] = [
  { user: 'acme', hears: ['price'], commands: [...integratorCommands], customers: 'all' },
  { user: 'shop', hears: [], commands: ['order.quote', 'order.buy'], customers: ['anna'] },
  { user: 'ears', hears: ['price'], commands: [], customers: [] },
];

export interface TestDoorOptions {
  limits?: Partial<Limits>;
  door?: Partial<DoorOptions>;
  /** Beside the usual ones, without an account of their own. */
  scopes?: readonly IntegratorScope[];
  /** With a redis, prices of symbols: the desk at the feed that is named here. */
  quotes?: { redis: Redis; feed: string };
}

export async function startTestNatsDoor(options: TestDoorOptions = {}) {
  const nats = await startTestNats({
    config: ({ port, storeDir }) => {
      const integrators = scopes.map((scope) => ({ ...scope, password: 'secret' }));
      const text = renderAccounts({ core: { user: 'core', password: 'core' }, integrators });
      writeFileSync(join(dirname(storeDir), accountsFile), text);
      return renderServerConfig({ port, storeDir, maxFileBytes: 2 ** 40 });
    },
  });
  const natsUrl = nats.url.replace('//', '//core:core@');
  const log = pino({ level: process.env['GRIDTICK_TEST_LOG'] ?? 'silent' }, pino.destination(2));
  const core = await connectLog(natsUrl, 'gateway');
  await provision(core, { partitions, scale: 1 / 64 });
  const fatal = (error: unknown) => {
    throw error;
  };
  const engine = await startEngine({ config: { natsUrl, partitions }, domain, log, onFatal: fatal, sinks: [] });
  const door = await openDoor(core, { name: 'gateway', partitions, ...options.door });
  const desk =
    options.quotes &&
    new TradeDesk({
      ...{ door, redis: options.quotes.redis, log, now: () => Date.now() },
      config: { quoteFeed: options.quotes.feed, quoteSecrets: '' },
    });
  const open = (more: Partial<NatsDoorOptions> = {}) =>
    startNatsDoor({
      nats: core,
      door,
      log,
      scopes: scopesOf([...scopes, ...(options.scopes ?? [])]),
      outcomes: journalOutcomes(natsJournal(core, partitions), defaultLimits.lookUpsMax),
      ...(desk && { desk }),
      ...(options.limits ? { limits: options.limits } : {}),
      ...more,
    });
  const served = await open();
  const callers: NatsConnection[] = [];
  const must = async (to: ReturnType<typeof siteAddress>, type: string, body: Record<string, unknown>) => {
    const result = await door.request({ id: null, to, type, body });
    if (!result.ok) throw new Error(`${type}: ${result.code} ${JSON.stringify(result.detail)}`);
  };

  return {
    nats,
    natsUrl,
    core,
    door,
    served,
    open,
    async caller(user: string): Promise<Caller> {
      const nc = await connectLog(nats.url.replace('//', `//${user}:secret@`), user);
      callers.push(nc);
      return new Caller(nc);
    },
    openCustomer: (customer: string) => must(customerAddress(customer), 'customer.open', { name: customer }),
    async openStation(site: string, station: string): Promise<void> {
      const profile0Networks: string[] = [];
      await must(siteAddress(site), 'site.create', { name: site, timeZone: 'UTC', capacityW: null, profile0Networks });
      const body = { site, name: station, capacityW: 100_000, baseE5SekPerKwh: 100_000 };
      await must(stationAddress(site, station), 'station.create', body);
    },
    /** Last sequence of the command log and of the journal of every partition. */
    async ends(): Promise<[log: number, journal: number][]> {
      return Promise.all(
        Array.from({ length: partitions }, async (_, p): Promise<[number, number]> => {
          const { last } = await journalBounds(core, p);
          return [(await core.request(`$JS.API.STREAM.INFO.C_${p}`)).json<Info>().state.last_seq, last];
        }),
      );
    },
    /** All records so far. */
    async records(): Promise<JournalEntry[]> {
      const all: JournalEntry[] = [];
      for (let p = 0; p < partitions; p++) {
        const { last } = await journalBounds(core, p);
        let done = () => undefined as void;
        const read = new Promise<void>((resolve) => (done = resolve));
        const tail = await tailJournal(core, p, 1, (entry) => {
          all.push(entry);
          if (entry.sequence >= last) done();
        });
        await read;
        await tail.stop();
      }
      return all;
    },
    async close(): Promise<void> {
      for (const nc of callers) await nc.close();
      await served.close();
      await desk?.close();
      await door.close();
      await engine.close();
      await core.close();
      await nats.stop();
    },
  };
}
export type TestNatsDoor = Awaited<ReturnType<typeof startTestNatsDoor>>;

interface Info {
  state: { last_seq: number };
}

/** An answer, whatever it is: tests look at what they expect. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any
export type Answer = any;

/** A program of an integrator. */
export class Caller {
  readonly nc: NatsConnection;

  constructor(nc: NatsConnection) {
    this.nc = nc;
  }

  /** Sends bytes or text as they are, everything else as JSON; the answer's JSON. */
  async ask(subject: string, payload: unknown, headers?: MsgHdrs): Promise<Answer> {
    const raw = typeof payload === 'string' || payload instanceof Uint8Array ? payload : JSON.stringify(payload);
    const answer = await this.nc.request(subject, raw, { timeout: 15_000, ...(headers && { headers }) });
    return answer.json();
  }
}
