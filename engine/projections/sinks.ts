/** Ids under which the readers of the journal announce their positions; the journal is kept for all three. */
export const historySinks = ['clickhouse', 'redis', 'publisher'] as const;
export type HistorySink = (typeof historySinks)[number];
/** The name under which the maker of consumption stores its positions: it reads what the history holds, not the journal. */
export const consumptionReader = 'consumption';

/** Ids under which `gridtick archive` announces how far it has copied journals and command logs. */
export const archiveOfJournal = 'archive';
export const archiveOfCommands = 'archive-commands';
