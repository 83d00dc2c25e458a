/**
 * Who stands at which step between hold, commit, relay and post, and who is killed then: the process itself, or another one
 * while it stands there. After each case, everything that was answered is where it belongs.
 */
import { expect } from 'vitest';
import { failpoints, type Failpoint } from '#engine/failpoint';
import { openHistory } from '#engine/history/mod';
import { stream } from '#engine/log/subjects';
import { PublicStream } from '#engine/projections/public_stream';
import { type Random } from '#gateway/simulator/random';
import { until } from './installation.ts';
import { Market, type Served } from './money_market.ts';
import { customers } from './money_plan.ts';
import { metersOf, shadowOf, tallyOf, type Tally } from './money_tally.ts';
import type { Role } from './role.ts';

type Place = Served | 'trader';
/** `all`: everything that a supervisor takes with it. */
type Victim = 'itself' | Place | 'nats' | 'clickhouse' | 'all';

export interface Case {
  failpoint: Failpoint;
  /** Whose failpoint it is. */
  at: Place;
  killed: Victim;
}

/** A process gets there within so many first passings: all of them are reached within a round or two. */
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

const names = Object.keys(failpoints) as Failpoint[];
const placesOf = (failpoint: Failpoint): Place[] => {
  const [who] = failpoint.split('.');
  return who === 'door' ? ['trader', 'gateway'] : [who as Served];
};
const others: Record<Place, readonly Victim[]> = {
  engine: ['nats', 'gateway', 'trader', 'all'],
  trader: ['nats', 'engine', 'all'],
  gateway: ['nats', 'engine', 'all'],
  history: ['nats', 'engine', 'clickhouse', 'all'],
};

export const everyCase: readonly Case[] = names.flatMap((failpoint) =>
  placesOf(failpoint).flatMap((at) =>
    (['itself', ...others[at]] as const).map((killed): Case => ({ failpoint, at, killed })),
  ),
);

/** Each failpoint once, then so many of which another one dies of, all different. */
export function someCases(random: Random, more: number): Case[] {
  const selves = names.map((failpoint): Case => {
    const places = placesOf(failpoint);
    return { failpoint, at: places[random.below(places.length)]!, killed: 'itself' };
  });
  const crossed: Case[] = [];
  for (const killed of ['nats', 'gateway', 'all', 'engine', 'trader', 'clickhouse'] as const) {
    const such = everyCase.filter((one) => one.killed === killed);
    if (crossed.length < more) crossed.push(such[random.below(such.length)]!);
  }
  return [...selves, ...crossed];
}

export const nameOf = ({ failpoint, at, killed }: Case): string =>
  killed === 'itself' ? `${at} is killed at ${failpoint}` : `${killed} killed while ${at} stands at ${failpoint}`;

export class MoneyRun {
  readonly #random: Random;
  #market!: Market;
  #round = 0;
  readonly #rows: { case: Case; commands: number; sessions: number; tally: Tally }[] = [];

  constructor(random: Random) {
    this.#random = random;
  }

  async open(): Promise<void> {
    this.#market = await Market.open(this.#random);
  }

  async close(): Promise<void> {
    await this.#market.close();
    console.log(this.table());
  }

  /** Plays one case and what must hold after it. */
  async play(one: Case): Promise<void> {
    const market = this.#market;
    const problems: string[] = [];
    const played = await this.#tradeUntilKilled(one, problems);
    // All callers forget what they heard, and ask again.
    for (const round of played) {
      const trader = market.trade(round, problems);
      await market.tradeByApi(round, problems);
      expect(await trader.ended, trader.lastWords).toBe(0);
    }
    // What relays carry is delivered within moments.
    let tally!: Tally;
    await until('all that was answered is posted', 30_000, async () => {
      await market.journals.caughtUp();
      tally = tallyOf(market);
      return tally.problems.length === 0 || undefined;
    }).catch(() => undefined);
    const sessions = market.plugs.reduce((sum, { drawn }) => sum + drawn.length, 0);
    this.#rows.push({ case: one, commands: market.told.size, sessions, tally });
    expect([...problems, ...tally.problems, ...(await market.check())]).toEqual([]);
  }

  /** Trades until somebody has been killed; returns the rounds that were played. */
  async #tradeUntilKilled({ failpoint, at, killed }: Case, problems: string[]): Promise<number[]> {
    const market = this.#market;
    const setting = `${failpoint}:${1 + this.#random.below(passings[failpoint])}${killed === 'itself' ? '' : ':stop'}`;
    let armed = at === 'trader' ? null : await market.start(at, setting);
    const played: number[] = [];
    let last = '';
    while (played.length < roundsMax) {
      // One that ended by itself, for want of a server, is armed once more.
      if (armed?.end !== undefined && at !== 'trader') armed = await market.start(at, setting);
      const round = this.#round++;
      played.push(round);
      const trader = market.trade(round, problems, at === 'trader' ? setting : '');
      const byApi = market.tradeByApi(round, problems);
      const role = armed ?? trader;
      const isThere = () => (killed === 'itself' ? role.end === 'SIGKILL' : role.isStopped);
      let isOver = false;
      void Promise.all([trader.ended, byApi]).then(() => (isOver = true));
      let calmUntil = Infinity;
      await until(`a process gets to ${setting}, or the round is over`, 120_000, () => {
        // Some steps come a moment after the last answer.
        if (isOver) calmUntil = Math.min(calmUntil, Date.now() + 1_000);
        return isThere() || Date.now() > calmUntil || undefined;
      });
      const isReached = isThere();
      if (isReached && killed !== 'itself') await this.#kill(killed, role, trader);
      await byApi;
      if ((await trader.ended) !== 0) {
        expect([killed, at], trader.lastWords).toContain('trader');
        expect(await market.trade(round, problems).ended).toBe(0);
      }
      if (isReached) return played;
      last = `${role.name} ${role.end ?? 'lives'}: ${role.lastWords}`;
    }
    throw new Error(`nobody got to ${setting} in ${roundsMax} rounds; ${last}`);
  }

  async #kill(killed: Victim, stopped: Role, trader: Role): Promise<void> {
    const market = this.#market;
    switch (killed) {
      case 'nats':
      case 'clickhouse': {
        await market[killed].kill9();
        stopped.resume();
        await market[killed].restart();
        return;
      }
      case 'all':
        await market.killAll();
        break;
      case 'trader':
        await trader.kill();
        break;
      case 'itself':
        break;
      default:
        await market.role(killed).kill();
    }
    stopped.resume();
  }

  /** When nothing flows and nobody charges any more: balances, public streams and ClickHouse tell every posting once. */
  async atRest(): Promise<void> {
    const market = this.#market;
    const { journals } = market;
    await Promise.all(market.plugs.map((plug) => plug.rest()));
    await until('all orders and sessions have ended', 120_000, async () => {
      await journals.caughtUp();
      const states = [...journals.customers.values()];
      return states.every(({ orders, sessions }) => orders.length + sessions.length === 0) || undefined;
    });
    await until('nothing is under way', 30_000, async () => {
      await journals.caughtUp();
      return journals.balances.get('Wh:transit') === 0 || undefined;
    });
    expect([...tallyOf(market).problems, ...(await market.check())]).toEqual([]);

    const shadow = shadowOf(market);
    const meters = metersOf(market);
    const owned = (id: string) => {
      const { sek, wh } = journals.customers.get(id)!;
      return { id, e5Sek: sek.available, heldE5Sek: sek.pending, wh: wh.available, heldWh: wh.pending };
    };
    const due = (id: string) => {
      const { e5Sek, wh } = shadow.owned(id);
      return { id, heldE5Sek: 0, heldWh: 0, e5Sek: e5Sek - (meters.paidE5Sek.get(id) ?? 0), wh };
    };
    expect(customers.map(owned)).toEqual(customers.map(due));
    // Most of it must have happened, or nothing was shown.
    const { committed, cancelled, stopped } = shadow.fates;
    expect(Math.min(committed, cancelled, stopped), JSON.stringify(shadow.fates)).toBeGreaterThan(this.#round);
    const drawn = market.plugs.flatMap((plug) => plug.drawn);
    expect(drawn.length).toBeGreaterThan(this.#round);
    expect(drawn.some(({ customer }) => customer === null)).toBe(true);
    expect(market.plugs.reduce((sum, { resent }) => sum + resent, 0)).toBeGreaterThan(0);
    await this.#storesAgree();
  }

  async #storesAgree(): Promise<void> {
    const { journals, nc, clickhouse } = this.#market;
    for (const kind of ['ledger', 'trade', 'session'] as const) {
      const due = journals.eventsOf(kind).map(({ at }) => at);
      const published = await PublicStream.open(nc, stream.public(kind));
      const found = await until(`the ${kind} stream is complete`, 30_000, async () => {
        const items = await published.read(1, await published.lastSequence());
        const places = items.flatMap((item) => ('at' in item ? [item.at] : []));
        return places.length >= due.length ? places : undefined;
      });
      expect(found.sort(), kind).toEqual(due.sort());
    }
    const { url, user, password } = clickhouse;
    const history = await openHistory({ url, user, password });
    const legs = journals.eventsOf('ledger').flatMap(({ event }) => event.payload.legs).length;
    const rows = async <Row>(query: string) =>
      (await history.client.query({ query, format: 'JSONEachRow' })).json<Row>();
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
  }

  /** What was lost and doubled, case by case, for the reader of the run. */
  table(): string {
    const öre = (e5Sek: number) => String(e5Sek / 1_000);
    const head = [
      'failpoint',
      'at',
      'killed',
      'commands',
      'sessions',
      'lost öre',
      'doubled öre',
      'lost Wh',
      'doubled Wh',
    ];
    const lines = this.#rows.map(({ case: { failpoint, at, killed }, commands, sessions, tally: t }) => [
      ...[failpoint, at, killed, String(commands), String(sessions)],
      ...[öre(t.lostE5Sek), öre(t.doubledE5Sek), String(t.lostWh), String(t.doubledWh)],
    ]);
    const widths = head.map((_, i) => Math.max(...[head, ...lines].map((line) => line[i]!.length)));
    return [head, ...lines].map((line) => line.map((cell, i) => cell.padEnd(widths[i]!)).join('  ')).join('\n');
  }
}
