/** Faults that a running installation survives: what is done to it, and how that ends. */
import { failpoints, type Failpoint } from '#engine/failpoint';
import { internal, newInbox } from '#engine/log/subjects';
import { jetstreamSource } from '#engine/partition/replay_source';
import { customerAddress } from '#actors/mod';
import { openDoor } from '#engine/log/mod';
import { sleep, until } from '../system/installation.ts';
import { type Served } from '../system/money_market.ts';
import { customers, partitions } from '../system/money_plan.ts';
import type { Role } from '../system/role.ts';
import type { Bed } from './bed.ts';
import { engineFaults } from './engine_faults.ts';
import { readSlowly } from './slow_client.ts';

export interface Fault {
  name: string;
  what: string;
  /** Resolves when the fault is there; while it lasts, trade goes on. */
  apply(bed: Bed): Promise<void>;
  /** Ends it; what follows is recovery. */
  heal?(bed: Bed): Promise<void>;
}

const reachedMsMax = 30_000;

const killed = (name: Served): Fault => ({
  name: `kill-${name}`,
  what: `kill -9 of the ${name} role at a random moment`,
  apply: async ({ market, random }) => {
    await sleep(random.below(800));
    await market.role(name).kill();
  },
});

/** How often a place is passed within a round, about. */
const passings: Record<Failpoint, number> = {
  'engine.frame_decided': 12,
  'engine.record_appended': 16,
  'engine.released': 16,
  'engine.relay_sent': 6,
  'engine.relay_acked': 6,
  'door.frame_sent': 8,
  'door.frame_stored': 8,
  'door.replied': 8,
  'history.inserted': 3,
  'history.published': 20,
};
const dead = (role: Role, place: string) =>
  until(`a process gets to ${place}`, reachedMsMax, () => role.end === 'SIGKILL' || undefined);

const atFailpoint = (failpoint: Failpoint): Fault => ({
  name: `failpoint-${failpoint}`,
  what: `a process kills itself where ${failpoints[failpoint]}`,
  apply: async ({ market, random }) => {
    const [who] = failpoint.split('.');
    const place = who === 'door' ? 'gateway' : (who as Served);
    await dead(await market.start(place, `${failpoint}:${1 + random.below(passings[failpoint])}`), failpoint);
  },
});

/** A role sleeps (SIGSTOP) while another one takes its work, and wakes beside it. */
function zombie(name: 'engine' | 'history'): Fault {
  let asleep: Role | null = null;
  return {
    name: `zombie-${name}`,
    what: `SIGSTOP of the ${name} role, a second one takes over, SIGCONT`,
    apply: async ({ market }) => {
      asleep = market.role(name);
      asleep.pause();
      await market.startBeside(name);
      await sleep(2_000);
    },
    heal: async () => {
      asleep?.resume();
      // It finds out by itself and ends, or goes on in silence.
      await sleep(3_000);
      await asleep?.kill();
    },
  };
}

const proxiesOf = ({ market }: Bed) => {
  if (!market.proxies) throw new Error('this fault needs proxies before NATS and ClickHouse');
  return market.proxies;
};

const network: readonly Fault[] = [
  {
    name: 'network-cuts',
    what: 'every connection to NATS is cut every 300 ms for 4 s',
    apply: async (bed) => {
      for (let n = 0; n < 13; n++) {
        proxiesOf(bed).nats.cut();
        await sleep(300);
      }
    },
  },
  {
    name: 'network-delay',
    what: 'everything between the roles and NATS takes 250 ms longer each way for 5 s',
    apply: async (bed) => {
      proxiesOf(bed).nats.delay(250);
      await sleep(5_000);
    },
    heal: async (bed) => proxiesOf(bed).nats.delay(0),
  },
  {
    name: 'answers-lost',
    what: 'what is published is stored, and for 3 s nobody hears of it',
    apply: async (bed) => {
      proxiesOf(bed).nats.mute();
      await sleep(3_000);
    },
    heal: async (bed) => proxiesOf(bed).nats.cut(),
  },
  {
    name: 'connections-doubled',
    what: 'roles redial while NATS takes their old connections for open, five times',
    apply: async (bed) => {
      for (let n = 0; n < 5; n++) {
        proxiesOf(bed).nats.cut(2_000);
        await sleep(700);
      }
    },
    heal: async (bed) => proxiesOf(bed).nats.cut(),
  },
];

const history: readonly Fault[] = [
  {
    name: 'clickhouse-killed',
    what: 'kill -9 of ClickHouse while the sink stands between its rows and their position',
    apply: async ({ market, random }) => {
      const role = await market.start('history', `history.inserted:${1 + random.below(3)}:stop`);
      await until('the sink stands behind its rows', reachedMsMax, () => role.isStopped || undefined);
      await market.clickhouse.kill9();
      role.resume();
    },
    heal: ({ market }) => market.clickhouse.restart(),
  },
  {
    name: 'clickhouse-answers-lost',
    what: 'rows are inserted, and for 3 s the sink hears nothing of it',
    apply: async (bed) => {
      proxiesOf(bed).clickhouse.mute();
      await sleep(3_000);
    },
    heal: async (bed) => proxiesOf(bed).clickhouse.cut(),
  },
];

const copiesPerPartition = 200;
const callers: readonly Fault[] = [
  {
    name: 'old-frames-again',
    what: `the first ${copiesPerPartition} frames of each command log are stored once more, far behind every window`,
    apply: async ({ market: { nc } }) => {
      for (let p = 0; p < partitions; p++) {
        const source = await jetstreamSource(nc, p, partitions);
        let left = copiesPerPartition;
        for await (const frames of source.frames(source.commands.first)) {
          for (const { bytes } of frames)
            if (left-- > 0) nc.publish(internal.commands(p), bytes, { reply: newInbox() });
          if (left <= 0) break;
        }
      }
      await nc.flush();
    },
  },
  {
    name: 'asked-again',
    what: 'all callers of the last rounds ask once more under the same ids, while their engine dies',
    apply: async (bed) => {
      await bed.rest();
      const again = bed.askAgain();
      await sleep(bed.random.below(800));
      await bed.market.role('engine').kill();
      await again;
      bed.trade();
    },
  },
  {
    name: 'poison',
    what: 'frames that are none, unknown commands, wrong bodies, commands of 300 KB and 2,000 at once',
    apply: async ({ market: { nc } }) => {
      for (let p = 0; p < partitions; p++)
        for (const size of [0, 1, 900, 700_000]) nc.publish(internal.commands(p), new Uint8Array(size).fill(0xc1));
      await nc.flush();
      const door = await openDoor(nc, { name: 'poison', partitions });
      const ask = (type: string, body: Record<string, unknown>) =>
        door
          .request({ id: null, to: customerAddress(customers[0]!), type, body, timeoutMs: 5_000 })
          .catch((error: Error) => ({ ok: false, code: error.message }));
      const answers = await Promise.all([
        ask('no.such.command', {}),
        ask('customer.deposit', { amountE5Sek: 'much' }),
        ask('customer.deposit', { amountE5Sek: 1, padding: 'x'.repeat(300_000) }),
        ...Array.from({ length: 2_000 }, () => ask('order.quote', { station: '' })),
      ]);
      await door.close();
      if (answers.slice(0, 3).some(({ ok }) => ok)) throw new Error(`poison was taken: ${JSON.stringify(answers[0])}`);
    },
  },
  {
    name: 'slow-client',
    what: 'a page that reads 1 byte a second of its live socket for 10 s',
    apply: (bed) => readSlowly(bed, 10_000),
  },
];

export const faults: readonly Fault[] = [
  ...(['engine', 'gateway', 'history'] as const).map(killed),
  {
    name: 'kill-nats',
    what: 'kill -9 of nats-server at a random moment',
    apply: async ({ market, random }) => {
      await sleep(random.below(800));
      await market.nats.kill9();
    },
    heal: ({ market }) => market.nats.restart(),
  },
  {
    name: 'kill-everything',
    what: 'kill -9 of all roles, nats-server and ClickHouse at once, as when their supervisor dies',
    apply: async ({ market, random }) => {
      await sleep(random.below(800));
      await market.killAll();
    },
  },
  ...(Object.keys(failpoints) as Failpoint[]).map(atFailpoint),
  ...engineFaults,
  zombie('engine'),
  zombie('history'),
  ...network,
  ...history,
  ...callers,
];
