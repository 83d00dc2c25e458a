/** One row per order out of the steps of many: what became of it so far. */
import type { Trade } from '#gateway/schema/mod';

/** `steps` newest first, and so are the rows. */
export function latestSteps(steps: readonly Trade[]): Trade[] {
  const rows = new Map<string, Trade>();
  for (const step of steps) if (!rows.has(step.order)) rows.set(step.order, step);
  return [...rows.values()];
}

/** What an order has cost or brought: nothing when nothing was delivered, the whole amount while it is open. */
export const totalOf = (trade: Trade): number | null => {
  switch (trade.state) {
    case 'held':
    case 'delivering':
      return trade.amountE5Sek;
    case 'cancelled':
    case 'expired':
    case 'void':
      return 0;
    case 'completed':
    case 'partial':
      return trade.settledE5Sek;
    default:
      return trade.state satisfies never;
  }
};
