/** Every 5 s: the batteries of customers who are signed in, connected, charging or have energy moving. */
import type { SlotDefinition } from './actor.ts';
import { customerAddress } from './addresses.ts';
import { batterySlotMs } from './customer_battery.ts';
import type { DomainIndex } from './domain_index.ts';

export const batterySlot: SlotDefinition = {
  name: 'battery',
  everyMs: batterySlotMs,
  active: (view) => (view.index as DomainIndex).sampled.size > 0,
  run: (view, slot) =>
    (view.index as DomainIndex).sampled.at(view.now).map((customer) => ({
      to: customerAddress(customer),
      type: 'customer.sample',
      body: { slot },
    })),
};
