/** POST /api/commands: up to 64 commands at once, a result each. GET /api/commands/:id: what became of one. */
import type { CommandResult } from '#engine/wire';
import {
  batchMax,
  BatchReply,
  BatchRequest,
  CommandParams,
  CommandStatus,
  type CommandOutcome,
} from '../../schema/commands.ts';
import { ref } from '../../schema/ref.ts';
import { principalOf } from '../access.ts';
import type { PersonalCommand } from '../command_book.ts';
import { checkedCustomerCommand } from '../customer_commands.ts';
import { Refused } from '../refused.ts';
import { failures, type ApiScope } from '../scope.ts';
import { writing, type CommandDeps } from '../writing.ts';

/** Room for 64 commands with the longest ids there are. */
const batchBytesMax = batchMax * 1_024;

const outcomeOf = (id: string, result: CommandResult): CommandOutcome => ({ id, ...result });

export function commandRoutes(app: ApiScope, deps: CommandDeps): void {
  const { accounts, book } = deps;

  app.post(
    '/api/commands',
    {
      bodyLimit: batchBytesMax,
      ...writing(deps, 'trade', (body) => (body as BatchRequest).commands.length),
      schema: {
        tags: ['commands'],
        summary: `1 to ${batchMax} commands for the own account, decided in order; one that fails stops no other`,
        body: BatchRequest,
        response: { 200: ref(BatchReply), ...failures },
      },
    },
    async (request) => {
      const principal = principalOf(request);
      const { user } = principal;
      await accounts.open(principal);
      const { commands } = request.body;
      const results = new Array<CommandOutcome>(commands.length);
      const good: { at: number; command: PersonalCommand }[] = [];
      for (const [at, { id, type, body }] of commands.entries()) {
        try {
          good.push({ at, command: checkedCustomerCommand(user, id, type, body) });
        } catch (error) {
          if (!(error instanceof Refused)) throw error;
          const { code, detail } = error;
          results[at] = { id, ok: false, code, ...(detail && { detail }), at: '' };
        }
      }
      const decided = await book.sendAll(
        user,
        good.map(({ command }) => command),
        request.id,
      );
      for (const [i, { at, command }] of good.entries())
        results[at] = outcomeOf(command.id, decided[i] as CommandResult);
      return { now: app.now(), results };
    },
  );

  app.get(
    '/api/commands/:id',
    {
      schema: {
        tags: ['commands'],
        summary: 'What became of a command that the same user sent in the last 24 hours',
        params: CommandParams,
        response: { 200: ref(CommandStatus), ...failures },
      },
    },
    async (request) => {
      const { id } = request.params;
      const result = await book.outcome(principalOf(request).user, id);
      const now = app.now();
      return result === undefined
        ? { now, id, state: 'unknown' as const }
        : { now, id, state: 'done' as const, result: outcomeOf(id, result) };
    },
  );
}
