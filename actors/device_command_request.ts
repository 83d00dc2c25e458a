/** Taking in a command to a charger: what must be true of it, what it takes the place of. */
import type { ActorEvent, Decision, PartitionView, Stored } from './actor.ts';
import { deviceCommandAddress } from './addresses.ts';
import { tagEntry } from './charger_messages.ts';
import {
  coalescingKey,
  commandView,
  isOpen,
  keptAtLeastMs,
  keptMax,
  kindRules,
  openCommands,
  openMax,
  orderOf,
  type KnownCommand,
} from './device_command_rules.ts';
import { arm, stateEvent, toCharger } from './device_command_step.ts';
import type { DomainIndex } from './domain_index.ts';
import { reply, type Outputs } from './machine.ts';
import {
  systemRequester,
  type CommandRequestBody,
  type DeviceCommandState,
  type DeviceCommandValue,
} from './schema/device_commands.ts';
import type { ChargerState, SessionState } from './schema/entities.ts';
import { tokenOf } from './tag.ts';

interface RequestFacts {
  charger: { site: string; connectors: number } | null;
  /** Of the transaction that is to be stopped. */
  session: Pick<SessionState, 'charger' | 'endAt'> | null;
  /** Of the tag that is to be started with. */
  tagStatus: string;
  open: KnownCommand[];
  /** Ended ones that are kept, oldest first. */
  ended: { id: string; endedAt: number }[];
}

export function requestFacts(view: PartitionView, body: CommandRequestBody): RequestFacts {
  const charger: Stored<ChargerState> | undefined = view.get('charger', body.charger);
  const transaction = body.kind === 'session.requestStop' ? body.arguments.transaction : null;
  const session = transaction === null ? null : view.get<SessionState>('session', String(transaction))?.context;
  const entry = body.kind === 'session.requestStart' ? tagEntry(view, body.arguments.tag) : null;
  return {
    charger: charger ? { site: charger.context.site, connectors: charger.context.connectors.length } : null,
    session: session ? { charger: session.charger, endAt: session.endAt } : null,
    tagStatus: tokenOf(entry, view.now).status,
    open: openCommands(view, body.charger),
    ended: [...(view.index as DomainIndex).endedCommandsOf(body.charger)]
      .map((id) => ({ id, endedAt: view.get<DeviceCommandState>('device_command', id)?.context.endedAt ?? 0 }))
      .sort((a, b) => a.endedAt - b.endedAt || (a.id < b.id ? -1 : 1)),
  };
}

/** What speaks against it; null: nothing. What only the charger can know is left to its answer. */
function refusal(body: CommandRequestBody, facts: RequestFacts, site: string, now: number) {
  const { charger, session } = facts;
  if (charger === null || charger.site !== site)
    return { refuse: 'unknown_charger', detail: { charger: body.charger } } as const;
  if (body.kind === 'session.requestStart') {
    const { connector, tag } = body.arguments;
    if (connector > charger.connectors)
      return { refuse: 'unknown_connector', detail: { charger: body.charger, connector } } as const;
    if (facts.tagStatus !== 'Accepted')
      return { refuse: 'tag_not_accepted', detail: { tag, status: facts.tagStatus } } as const;
  }
  if (body.kind === 'session.requestStop') {
    const { transaction } = body.arguments;
    if (session === null) return { refuse: 'unknown_session', detail: { transaction } } as const;
    if (session.charger !== body.charger)
      return { refuse: 'other_charger', detail: { transaction, charger: session.charger } } as const;
    if (session.endAt !== null)
      return { refuse: 'session_ended', detail: { transaction, endAt: session.endAt } } as const;
  }
  if (body.requestedBy === systemRequester) return null;
  const recent = facts.ended.filter(({ endedAt }) => now - endedAt < keptAtLeastMs).length;
  if (facts.open.length >= openMax || recent >= keptMax)
    return { refuse: 'too_many_device_commands', detail: { open: facts.open.length, ended: recent } } as const;
  return null;
}

export function request(
  blank: DeviceCommandState,
  event: ActorEvent<CommandRequestBody, RequestFacts>,
): Decision<DeviceCommandState> {
  const { self, now, body, facts } = event;
  const refused = refusal(body, facts, self.key, now);
  if (refused) return refused;
  const { charger, kind, arguments: args, requestedBy } = body;
  const expiresAt = now + kindRules[kind].ttlMs;
  const command: DeviceCommandState = {
    ...blank,
    charger,
    kind,
    arguments: args,
    requestedBy,
    requestedAt: now,
    expiresAt,
  };
  const outputs: Outputs = [
    reply(commandView(self.id, 'queued', command)),
    stateEvent(event, 'queued', command),
    arm('expire', expiresAt + 1),
  ];
  const key = coalescingKey(body);
  for (const { id, value, state } of facts.open) {
    if (!isOpen(value) || coalescingKey(orderOf(state)) !== key) continue;
    const to = deviceCommandAddress(self.key, id);
    outputs.push({ type: 'send', params: { to, type: 'command.supersede', body: {} } });
  }
  // Room for its own result, of what no retry asks for any more.
  for (const { id, endedAt } of facts.ended.slice(0, Math.max(0, facts.ended.length + 1 - keptMax))) {
    if (now - endedAt >= keptAtLeastMs) outputs.push({ type: 'drop', params: { kind: 'device_command', id } });
  }
  outputs.push(toCharger(self.key, charger));
  return { context: command, outputs };
}

/** The same request again is answered as it stands now; the id stands for nothing else. */
export const requestAgain =
  (value: DeviceCommandValue) =>
  (command: DeviceCommandState, { self, body }: ActorEvent<CommandRequestBody>): Decision<DeviceCommandState> => {
    const same =
      command.charger === body.charger &&
      command.kind === body.kind &&
      command.requestedBy === body.requestedBy &&
      coalescingKey(orderOf(command)) === coalescingKey(body) &&
      sameArguments(command.arguments as Record<string, unknown>, body.arguments);
    if (!same) return { refuse: 'id_conflict', detail: { id: self.id } };
    return { outputs: [reply(commandView(self.id, value, command))] };
  };

/** Arguments are flat; of lists the key says enough. */
const sameArguments = (a: Record<string, unknown>, b: Record<string, unknown>): boolean =>
  Object.entries(a).every(([name, value]) => Array.isArray(value) || value === b[name]);
