/**
 * The battery of a customer without a car: what it may draw at which level, and what it holds while orders flow. All
 * power is piecewise constant, so energy at any time follows from the state; nothing needs to be written in between.
 */
import type { CustomerState, OrderState } from './schema/customer_entities.ts';
import { slotMs, slotOf } from './load.ts';
import { divideHalfEven, safe } from './units.ts';

export const capacityWh = 100_000;
export const openingWh = 50_000;
/** AC charging and discharging. */
export const powerWMax = 11_000;
/** Nothing is sold below it. */
export const floorBp = 2_000;
/** 1 Wh in W·ms. */
export const wMsPerWh = 3_600_000;

/**
 * Share of the greatest power from a level on, in millionths. Above 80 % the limit falls linearly with the level, which
 * makes it exponential in time; each band has the mean of that curve, `(b − a) / (0.2 · ln((1 − a) / (1 − b)))`, so time
 * and energy are exact at its ends. From 99.6 % on the curve stays at 2 %; the last band counts that in.
 */
const bands = [
  { fromBp: 0, ppm: 1_000_000 },
  { fromBp: 8_000, ppm: 896_284 },
  { fromBp: 8_400, ppm: 695_212 },
  { fromBp: 8_800, ppm: 493_261 },
  { fromBp: 9_200, ppm: 288_539 },
  { fromBp: 9_600, ppm: 144_270 },
  { fromBp: 9_800, ppm: 72_135 },
  { fromBp: 9_900, ppm: 26_092 },
] as const;

const startWh = (fromBp: number, capacity: number): number => Math.ceil((fromBp * capacity) / 10_000);

/** The charge limit at a level, W. */
export function chargeW(energyWh: number, capacity: number): number {
  let { ppm }: { ppm: number } = bands[0];
  for (const band of bands) if (energyWh >= startWh(band.fromBp, capacity)) ({ ppm } = band);
  return safe(divideHalfEven(BigInt(powerWMax) * BigInt(ppm), 1_000_000n));
}

/** Where the next lower charge limit begins, Wh; null in the last band. */
export function nextBandWh(energyWh: number, capacity: number): number | null {
  for (const { fromBp } of bands) if (energyWh < startWh(fromBp, capacity)) return startWh(fromBp, capacity);
  return null;
}

export const floorWh = (capacity: number): number => startWh(floorBp, capacity);
export const levelBp = (energyWh: number, capacity: number): number => Math.floor((energyWh * 10_000) / capacity);

/** What the ledger says is stored: free and set aside for sales. */
export const postedWh = ({ wh, reservedWh }: Pick<CustomerState, 'wh' | 'reservedWh'>): number =>
  wh.available + wh.pending + reservedWh;

export type RunningOrder = OrderState & { powerW: number };
export const isRunning = (order: OrderState): order is RunningOrder => order.powerW !== null;
export const remainingWh = (order: OrderState): number => order.energyWh - order.deliveredWh;

/** Whole Wh of an order that have flowed since `sinceAt` and are not posted yet. */
export const flowedWh = (order: RunningOrder, elapsedMs: number): number =>
  Math.min(remainingWh(order), Math.floor((order.flowWMs + Math.abs(order.powerW) * elapsedMs) / wMsPerWh));

/** How long until an order has moved so many more Wh, ms, rounded up. */
export const msUntil = (order: RunningOrder, energyWh: number): number =>
  Math.ceil((energyWh * wMsPerWh - order.flowWMs) / Math.abs(order.powerW));

/** The battery at a time not before the newest posting. */
export function batteryAt(customer: CustomerState, at: number) {
  const elapsedMs = Math.max(0, at - customer.sinceAt);
  let energyWh = postedWh(customer);
  for (const order of customer.orders) {
    if (isRunning(order)) energyWh += Math.sign(order.powerW) * flowedWh(order, elapsedMs);
  }
  const { capacityWh, powerW } = customer;
  return { energyWh, capacityWh, levelBp: levelBp(energyWh, capacityWh), powerW };
}

/** Net power of the running orders, + into the battery. */
export const powerOf = (orders: readonly OrderState[]): number =>
  orders.reduce((sum, { powerW }) => sum + (powerW ?? 0), 0);

/** When the flow changes by itself, not before `sinceAt`: an order is complete, or a lower charge limit begins. */
export function flowChangesAt(customer: CustomerState): number | null {
  const running = customer.orders.filter(isRunning);
  if (running.length === 0) return null;
  const dues = running.map((order) => msUntil(order, remainingWh(order)));
  // The level rises only while nothing is sold: both sides have the same greatest power.
  const [only] = running;
  if (running.length === 1 && only!.powerW > 0) {
    const posted = postedWh(customer);
    const next = nextBandWh(posted, customer.capacityWh);
    if (next !== null) dues.push(msUntil(only!, next - posted));
  }
  return customer.sinceAt + Math.min(...dues);
}

/** What has flowed is posted at every border of a price slot, and when the flow changes. */
export function flowDueAt(customer: CustomerState): number | null {
  const changesAt = flowChangesAt(customer);
  return changesAt === null ? null : Math.min(changesAt, (slotOf(customer.sinceAt) + 1) * slotMs);
}

/**
 * The front order of each side gets power; the others wait. `powerW` of the battery is the sum.
 * @example orders committed as buy 1, sell 1, buy 2: buy 1 and sell 1 run, buy 2 waits
 */
export function withPower(customer: CustomerState): CustomerState {
  const fronts = new Set<string>();
  const energyWh = postedWh(customer);
  const orders = customer.orders.map((order) => {
    const isFront = order.state === 'delivering' && !fronts.has(order.side);
    if (isFront) fronts.add(order.side);
    const powerW = !isFront ? null : order.side === 'buy' ? chargeW(energyWh, customer.capacityWh) : -powerWMax;
    return powerW === order.powerW ? order : { ...order, powerW };
  });
  const same = orders.every((order, i) => order === customer.orders[i]);
  return { ...customer, orders: same ? customer.orders : orders, powerW: powerOf(orders) };
}
