/** The parts behind accounts and commands, put together once per process. */
import type { FastifyBaseLogger } from 'fastify';
import type { Redis } from 'ioredis';
import { wallClock, type Door, type LogClock } from '#engine/log/mod';
import { WriteLimit } from '../auth/write_limit.ts';
import type { GridReplica } from '../live/grid.ts';
import { Accounts } from './accounts.ts';
import { CommandBook, type CommandWatch } from './command_book.ts';
import type { FindOutcome } from './outcomes.ts';
import { Presence } from './presence.ts';
import type { CommandDeps } from './writing.ts';

export interface AccountPartsDeps {
  redis: Redis;
  door: Pick<Door, 'partitions' | 'request' | 'append'>;
  /** Must hold the kinds `customer` and `user`. */
  replica: GridReplica;
  findOutcome: FindOutcome;
  log: FastifyBaseLogger;
  watch?: CommandWatch;
  /** @default the machine's */
  clock?: LogClock;
  /** Commands per minute and user. @default 6,000 */
  commandsPerMinute?: number;
}

export function accountParts(deps: AccountPartsDeps): { commands: CommandDeps; presence: Presence } {
  const { redis, door, replica, findOutcome, log, watch, clock = wallClock, commandsPerMinute } = deps;
  const position = (partition: number) => replica.position(partition);
  const book = new CommandBook({ redis, door, position, findOutcome, log, ...(watch && { watch }) });
  const accounts = new Accounts({ door, replica, book, log });
  const writes = new WriteLimit(redis, commandsPerMinute);
  const hasAccount = (customer: string) => accounts.get(customer) !== undefined;
  return {
    commands: { accounts, book, door, writes },
    presence: new Presence({ door, hasAccount, log, clock: () => clock.now() }),
  };
}
