/** Ids under which the readers of the journal announce their positions; the journal is kept for all three. */
export const historySinks = ['clickhouse', 'redis', 'publisher'] as const;
export type HistorySink = (typeof historySinks)[number];
