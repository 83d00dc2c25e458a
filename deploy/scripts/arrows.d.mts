export function arrowProblem(file: string, specifier: string, typeOnly?: boolean): string | null;
