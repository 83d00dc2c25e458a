/** What committed decisions ask this gateway to do. Effects may come twice; closing a closed socket is nothing. */
import type { NatsConnection } from '@nats-io/transport-node';
import { packr } from '#engine/wire';
import type { Effect } from '#actors/actor';
import type { Log } from './door.ts';
import { superseded, type Registry } from './registry.ts';

export function followEffects(nats: NatsConnection, gatewayId: string, registry: Registry, log: Log): { stop(): void } {
  const subscription = nats.subscribe(`effect.${gatewayId}`, {
    callback: (error, message) => {
      if (error) return log.error({ error }, 'effects cannot be followed');
      let effect: Effect;
      try {
        effect = packr.unpack(message.data) as Effect;
      } catch (cause) {
        return log.error({ cause }, 'unreadable effect');
      }
      if (effect.kind !== 'connection.close') return log.warn({ kind: effect.kind }, 'unknown effect');
      const { connection, code } = effect.body;
      if (typeof connection !== 'string') return;
      registry.find(connection)?.close(typeof code === 'number' ? code : superseded, 'superseded');
    },
  });
  return { stop: () => subscription.unsubscribe() };
}
