/** Icon, colour and order of what a connector can be. The word is in the dictionary. */
import type { Connector } from '#gateway/schema/mod';

export type Shape = 'full' | 'empty' | 'quarter' | 'half' | 'bolt' | 'pause' | 'diamond' | 'cross' | 'dash';

interface Look {
  shape: Shape;
  /** Name of a CSS variable. */
  colour: string;
}

/** In the order in which filters show them. */
export const looks: Record<string, Look> = {
  Charging: { shape: 'bolt', colour: '--accent' },
  // OCPP 2.0.1 says only that a connector is in use; what the car does comes with the transaction.
  Occupied: { shape: 'half', colour: '--accent' },
  EVConnected: { shape: 'quarter', colour: '--text' },
  Idle: { shape: 'pause', colour: '--muted' },
  Preparing: { shape: 'quarter', colour: '--text' },
  SuspendedEV: { shape: 'pause', colour: '--health-warn' },
  SuspendedEVSE: { shape: 'pause', colour: '--health-warn' },
  Finishing: { shape: 'half', colour: '--text' },
  Available: { shape: 'full', colour: '--health-ok' },
  Reserved: { shape: 'diamond', colour: '--reserved' },
  Unavailable: { shape: 'empty', colour: '--muted' },
  Faulted: { shape: 'cross', colour: '--health-fault' },
  Offline: { shape: 'empty', colour: '--health-offline' },
  Unknown: { shape: 'dash', colour: '--muted' },
};

export const lookOf = (word: string): Look => looks[word] ?? { shape: 'dash', colour: '--muted' };

/**
 * What it is to people. A charger that is away cannot tell what its connectors do; OCPP 2.0.1 says only that one is in
 * use, and one that draws power in a session charges.
 */
export function wordOf({ online, status, transaction, w }: Connector): string {
  if (!online) return 'Offline';
  if (status === 'Occupied' && transaction !== null && w > 0) return 'Charging';
  return status === '' ? 'Unknown' : status;
}

/** Older than three intervals: the meter is silent. */
export function isSilent({ at, intervalMs, transaction }: Connector, now: number): boolean {
  return transaction !== null && at !== null && intervalMs !== null && now - at > 3 * intervalMs;
}

/** Somebody has to look at it, or go there. */
const troubled: readonly string[] = ['Faulted', 'Offline', 'Unavailable', 'Unknown'];
export const attention = 'attention';

/** `state`: '' for all, `attention`, or the word itself. */
export const isInState = (connector: Connector, state: string): boolean =>
  state === '' || (state === attention ? troubled.includes(wordOf(connector)) : wordOf(connector) === state);
