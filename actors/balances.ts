/**
 * What belongs to whom: the engine adds it up before and after every record and commits none that makes or loses anything.
 * Only customers, their positions and the system accounts own; what an order or a session holds is part of its customer's
 * `pending`.
 */
import type { Amounts, Command, Stored } from './actor.ts';
import { symbolOf } from './instrument.ts';
import { shareLedger } from './ledger.ts';
import type { AccountState, CustomerState } from './schema/customer_entities.ts';
import type { EnergyMeteredBody, StationDeliverBody } from './schema/customer_internal.ts';
import type { PositionState } from './schema/trading.ts';

/** The account, one per partition and ledger, through which value leaves for other partitions. */
export const transitAccount = 'transit';

const accountOf = ({ context }: Stored) => context as unknown as AccountState;

/** All that an entity owns, by ledger; null for kinds that own nothing. */
export function balances(kind: string, stored: Stored): Amounts | null {
  if (kind === 'account') {
    const { ledger, balance } = accountOf(stored);
    return [[ledger, balance]];
  }
  if (kind === 'customer') {
    const { sek, wh, reservedE5Sek, reservedWh } = stored.context as unknown as CustomerState;
    return [
      ['SEK', sek.available + sek.pending + reservedE5Sek],
      ['Wh', wh.available + wh.pending + reservedWh],
    ];
  }
  if (kind === 'position') {
    const { instrument, available, pending, reserved } = stored.context as unknown as PositionState;
    const symbol = symbolOf(instrument);
    return symbol === null ? [] : [[shareLedger(symbol), available + pending + reserved]];
  }
  return null;
}

/** What a transit account has sent to other partitions (−) and received from them (+). */
export function transit(kind: string, stored: Stored): Amounts | null {
  if (kind !== 'account') return null;
  const { ledger, name, balance } = accountOf(stored);
  return name === transitAccount ? [[ledger, balance]] : null;
}

/** What a relay brings with it: energy of an order (+ to the customer, whose battery has it already), or of a session. */
export function carried({ type, body }: Command): Amounts | null {
  switch (type) {
    case 'station.deliver':
      return [['Wh', (body as StationDeliverBody).energyWh]];
    case 'energy.metered':
      return (body as EnergyMeteredBody).parts.map(({ energyWh }) => ['Wh', -energyWh + 0] as const);
    default:
      return null;
  }
}
