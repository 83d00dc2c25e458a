/** Energy that leaves the inventory of a station: two legs in Wh, posted in the partition of its site. */
import { accountAddress } from './addresses.ts';
import { wh } from './ledger.ts';
import type { Outputs } from './machine.ts';
import type { Ledger } from './schema/events.ts';
import { subject } from './schema/subjects.ts';

const inventoryOf = (station: string): string => `station:${station}:inventory`;
export const unassignedOf = (station: string): string => `station:${station}:unassigned`;

/**
 * Posts `energyWh` from the inventory to `account`, back where it is negative. The other half of what goes to `transit` is
 * posted by whoever gets it, under the same batch id.
 */
export function fromInventory(
  station: string,
  account: string,
  energyWh: number,
  { partition, ...batch }: Pick<Ledger, 'batch' | 'kind' | 'cause' | 'at'> & { partition: number },
): Outputs {
  if (energyWh === 0) return [];
  const legs = [wh(inventoryOf(station), -energyWh), wh(account, energyWh)];
  const posts = legs.map(({ ledger, account: name, amount }): Outputs[number] => ({
    type: 'send',
    params: {
      to: accountAddress(partition, ledger, name),
      type: 'account.post',
      body: { ledger, name, amount },
    },
  }));
  const payload: Ledger = { customer: null, ...batch, legs: legs.map((leg) => ({ ...leg, balance: null })) };
  return [...posts, { type: 'emit', params: { kind: 'ledger', subject: subject.ledger(null), payload } }];
}
