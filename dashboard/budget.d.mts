export const budgets: Record<'shell' | 'charts' | 'fonts', number>;
export function weigh(folder: string): Record<'shell' | 'charts' | 'fonts', number>;
