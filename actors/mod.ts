/** The domain as the engine and the doors see it. */
import type { Domain, RecordDefinition } from './actor.ts';
import { account } from './account.ts';
import { balances, carried, transit } from './balances.ts';
import { batterySlot } from './battery_slot.ts';
import { board } from './board.ts';
import { charger } from './charger.ts';
import { customer } from './customer.ts';
import { deviceCommand } from './device_command.ts';
import { DomainIndex } from './domain_index.ts';
import { exchange } from './exchange.ts';
import { gateway } from './gateway.ts';
import { letter } from './letter.ts';
import { name } from './name.ts';
import { priceSlot } from './price_slot.ts';
import { roster } from './roster.ts';
import { PriceHourState } from './schema/customer_entities.ts';
import { CounterState, DecidedState, SampleKeysState, StationDrawState, StrayState } from './schema/entities.ts';
import { session } from './session.ts';
import { site } from './site.ts';
import { station } from './station.ts';
import { PositionState } from './schema/trading.ts';
import { tag } from './tag.ts';
import { ticker, watch } from './ticker.ts';
import { user } from './user.ts';

export const records: readonly RecordDefinition[] = [
  { kind: 'counter', version: 1, context: CounterState },
  { kind: 'sample_keys', version: 1, context: SampleKeysState },
  { kind: 'decided', version: 1, context: DecidedState },
  { kind: 'stray', version: 1, context: StrayState },
  { kind: 'price_hour', version: 1, context: PriceHourState },
  { kind: 'station_draw', version: 1, context: StationDrawState },
  { kind: 'position', version: 1, context: PositionState },
];

export const domain: Domain = {
  actors: [
    site,
    station,
    charger,
    session,
    deviceCommand,
    tag,
    name,
    roster,
    user,
    gateway,
    exchange,
    board,
    account,
    customer,
    ticker,
    watch,
    letter,
  ],
  records,
  slots: [priceSlot, batterySlot],
  createIndex: () => new DomainIndex(),
  balances,
  transit,
  carried,
};

export * from './addresses.ts';
export { batteryAt } from './battery.ts';
export { DomainIndex } from './domain_index.ts';
export { amountOfOrder } from './order.ts';
export { measured, scaled, units, type Quantity } from './decimal.ts';
export { slotMs, slotOf } from './load.ts';
export { boundariesBp, hysteresisBp, priceOf, tierAfter, tiers, utilisationBp } from './tariff.ts';
export { partitionOf } from './partition_key.ts';
