/** How a charger becomes known: registered by an admin, confirmed by its name, accepted when it boots. */
import type { Static } from 'typebox';
import type { ActorEvent, Decision, PartitionView, Stored } from './actor.ts';
import { nameAddress } from './addresses.ts';
import { answerTo, decidedOf, remember } from './decided.ts';
import { newConnector } from './load.ts';
import { chargerEvent, reply } from './machine.ts';
import type { BootedReply, ChargerBooted, ChargerRegister } from './schema/commands.ts';
import type { ChargerState, DecidedState, StationState } from './schema/entities.ts';
import type { NameGranted } from './schema/internal.ts';

type RegisterBody = Static<typeof ChargerRegister>;
export interface RegisterFacts {
  siteKnown: boolean;
  stationSite: string | null;
}

export const registerFacts = (view: PartitionView, body: RegisterBody): RegisterFacts => {
  const station: Stored<StationState> | undefined = view.get('station', body.station);
  return { siteKnown: view.get('site', body.site) !== undefined, stationSite: station?.context.site ?? null };
};

export function register(
  charger: ChargerState,
  { self, now, body, facts }: ActorEvent<RegisterBody, RegisterFacts>,
): Decision<ChargerState> {
  if (!facts.siteKnown || self.key !== body.site) return { refuse: 'unknown_site', detail: { site: body.site } };
  if (facts.stationSite !== body.site) return { refuse: 'unknown_station', detail: { station: body.station } };
  const { connectors, ...rest } = body;
  return {
    context: { ...charger, ...rest, createdAt: now, connectors: Array.from({ length: connectors }, newConnector) },
    outputs: [
      { type: 'send', params: { to: nameAddress('identity', self.id), type: 'name.claim', body: { owner: self } } },
      reply({ charger: self.id }),
    ],
  };
}

/** A charger may have shown more connectors since than it was registered with. */
export function registerAgain(charger: ChargerState, { self, body }: ActorEvent<RegisterBody>): Decision<ChargerState> {
  const same =
    charger.site === body.site &&
    charger.station === body.station &&
    charger.ratedW === body.ratedW &&
    charger.securityProfile === body.securityProfile &&
    charger.passwordHash === body.passwordHash &&
    charger.connectors.length >= body.connectors;
  return same ? { outputs: [reply({ charger: self.id })] } : { refuse: 'already_exists', detail: { charger: self.id } };
}

export const confirmName = (
  _charger: ChargerState,
  { self, body }: ActorEvent<Static<typeof NameGranted>>,
): Decision<ChargerState> => ({
  outputs: [
    {
      type: 'send',
      params: { to: { kind: 'name', key: body.name, id: body.name }, type: 'name.confirm', body: { owner: self } },
    },
  ],
});

const heartbeatS = 300;
/** While it may not work yet it asks again soon. */
const retryS = 30;

/** ± 10 % by the identity, so that chargers that boot together do not beat together. */
export function intervalOf(identity: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < identity.length; i++) hash = Math.imul(hash ^ identity.charCodeAt(i), 0x01000193);
  return heartbeatS - heartbeatS / 10 + ((hash >>> 0) % (heartbeatS / 5 + 1));
}

export const booted =
  (status: BootedReply['status']) =>
  (
    charger: ChargerState,
    { self, now, body, facts }: ActorEvent<Static<typeof ChargerBooted>, DecidedState>,
  ): Decision<ChargerState> => {
    const known = answerTo(facts, body.key);
    if (known !== undefined) return { outputs: [reply(known)] };
    const answer: BootedReply = { status, intervalS: status === 'Accepted' ? intervalOf(self.id) : retryS };
    const { vendor, model, serial, firmware } = body;
    return {
      context: { ...charger, vendor, model, serial, firmware, bootedAt: now, lastHeardAt: now },
      outputs: [
        reply(answer),
        remember(self.id, facts, body.key, answer),
        chargerEvent(self.id, 'booted', null, now, now, {
          vendor,
          model,
          serial,
          firmware,
          status,
          repairs: body.repairs,
        }),
      ],
    };
  };

export const bootFacts = (view: PartitionView, charger: string): DecidedState => decidedOf(view, charger);
