/**
 * Which socket speaks for the charger. The newest connection wins; a lost one is mourned for 15 s before the charger counts
 * as offline. Sockets never touch a session.
 */
import type { Static } from 'typebox';
import type { ActorEvent, Decision, Effect, PartitionView } from './actor.ts';
import { gatewayAddress } from './addresses.ts';
import { chargerEvent, reply, type Outputs } from './machine.ts';
import type { ChargerAlive, ChargerConnectedBody, ChargerDisconnected, ConnectedReply } from './schema/commands.ts';
import type { ChargerState } from './schema/entities.ts';
import type { ChargerLost } from './schema/internal.ts';

export const offlineGraceMs = 15_000;
/** Close code for a socket that a newer one replaced. */
const replacedCode = 4001;

export interface ConnectFacts {
  partition: number;
  gatewayAlive: boolean;
}

export const connectFacts = (view: PartitionView, body: ChargerConnectedBody): ConnectFacts => ({
  partition: view.partition,
  gatewayAlive: view.get('gateway', body.gateway)?.value === 'alive',
});

type Connection = NonNullable<ChargerState['connection']>;

/** Stable per connection, so that delivering it twice closes one socket once. */
const close = (charger: string, seq: number, { gateway, connection }: Connection): Outputs[number] => {
  const effect: Effect = {
    id: `close/${charger}/${seq}`,
    target: gateway,
    kind: 'connection.close',
    body: { charger, connection, code: replacedCode },
  };
  return { type: 'effect', params: effect };
};

export const connected =
  (registration: ConnectedReply['registration']) =>
  (
    charger: ChargerState,
    { self, now, body, facts }: ActorEvent<ChargerConnectedBody, ConnectFacts>,
  ): Decision<ChargerState> => {
    const before = charger.connection;
    if (before?.gateway === body.gateway && before.connection === body.connection) {
      return { outputs: [reply({ connectionSeq: charger.connectionSeq, registration })] };
    }
    const connectionSeq = charger.connectionSeq + 1;
    const outputs: Outputs = [
      reply({ connectionSeq, registration }),
      { type: 'disarm', params: { name: 'offline' } },
      chargerEvent(self.id, 'connected', null, now, now, {
        connectionSeq,
        protocol: body.protocol,
        remote: body.remote,
        gateway: body.gateway,
      }),
    ];
    if (before) outputs.push(close(self.id, charger.connectionSeq, before));
    // A gateway that dies before its first sign of life must be missed too.
    if (!facts.gatewayAlive) {
      outputs.push({
        type: 'send',
        params: {
          to: gatewayAddress(facts.partition, body.gateway),
          type: 'gateway.alive',
          body: { gateway: body.gateway, ...(body.holdsMs !== undefined && { holdsMs: body.holdsMs }) },
        },
      });
    }
    const connection = { gateway: body.gateway, connection: body.connection, protocol: body.protocol, since: now };
    return { context: { ...charger, connectionSeq, connection, online: true, lastHeardAt: now }, outputs };
  };

const gone = (charger: ChargerState, now: number, outputs: Outputs): Decision<ChargerState> => ({
  context: { ...charger, connection: null },
  outputs: [...outputs, { type: 'arm', params: { name: 'offline', dueAt: now + offlineGraceMs } }],
});

/** A socket that was replaced before closes late: nothing to mourn. */
export const disconnected = (
  charger: ChargerState,
  { now, body }: ActorEvent<Static<typeof ChargerDisconnected>>,
): Decision<ChargerState> =>
  charger.connection?.gateway === body.gateway && charger.connection.connection === body.connection
    ? gone(charger, now, [])
    : {};

/** The gateway fell silent. Should it still live (it was only paused), it is told to close the socket, so that the charger comes back. */
export const lost = (
  charger: ChargerState,
  { self, now, body }: ActorEvent<Static<typeof ChargerLost>>,
): Decision<ChargerState> =>
  charger.connection?.gateway === body.gateway
    ? gone(charger, now, [close(self.id, charger.connectionSeq, charger.connection)])
    : {};

export const offline = (charger: ChargerState, { self, now }: ActorEvent): Decision<ChargerState> =>
  charger.connection !== null || !charger.online
    ? {}
    : {
        context: { ...charger, online: false },
        outputs: [
          chargerEvent(self.id, 'offline', null, now, now, {
            connectionSeq: charger.connectionSeq,
            lastHeardAt: charger.lastHeardAt,
          }),
        ],
      };

export const alive = (
  charger: ChargerState,
  { now, body }: ActorEvent<Static<typeof ChargerAlive>>,
): Decision<ChargerState> =>
  body.connectionSeq < charger.connectionSeq ? {} : { context: { ...charger, lastHeardAt: now } };
