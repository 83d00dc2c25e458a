/** Which part of the load tree a question is about: one site, station or charger. */
export interface NodeScope {
  site?: string | undefined;
  station?: string | undefined;
  charger?: string | undefined;
}

const columns = ['site', 'station', 'charger'] as const;

/** The condition on rows that carry site, station and charger; nothing named = everything. */
export function scopeCondition(scope: NodeScope): { condition: string; params: Record<string, unknown> } {
  const named = columns.filter((column) => scope[column] !== undefined);
  return {
    condition: named.map((column) => `${column} = {${column}:String}`).join(' AND ') || '1',
    params: Object.fromEntries(named.map((column) => [column, scope[column]])),
  };
}
