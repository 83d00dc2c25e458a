/** Commands to chargers as screens see them. */
import { commandView } from '#actors/device_command_rules';
import type { DeviceCommandState, DeviceCommandValue, DeviceCommandView } from '#actors/schema/device_commands';
import type { GridEntity } from './grid.ts';

/** The newest of a charger that its live topic holds; all that are kept are on the API. */
export const liveCommandsMax = 50;

export const deviceCommandView = ({ id, value, context }: GridEntity<DeviceCommandState>): DeviceCommandView =>
  commandView(id, value as DeviceCommandValue, context);

/** Newest first. */
export const byRequest = (a: GridEntity<DeviceCommandState>, b: GridEntity<DeviceCommandState>): number =>
  b.context.requestedAt - a.context.requestedAt || (a.id < b.id ? 1 : -1);
