/** What a fault is done to: the market of the system tests under steady trade, and a probe that notices when it answers again. */
import { customerAddress } from '#actors/mod';
import { openDoor, type Door } from '#engine/log/mod';
import { partitionOf } from '#actors/mod';
import type { Random } from '#gateway/simulator/random';
import { sleep } from '../system/installation.ts';
import { Market, type MarketOptions } from '../system/money_market.ts';
import { customers, partitions } from '../system/money_plan.ts';

const probeEveryMs = 50;

export class Bed {
  readonly random: Random;
  readonly market: Market;
  /** What the last check found: each fault has the commands behind it. */
  counted = { acked: 0, applied: 0 };
  /** Differences between what callers were told and told again. */
  readonly problems: string[] = [];
  readonly #door: Door;
  #round = 0;
  #isTrading = false;
  #trade: Promise<void> | null = null;

  private constructor(random: Random, market: Market, door: Door) {
    this.random = random;
    this.market = market;
    this.#door = door;
  }

  static async open(random: Random, options: MarketOptions): Promise<Bed> {
    const market = await Market.open(random, options);
    return new Bed(random, market, await openDoor(market.nc, { name: 'probe', partitions }));
  }

  async close(): Promise<void> {
    await this.rest().catch(() => undefined);
    await this.#door.close();
    await this.market.close();
  }

  /** Customers and traders go on until `rest`; whoever is not answered asks again under the same id. */
  trade(): void {
    this.#isTrading = true;
    const { market, problems } = this;
    this.#trade = (async () => {
      while (this.#isTrading) {
        const round = this.#round++;
        const byApi = market.tradeByApi(round, problems);
        // A trader that ends for want of a server begins the round again.
        for (let end: unknown = 1; end !== 0;) end = await market.trade(round, problems).ended;
        await byApi;
      }
    })();
  }

  /** Resolves when the round that runs is over, and all its answers are there. */
  async rest(): Promise<void> {
    this.#isTrading = false;
    await this.#trade;
    this.#trade = null;
  }

  /** Everybody who traded in the last rounds asks again under the same ids. */
  async askAgain(): Promise<void> {
    for (let round = Math.max(0, this.#round - 2); round < this.#round; round++)
      await Promise.all([this.market.trade(round, this.problems).ended, this.market.tradeByApi(round, this.problems)]);
  }

  /** Resolves when something was asked from now on and answered in every partition, with the ms from `since` on. */
  async answers(since = Date.now()): Promise<number> {
    const asked = new Map(customers.map((id) => [partitionOf(id, partitions), id]));
    await Promise.all(
      [...asked.values()].map(async (id) => {
        for (;;) {
          const result = await this.#door
            .request({
              id: null,
              to: customerAddress(id),
              type: 'order.quote',
              body: { station: 'nord' },
              timeoutMs: 1_000,
            })
            .catch(() => null);
          // Any decision is an answer; `unavailable` and `overloaded` are the door's own words.
          if (result && (result.ok || !['unavailable', 'overloaded'].includes(result.code))) return;
          await sleep(probeEveryMs);
        }
      }),
    );
    return Date.now() - since;
  }
}
