/** The OCPP edge of a gateway. */
export { startOcpp, type OcppDoor, type OcppOptions, type OcppStats } from './server.ts';
export type { Resolve, Resolved } from './upgrades.ts';
export type { Door, Log } from './door.ts';
export { foldIdentity, identityFromUrl } from './identity.ts';
export { hmacVerifier, scryptVerifier, verifyPassword } from './password.ts';
export { defaultLimits, drivenLimits, limitsForTest, type Limits } from './limits.ts';
export { orderProblem } from './order_problem.ts';
export { openTrace, type MessageTrace, type TraceStats } from './trace.ts';
