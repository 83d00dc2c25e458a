/** All shapes of the HTTP API and the live socket. Screens import types from here, never values. */
export * from './refusal.ts';
export * from './sign_in.ts';
export * from './account.ts';
export * from './commands.ts';
export * from './device_commands.ts';
export * from './records.ts';
export * from './history.ts';
export * from './audit.ts';
export * from './grid.ts';
export * from './replies.ts';
export * from './health.ts';
export * from './live.ts';
export { DeviceCommandView } from '#actors/schema/device_commands';
export { Battery, Price, Sample, Tier, Trade } from '#actors/schema/events';
