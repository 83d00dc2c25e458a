/** What all writing routes share: their parts, their right, their limit per user, the position of the decision. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Door } from '#engine/log/mod';
import type { CommandResult } from '#engine/wire';
import type { Right } from '../auth/rights.ts';
import type { WriteLimit } from '../auth/write_limit.ts';
import { principalOf } from './access.ts';
import type { Accounts } from './accounts.ts';
import type { CommandBook } from './command_book.ts';
import { Refused } from './refused.ts';

export interface CommandDeps {
  accounts: Accounts;
  book: CommandBook;
  door: Pick<Door, 'partitions' | 'request'>;
  writes: WriteLimit;
}

/** Options of a route that sends commands: who may, and how many of them a request counts for. */
export function writing(
  { writes }: Pick<CommandDeps, 'writes'>,
  access: Right,
  commandsIn: (body: unknown) => number = () => 1,
) {
  return {
    config: { access },
    preHandler: async (request: FastifyRequest) => {
      const retryAfterMs = await writes.take(principalOf(request).user, commandsIn(request.body));
      if (retryAfterMs > 0) throw new Refused('rate_limited', { retryAfterMs });
    },
  };
}

/** `gridtick-at: <partition>:<journal sequence>`: where the decision stands, as on NATS and in the history. */
export function positionHeader(reply: FastifyReply, { at }: CommandResult): void {
  if (at !== '') reply.header('gridtick-at', at);
}
