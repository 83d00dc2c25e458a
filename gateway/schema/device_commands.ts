/** Commands to chargers: what asks for one, and what is answered. What is shown of one is `DeviceCommand`. */
import Type, { type Static, type TObject } from 'typebox';
import {
  deviceCommandArguments,
  deviceCommandKinds,
  DeviceCommandView,
  type DeviceCommandKind,
  type DeviceOrder,
} from '#actors/schema/device_commands';
import { commandId } from './commands.ts';
import { closed, entityId, ref } from './ref.ts';

export const deviceCommandsLimitMax = 200;

/** Its own form, because it is also the message id on the wire: at most 36 characters. */
const deviceCommandId = Type.String({
  pattern: '^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$',
  description:
    'made by the caller: a UUID. It becomes the message id on the wire; a retry under it is the same command',
  examples: ['0192f3c1-8a5b-7c3d-9e1f-0123456789ab'],
});

const requestOf = (kind: DeviceCommandKind) =>
  Type.Object({ id: deviceCommandId, kind: Type.Literal(kind), ...deviceCommandArguments[kind] }, closed);

/** Each kind by itself, so that what is wrong with a request can be said of its own fields. */
export const deviceCommandRequests = Object.fromEntries(
  deviceCommandKinds.map((kind) => [kind, requestOf(kind)]),
) as unknown as Record<DeviceCommandKind, TObject>;

/** `{ id, kind, …what the kind carries }`. */
export type DeviceCommandRequest = {
  [K in DeviceCommandKind]: { id: string; kind: K } & Extract<DeviceOrder, { kind: K }>['arguments'];
}[DeviceCommandKind];
export const DeviceCommandRequest = Type.Unsafe<DeviceCommandRequest>({
  ...Type.Union(deviceCommandKinds.map(requestOf)),
  $id: 'DeviceCommandRequest',
});

export const DeviceCommandCancel = Type.Object({ id: commandId }, { $id: 'DeviceCommandCancel', ...closed });

export const DeviceCommandsReply = Type.Object(
  { rows: Type.Array(ref(DeviceCommandView), { description: 'newest first' }) },
  { $id: 'DeviceCommandsReply', ...closed },
);
export type DeviceCommandsReply = Static<typeof DeviceCommandsReply>;

export const DeviceCommandsQuery = Type.Object(
  { limit: Type.Optional(Type.Integer({ minimum: 1, maximum: deviceCommandsLimitMax, default: 50 })) },
  closed,
);
export const DeviceCommandParams = Type.Object(
  { id: entityId('the charger'), command: entityId('the command') },
  closed,
);
