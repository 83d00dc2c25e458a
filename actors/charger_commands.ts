/**
 * A charger and the commands that are for it. It gives them its wire one after the other, and tells them what it sees: that
 * a connection is gone, that it has restarted. Of sessions they hear from these themselves.
 */
import type { ActorEvent, Decision, PartitionView } from './actor.ts';
import { deviceCommandAddress } from './addresses.ts';
import { argumentsOf, isOpen, nextCommand, openCommands, type KnownCommand } from './device_command_rules.ts';
import type { Outputs } from './machine.ts';
import type {
  ChargerBooted,
  ChargerConnectedBody,
  ChargerDisconnected,
  ConnectorStatusBody,
} from './schema/commands.ts';
import type { CommandReleaseBody, CommandSeveredBody } from './schema/device_commands.ts';
import type { ChargerState } from './schema/entities.ts';
import type { Static } from 'typebox';

/** After a new connection the charger speaks first: it may have to boot. */
const afterConnectMs = 2_000;
/** The answer to its boot goes first. */
const afterBootMs = 500;

export interface WithCommands<Own> {
  own: Own;
  commands: KnownCommand[];
}
export const withCommands = <Own>(view: PartitionView, charger: string, own: Own): WithCommands<Own> => ({
  own,
  commands: openCommands(view, charger),
});

type Rule<Body, Facts> = (charger: ChargerState, event: ActorEvent<Body, Facts>) => Decision<ChargerState>;
type Heard<Body> = (
  commands: readonly KnownCommand[],
  event: ActorEvent<Body, unknown>,
  before: ChargerState,
  after: ChargerState,
) => Outputs;

/** A rule of the charger, and what its commands hear of it. */
export const heardBy =
  <Body, Own>(rule: Rule<Body, Own>, heard: Heard<Body>): Rule<Body, WithCommands<Own>> =>
  (charger, event) => {
    const { own, commands } = event.facts;
    const decision = rule(charger, { ...event, facts: own });
    if (commands.length === 0 || decision.refuse !== undefined) return decision;
    const outputs = heard(commands, event, charger, decision.context ?? charger);
    return outputs.length === 0 ? decision : { ...decision, outputs: [...(decision.outputs ?? []), ...outputs] };
  };

/** Something that a command hears of. */
export const tell = (
  site: string,
  { id }: KnownCommand,
  type: string,
  body: Record<string, unknown> = {},
): Outputs[number] => ({
  type: 'send',
  params: { to: deviceCommandAddress(site, id), type, body },
});

const dispatchAt = (dueAt: number): Outputs[number] => ({ type: 'arm', params: { name: 'commands', dueAt } });

/** When commands may go out by the charger's connection; null: it has none. */
function readyAt({ connection, bootedAt }: ChargerState): number | null {
  if (connection === null) return null;
  return bootedAt !== null && bootedAt >= connection.since ? bootedAt + afterBootMs : connection.since + afterConnectMs;
}

/** The wire is given to whoever is next; without a connection everybody waits. */
export function dispatch(
  charger: ChargerState,
  { self, now, facts }: ActorEvent<Record<string, unknown>, WithCommands<null>>,
): Decision<ChargerState> {
  const { connection, connectionSeq } = charger;
  const next = nextCommand(facts.commands, now);
  const ready = readyAt(charger);
  if (connection === null || ready === null || next === null) return {};
  if (now < ready) return { outputs: [dispatchAt(ready)] };
  const body: CommandReleaseBody = { gateway: connection.gateway, connection: connection.connection, connectionSeq };
  return { outputs: [tell(self.key, next, 'command.release', body)] };
}

const severedFrom = (
  commands: readonly KnownCommand[],
  site: string,
  connectionSeq: number,
  certain: boolean,
): Outputs => {
  const body: CommandSeveredBody = { connectionSeq, certain };
  return commands.filter(({ state }) => state.call !== null).map((known) => tell(site, known, 'command.severed', body));
};

/** Without a goodbye from the gateway that held the older connection, it may have written what it had not reported. */
export const reconnected: Heard<ChargerConnectedBody> = (commands, { self }, before, after) => {
  if (after.connectionSeq === before.connectionSeq) return [];
  const cut = before.connection === null ? [] : severedFrom(commands, self.key, before.connectionSeq, false);
  return [...cut, dispatchAt(readyAt(after)!)];
};

/** The gateway's reports came before its goodbye, so what it has not reported as written it has not written. */
export const hungUp: Heard<Static<typeof ChargerDisconnected>> = (commands, { self }, before, after) =>
  before.connection !== null && after.connection === null
    ? severedFrom(commands, self.key, before.connectionSeq, true)
    : [];

export const vanished: Heard<unknown> = (commands, { self }, before, after) =>
  before.connection !== null && after.connection === null
    ? severedFrom(commands, self.key, before.connectionSeq, false)
    : [];

/** A restart shows itself by a boot over a newer connection than the one that the command went by. */
export const restarted: Heard<Static<typeof ChargerBooted>> = (commands, { self, body }, _before, after) => [
  ...commands
    .filter(({ value, state }) => isOpen(value) && value !== 'queued' && state.connectionSeq < body.connectionSeq)
    .filter(({ state }) => state.kind === 'charger.reset' || state.kind === 'config.set')
    .map((known) => tell(self.key, known, 'command.observed')),
  dispatchAt(readyAt(after) ?? after.lastHeardAt),
];

/** A connector that is available after a reconnection has started nothing. */
export const seenIdle: Heard<ConnectorStatusBody> = (commands, { self, body }) => {
  if (body.status !== 'Available') return [];
  return commands
    .filter(({ value, state }) => value === 'unknown' && state.connectionSeq < body.connectionSeq)
    .filter(({ state }) => argumentsOf(state, 'session.requestStart')?.connector === body.connector)
    .map((known) => tell(self.key, known, 'command.unmet'));
};
