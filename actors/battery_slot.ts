/**
 * Every 5 s: the batteries of customers who are signed in, connected, charging or have energy moving. Each partition has its
 * own moment, and none of them falls on a border of price slots, which lies on a whole second: prices wait for nobody.
 */
import { slotBegins, type SlotDefinition } from './actor.ts';
import { customerAddress } from './addresses.ts';
import { batterySlotMs } from './customer_battery.ts';
import type { DomainIndex } from './domain_index.ts';

export const batterySlot: SlotDefinition = {
  name: 'battery',
  everyMs: batterySlotMs,
  phaseMs: (partition, partitions) => Math.trunc(((2 * partition + 1) * batterySlotMs) / (2 * partitions)),
  active: (view) => (view.index as DomainIndex).sampled.any(view.now),
  run: (view, slot) => {
    const at = slotBegins(batterySlot, view, slot);
    return (view.index as DomainIndex).sampled.at(view.now).map((customer) => ({
      to: customerAddress(customer),
      type: 'customer.sample',
      body: { slot, at },
    }));
  },
};
