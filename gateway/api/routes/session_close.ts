/** POST /api/sessions/:transaction/close: an operator ends a charging session that nobody else ends. */
import { chargerAddress } from '#actors/addresses';
import type { ClosedReply } from '#actors/schema/commands';
import type { SessionState } from '#actors/schema/entities';
import type { GridReplica } from '../../live/grid.ts';
import { ClosedSession, CloseRequest, SessionParams } from '../../schema/commands.ts';
import { ref } from '../../schema/ref.ts';
import { principalOf } from '../access.ts';
import { valueOf } from '../customer_commands.ts';
import { Refused } from '../refused.ts';
import { failures, type ApiScope } from '../scope.ts';
import { positionHeader, writing, type CommandDeps } from '../writing.ts';

export function sessionCloseRoutes(app: ApiScope, replica: GridReplica, deps: CommandDeps): void {
  app.post(
    '/api/sessions/:transaction/close',
    {
      ...writing(deps, 'close_session'),
      schema: {
        tags: ['sessions'],
        summary:
          'End a session at its last sample: it is billed, what is held for it goes back; its real stop still counts',
        params: SessionParams,
        body: CloseRequest,
        response: { 200: ref(ClosedSession), ...failures },
      },
    },
    async (request, reply) => {
      const { transaction } = request.params;
      const session = replica.get<SessionState>('session', String(transaction))?.context;
      if (session === undefined) throw new Refused('unknown_session', { transaction });
      const to = chargerAddress(session.site, session.charger);
      const command = { id: request.body.id, to, type: 'session.close', body: { transaction } };
      const result = await deps.book.send(principalOf(request).user, command, request.id);
      positionHeader(reply, result);
      return valueOf<ClosedReply>(result);
    },
  );
}
