/** What a charger reports besides energy: status of its connectors, tags held to its reader, its vendor's messages. */
import type { Static } from 'typebox';
import type { ActorEvent, Decision, PartitionView, Stored } from './actor.ts';
import { foldName } from './addresses.ts';
import { answerTo, decidedOf, remember, saw } from './decided.ts';
import { newConnector } from './load.ts';
import { chargerEvent, reply } from './machine.ts';
import type { ChargerReportedBody, ConnectorStatusBody, TokenPresented, VendorMessage } from './schema/commands.ts';
import type { ChargerState, ConnectorState, DecidedState, TagEntryState } from './schema/entities.ts';
import { tokenOf } from './tag.ts';

export const connectorsMax = 64;

/** The charger with its connector n changed; connectors it never told of before are added, beyond the bound ignored. */
export function withConnector(
  charger: ChargerState,
  n: number,
  change: (connector: ConnectorState) => ConnectorState,
): ChargerState {
  if (n < 1 || n > connectorsMax) return charger;
  const connectors = charger.connectors.slice();
  while (connectors.length < n) connectors.push(newConnector());
  connectors[n - 1] = change(connectors[n - 1]!);
  return { ...charger, connectors };
}

export const tagEntry = (view: PartitionView, tag: string): TagEntryState | null => {
  const stored: Stored<TagEntryState> | undefined = view.get('tag', foldName(tag));
  return stored?.context ?? null;
};

/** The newest time wins; an older report is an event of the past and changes nothing. */
export function statusReported(
  charger: ChargerState,
  { self, now, body, facts }: ActorEvent<ConnectorStatusBody, DecidedState>,
): Decision<ChargerState> {
  if (facts.seen.includes(body.key)) return {};
  const { status, errorCode, info, vendorErrorCode, clock, repairs } = body;
  const heard = { ...charger, lastHeardAt: now };
  return {
    context: withConnector(heard, body.connector, (connector) =>
      body.at >= connector.statusAt ? { ...connector, status, errorCode, statusAt: body.at } : connector,
    ),
    outputs: [
      saw(self.id, facts, body.key),
      chargerEvent(self.id, 'status', body.connector, body.at, now, {
        status,
        errorCode,
        info,
        vendorErrorCode,
        clock,
        repairs,
      }),
    ],
  };
}

export interface TokenFacts {
  decided: DecidedState;
  entry: TagEntryState | null;
}
export const tokenFacts = (view: PartitionView, charger: string, tag: string): TokenFacts => ({
  decided: decidedOf(view, charger),
  entry: tagEntry(view, tag),
});

export function tokenPresented(
  charger: ChargerState,
  { self, now, body, facts }: ActorEvent<Static<typeof TokenPresented>, TokenFacts>,
): Decision<ChargerState> {
  const known = answerTo(facts.decided, body.key);
  if (known !== undefined) return { outputs: [reply(known)] };
  const answer = tokenOf(facts.entry, now);
  return {
    context: { ...charger, lastHeardAt: now },
    outputs: [reply(answer), remember(self.id, facts.decided, body.key, answer)],
  };
}

export function vendorMessage(
  charger: ChargerState,
  { self, now, body, facts }: ActorEvent<Static<typeof VendorMessage>, DecidedState>,
): Decision<ChargerState> {
  if (facts.seen.includes(body.key)) return {};
  const { vendor, message, data } = body;
  return {
    context: { ...charger, lastHeardAt: now },
    outputs: [
      saw(self.id, facts, body.key),
      chargerEvent(self.id, 'event', null, now, now, { reason: 'vendor_message', vendor, message, data }),
    ],
  };
}

/** A report about the device itself: an event, nothing is decided from it. */
export function reported(
  charger: ChargerState,
  { self, now, body, facts }: ActorEvent<ChargerReportedBody, DecidedState>,
): Decision<ChargerState> {
  if (facts.seen.includes(body.key)) return {};
  const { at, clock, report, detail } = body;
  return {
    context: { ...charger, lastHeardAt: now },
    outputs: [
      saw(self.id, facts, body.key),
      chargerEvent(self.id, 'event', null, at, now, { ...detail, reason: report, clock }),
    ],
  };
}
