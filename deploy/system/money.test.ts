/**
 * Whoever dies, and at which step between hold, commit, relay and post: no öre and no Wh is lost or doubled, and a caller
 * who asks again under the same id is told the same.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { failpoints, type Failpoint } from '#engine/failpoint';
import { openHistory } from '#engine/history/mod';
import { stream } from '#engine/log/subjects';
import { PublicStream } from '#engine/projections/public_stream';
import { Shadow } from '#engine/simulation/money_shadow';
import { Random } from '#gateway/simulator/random';
import { until } from './installation.ts';
import { Market } from './money_market.ts';
import { customers } from './money_plan.ts';
import type { Role } from './role.ts';

const seed = Number(process.env.GRIDTICK_TEST_SEED || Date.now() % 1_000_000);
const random = new Random(`money ${seed}`);
/** A process dies at one of so many first passings: all of them are reached within a round or two. */
const passings: Record<Failpoint, number> = {
  'engine.frame_decided': 12,
  'engine.record_appended': 16,
  'engine.released': 16,
  'engine.relay_sent': 6,
  'engine.relay_acked': 6,
  'door.frame_sent': 12,
  'door.frame_stored': 12,
  'door.replied': 12,
  'history.inserted': 3,
  'history.published': 20,
};
const roundsMax = 6;

let market: Market;
let round = 0;
beforeAll(async () => {
  market = await Market.open();
}, 120_000);
afterAll(() => market.close());

/** Trades until the armed process has died; returns the rounds that were played. */
async function tradeUntilDead(failpoint: Failpoint, problems: string[]): Promise<number[]> {
  const setting = `${failpoint}:${1 + random.below(passings[failpoint])}`;
  const [who] = failpoint.split('.');
  const armed = who === 'door' ? null : await market.start(who as 'engine' | 'history', setting);
  const played: number[] = [];
  for (; played.length < roundsMax; round++) {
    played.push(round);
    const trader = market.trade(round, problems, who === 'door' ? setting : '');
    const victim: Role = armed ?? trader;
    // An engine that is away for as long as it takes to miss it; the traders wait for it and ask again.
    await Promise.race([victim.ended, trader.ended]);
    if (victim.end === undefined) await Promise.race([victim.ended, new Promise((r) => setTimeout(r, 1_000))]);
    const isDead = victim.end === 'SIGKILL';
    if (isDead && armed) await market.start(who as 'engine' | 'history');
    if (isDead && !armed) expect(await market.trade(round, problems).ended).toBe(0);
    else expect(await trader.ended, trader.lastWords).toBe(0);
    if (isDead) {
      round += 1;
      return played;
    }
  }
  throw new Error(`nobody died at ${setting} in ${roundsMax} rounds`);
}

test.each(Object.entries(failpoints))(
  `killed at %s (%s), money and energy are where they belong (seed ${seed})`,
  async (failpoint) => {
    const problems: string[] = [];
    const played = await tradeUntilDead(failpoint as Failpoint, problems);
    // All callers forget what they heard, and ask again.
    for (const one of played) expect(await market.trade(one, problems).ended).toBe(0);
    expect([...problems, ...(await market.check())]).toEqual([]);
  },
);

test('at rest every customer owns what the acknowledged commands say; streams and ClickHouse tell every posting once', async () => {
  const { journals } = market;
  await until('all orders have ended', 120_000, async () => {
    await journals.caughtUp();
    return [...journals.customers.values()].every(({ orders }) => orders.length === 0) || undefined;
  });
  expect(await market.check()).toEqual([]);

  const shadow = new Shadow();
  for (const told of market.told.values()) shadow.acknowledged(told, told.result);
  for (const told of market.told.values()) shadow.decided(told, told.result);
  expect(shadow.problems).toEqual([]);
  const owned = (id: string) => {
    const { sek, wh } = journals.customers.get(id)!;
    return { id, e5Sek: sek.available, heldE5Sek: sek.pending, wh: wh.available, heldWh: wh.pending };
  };
  expect(customers.map(owned)).toEqual(customers.map((id) => ({ id, heldE5Sek: 0, heldWh: 0, ...shadow.owned(id) })));
  // Most of it must have happened, or nothing was shown.
  const { committed, cancelled, stopped } = shadow.fates;
  expect(Math.min(committed, cancelled, stopped), JSON.stringify(shadow.fates)).toBeGreaterThan(round);
  expect(journals.balances.get('Wh:transit')).toBe(0);

  for (const kind of ['ledger', 'trade'] as const) {
    const due = journals.eventsOf(kind).map(({ at }) => at);
    const published = await PublicStream.open(market.nc, stream.public(kind));
    const found = await until(`the ${kind} stream is complete`, 30_000, async () => {
      const items = await published.read(1, await published.lastSequence());
      const places = items.flatMap((item) => ('at' in item ? [item.at] : []));
      return places.length >= due.length ? places : undefined;
    });
    expect(found.sort(), kind).toEqual(due.sort());
  }
  const { url, user, password } = market.clickhouse;
  const history = await openHistory({ url, user, password });
  const legs = journals.eventsOf('ledger').flatMap(({ event }) => event.payload.legs).length;
  const rows = async <Row>(query: string) => (await history.client.query({ query, format: 'JSONEachRow' })).json<Row>();
  await until('ClickHouse has every posting', 30_000, async () => {
    const [found] = await rows<{ n: string }>('SELECT count() AS n FROM gridtick.ledger_entries');
    return Number(found!.n) >= legs || undefined;
  });
  const sums = await rows<{ name: string; amount: string; legs: string }>(
    "SELECT concat(ledger, ':', account) AS name, sum(amount) AS amount, count() AS legs FROM gridtick.ledger_entries GROUP BY name",
  );
  expect(sums.reduce((sum, row) => sum + Number(row.legs), 0)).toBe(legs);
  const balances = [...journals.balances].filter(([, balance]) => balance !== 0);
  expect(Object.fromEntries(sums.map(({ name, amount }) => [name, Number(amount)]))).toMatchObject(
    Object.fromEntries(balances),
  );
  await history.close();
});
