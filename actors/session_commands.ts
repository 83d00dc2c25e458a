/**
 * What a session means for commands to its charger: its start and its end are what some of them wait for, and without money
 * for it there is one of its own, to stop it.
 */
import type { ActorEvent, Decision, PartitionView } from './actor.ts';
import { deviceCommandAddress, foldName } from './addresses.ts';
import { tell } from './charger_commands.ts';
import { argumentsOf, isOpen, openCommands, remoteStartIdOf, type KnownCommand } from './device_command_rules.ts';
import { withFlags, type Outputs } from './machine.ts';
import { systemRequester, type CommandRequestBody } from './schema/device_commands.ts';
import type { SessionState } from './schema/entities.ts';

/** Whoever pays must have answered by then. */
export const creditAnswerMs = 10_000;
/** A charger's clock may be behind by this much when it says when a session began. */
const startSlackMs = 30_000;

/** Flags of a session that nobody has money for: it is told to stop. */
const withoutCredit = ['unfunded', 'credit_unanswered'];

export interface SessionCommandFacts {
  commands: KnownCommand[];
}

export function sessionCommands(
  view: PartitionView,
  id: string,
  { charger }: { charger?: string },
): SessionCommandFacts {
  const of = view.get<SessionState>('session', id)?.context.charger ?? charger;
  return { commands: of === undefined ? [] : openCommands(view, of) };
}

type Rule<Body, Facts> = (session: SessionState, event: ActorEvent<Body, Facts>) => Decision<SessionState>;

/** A rule of the session, and what follows for commands from what it changes. */
export const heardByCommands =
  <Body, Facts>(rule: Rule<Body, Facts>): Rule<Body, Facts> =>
  (session, event) => {
    const decision = rule(session, event);
    if (decision.refuse !== undefined) return decision;
    const after = decision.context ?? session;
    const { commands } = event.facts as SessionCommandFacts;
    const outputs = [...creditOutputs(session, after, event), ...observedBy(session, after, event.self.key, commands)];
    return outputs.length === 0 ? decision : { ...decision, outputs: [...(decision.outputs ?? []), ...outputs] };
  };

function creditOutputs(
  before: SessionState,
  after: SessionState,
  { self, now, type }: ActorEvent<unknown, unknown>,
): Outputs {
  const timer = { name: 'credit' };
  if (after.endAt !== null)
    return before.endAt === null && before.customer !== null ? [{ type: 'disarm', params: timer }] : [];
  const outputs: Outputs = [];
  if (before.customer === null && after.customer !== null)
    outputs.push({ type: 'arm', params: { ...timer, dueAt: now + creditAnswerMs } });
  const lacks = (s: SessionState) => withoutCredit.some((flag) => s.flags.includes(flag));
  if (lacks(after) && !lacks(before)) {
    const body: CommandRequestBody = {
      charger: after.charger,
      requestedBy: systemRequester,
      kind: 'session.requestStop',
      arguments: { transaction: after.transaction },
    };
    const to = deviceCommandAddress(self.key, `credit-${after.transaction}`);
    outputs.push({ type: 'send', params: { to, type: 'command.request', body: { ...body } } });
  }
  if (type === 'credit.answered') outputs.push({ type: 'disarm', params: timer });
  return outputs;
}

function observedBy(
  before: SessionState,
  after: SessionState,
  site: string,
  commands: readonly KnownCommand[],
): Outputs {
  if (commands.length === 0) return [];
  const ended = before.endedAt === null && after.endedAt !== null;
  // Where and whose it is, and what it answers to, a charger of OCPP 2.x may tell after its start.
  const identified =
    before.startedAt === 0 ||
    before.tag !== after.tag ||
    before.connector !== after.connector ||
    before.remoteStartId !== after.remoteStartId;
  return commands
    .filter(
      ({ id, value, state }) =>
        isOpen(value) && ((ended && isStopOf(state, after)) || (identified && isStartOf(id, state, after))),
    )
    .map((known) => tell(site, known, 'command.observed'));
}

const isStopOf = (command: KnownCommand['state'], { transaction }: SessionState): boolean =>
  argumentsOf(command, 'session.requestStop')?.transaction === transaction;

/** By the number that the charger gives back, else by connector and tag, and not long before it was asked for. */
function isStartOf(id: string, command: KnownCommand['state'], session: SessionState): boolean {
  const wanted = argumentsOf(command, 'session.requestStart');
  if (!wanted) return false;
  if (session.remoteStartId !== null) return session.remoteStartId === remoteStartIdOf(id);
  if (session.startAt < command.requestedAt - startSlackMs) return false;
  return wanted.connector === session.connector && foldName(wanted.tag) === foldName(session.tag);
}

/** Nobody has said whether there is money for it. */
export const creditUnanswered = (session: SessionState): Decision<SessionState> =>
  session.flags.includes('unfunded')
    ? {}
    : { context: { ...session, flags: withFlags(session.flags, 'credit_unanswered') } };
