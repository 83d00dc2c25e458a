/** A gateway on a free port with a log in memory and three registered chargers. */
import { onTestFinished } from 'vitest';
import { hmacVerifier } from '../password.ts';
import { startOcpp, type OcppDoor, type OcppOptions } from '../server.ts';
import type { Resolved } from '../upgrades.ts';
import { MemoryDoor } from './door.ts';
import { openCharger, type ConnectOptions, type RawCharger } from './charger.ts';

export const pepper = Buffer.from('a pepper of this installation');
export const password = Buffer.from('0123456789abcdef:é', 'latin1');

/** `CP-1` … `CP-9` without a password, `SEC-1` with Basic, `TLS-1` with profile 2. */
export function registered(identityFolded: string): Resolved | null {
  const charger = { site: 'demo', station: 'nord-1', profile0Networks: ['127.0.0.0/8', '::1'], passwordHash: '' };
  if (/^cp-\d+$/.test(identityFolded)) return { ...charger, charger: identityFolded.toUpperCase(), securityProfile: 0 };
  if (identityFolded === 'sec-1') {
    return { ...charger, charger: 'SEC-1', securityProfile: 1, passwordHash: hmacVerifier(password, pepper) };
  }
  if (identityFolded === 'tls-1') return { ...charger, charger: 'TLS-1', securityProfile: 2 };
  return null;
}

export interface TestGateway {
  gateway: OcppDoor;
  door: MemoryDoor;
  port: number;
  /** Opens `/ocpp/<identity>`, closed with the test. */
  open(identity: string, options?: ConnectOptions): Promise<RawCharger>;
}

/** Milliseconds in tests: everything that is waited for is short. */
export const quick = { sweepMs: 10, stopMs: 1_000, refusalFloorMs: 0 };

export async function startGateway(options: Partial<OcppOptions> = {}): Promise<TestGateway> {
  const door = new MemoryDoor();
  const silent = () => undefined;
  const gateway = await startOcpp({
    door,
    gatewayId: 'gw-1',
    bind: '127.0.0.1',
    port: 0,
    pepper,
    log: { info: silent, warn: silent, error: silent },
    resolve: async (identity) => registered(identity),
    ...options,
    limits: { ...quick, ...options.limits },
  });
  const chargers: RawCharger[] = [];
  onTestFinished(async () => {
    for (const charger of chargers) charger.close();
    door.release();
    await gateway.close();
  });
  return {
    gateway,
    door,
    port: gateway.port,
    async open(identity, connectOptions) {
      const charger = await openCharger(gateway.port, `/ocpp/${identity}`, connectOptions);
      chargers.push(charger);
      return charger;
    },
  };
}
