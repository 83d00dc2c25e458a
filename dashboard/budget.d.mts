type Part = 'shell' | 'page' | 'charts' | 'fonts';
export const budgets: Record<Part, number>;
export function weigh(folder: string): Record<Part, number> & { pages: Record<string, number> };
