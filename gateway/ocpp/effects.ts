/**
 * What committed decisions ask this gateway to do. Effects may come twice; closing a closed socket is nothing, and a command
 * is written once.
 */
import type { NatsConnection } from '@nats-io/transport-node';
import Type from 'typebox';
import { Compile } from 'typebox/compile';
import { packr } from '#engine/wire';
import type { Effect } from '#actors/actor';
import { deviceCommandKinds } from '#actors/schema/device_commands';
import type { DeviceCalls } from './device_calls.ts';
import type { Log } from './door.ts';
import { superseded, type Registry } from './registry.ts';

/** An engine of another build may send what this gateway does not understand. */
const Write = Compile(
  Type.Object({
    site: Type.String(),
    charger: Type.String(),
    connection: Type.String(),
    connectionSeq: Type.Integer(),
    command: Type.String(),
    call: Type.Enum(['act', 'read']),
    release: Type.Integer({ minimum: 1 }),
    kind: Type.Enum(deviceCommandKinds),
    arguments: Type.Record(Type.String(), Type.Unknown()),
    expiresAt: Type.Integer(),
    answerMs: Type.Integer({ minimum: 1, maximum: 3_600_000 }),
    transactionId: Type.Union([Type.String(), Type.Null()]),
  }),
);

export interface EffectTargets {
  registry: Registry;
  calls: Pick<DeviceCalls, 'release'>;
}

export function followEffects(
  nats: NatsConnection,
  gatewayId: string,
  { registry, calls }: EffectTargets,
  log: Log,
): { stop(): void } {
  const subscription = nats.subscribe(`effect.${gatewayId}`, {
    callback: (error, message) => {
      if (error) return log.error({ error }, 'effects cannot be followed');
      try {
        const { kind, body } = packr.unpack(message.data) as Effect;
        if (kind === 'connection.close') {
          const { connection, code } = body;
          if (typeof connection !== 'string') return;
          registry.find(connection)?.close(typeof code === 'number' ? code : superseded, 'superseded');
        } else if (kind === 'command.write' && Write.Check(body)) {
          calls.release(body);
        } else log.warn({ kind }, 'unknown effect');
      } catch (cause) {
        log.error({ cause }, 'unusable effect');
      }
    },
  });
  return { stop: () => subscription.unsubscribe() };
}
