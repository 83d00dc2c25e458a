/** Marks on the battery gauge. Drawn, never decided here: what can be sold or stored the server says. */

/** Shares of capacity in basis points: nothing is sold below the floor, charging slows down from the knee on. */
export const batteryMarks = { floor: 2_000, knee: 8_000 } as const;

/** What can be sold at most, Wh: stored above the floor. */
export const aboveFloorWh = (energyWh: number, capacityWh: number): number =>
  Math.max(0, energyWh - Math.ceil((capacityWh * batteryMarks.floor) / 10_000));
