export const budgets: Record<'shell' | 'pages' | 'charts' | 'fonts', number>;
export function weigh(folder: string): Record<'shell' | 'pages' | 'charts' | 'fonts', number>;
