/** An operator ends a session that nobody else ends: its charger is gone, or never sent the stop. */
import type { ActorEvent, Decision, PartitionView } from './actor.ts';
import { sessionAddress } from './addresses.ts';
import { withConnector } from './charger_messages.ts';
import { released } from './load.ts';
import { reply, type Outputs } from './machine.ts';
import type { ClosedReply, SessionCloseBody } from './schema/commands.ts';
import type { ChargerState, SessionState } from './schema/entities.ts';

export interface CloseFacts {
  session: SessionState | null;
}

export const closeFacts = (view: PartitionView, { transaction }: SessionCloseBody): CloseFacts => ({
  session: view.get<SessionState>('session', String(transaction))?.context ?? null,
});

/** What the charger says later still counts: a sample from before the end, and the real stop, settle the session anew. */
export function closed(
  charger: ChargerState,
  { self, now, body: { transaction }, facts: { session } }: ActorEvent<SessionCloseBody, CloseFacts>,
): Decision<ChargerState> {
  if (session === null || session.charger !== self.id) return { refuse: 'unknown_session', detail: { transaction } };
  if (session.endAt !== null)
    return { refuse: 'session_ended', detail: { transaction, endAt: session.endAt, reason: session.reason } };
  const answer: ClosedReply = { transaction, endAt: Math.max(session.lastSampleAt ?? 0, session.startAt) };
  const outputs: Outputs = [
    reply(answer),
    { type: 'send', params: { to: sessionAddress(self.key, transaction), type: 'session.abandon', body: {} } },
  ];
  const plugged = charger.connectors[session.connector - 1]?.transaction === transaction;
  if (!plugged) return { outputs };
  return { context: withConnector(charger, session.connector, (c) => released(c, now)), outputs };
}
