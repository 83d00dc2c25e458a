/**
 * A process of customers at a door of their own: plays one round for all of them at once and prints what each was answered,
 * a JSON line per command. Whoever is not told asks again under the same id. Argument: the round.
 */
import { customerAddress } from '#actors/mod';
import { loadConfig } from '#engine/config/config';
import { armFailpoint } from '#engine/failpoint';
import { connectLog, openDoor } from '#engine/log/mod';
import { commandSeries, partitions, trade, traders, type Told } from './money_plan.ts';

const round = Number(process.argv[2]);
const config = loadConfig(process.env);
const nc = await connectLog(config.natsUrl, 'trader');
const door = await openDoor(nc, { name: 'trader', partitions });
armFailpoint(config.failpoint);

const nobodyKnows = new Set(['unavailable', 'overloaded']);
await Promise.all(
  traders.map((customer) =>
    trade(customer, round, async (n, type, body) => {
      const id = `${commandSeries.trader}:${n}`;
      for (;;) {
        const result = await door.request({ id, to: customerAddress(customer), type, body, timeoutMs: 20_000 });
        if (!result.ok && nobodyKnows.has(result.code)) {
          await new Promise((resolve) => setTimeout(resolve, 50));
          continue;
        }
        const told: Told = { id, customer, type, body, result };
        process.stdout.write(`${JSON.stringify(told)}\n`);
        return result;
      }
    }),
  ),
);
await door.close();
await nc.close();
