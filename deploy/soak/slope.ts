/** Least squares: whether something grows with time, or only trembles. */

export interface Slope {
  /** Per unit of x. */
  slope: number;
  /** Standard error of it: twice as much either way is noise, mostly. */
  error: number;
  mean: number;
}

/** A straight line through points; needs three. */
export function slopeOf(points: readonly (readonly [x: number, y: number])[]): Slope {
  const n = points.length;
  if (n < 3) throw new Error(`a slope needs three points, not ${n}`);
  const meanOf = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / n;
  const meanX = meanOf(points.map(([x]) => x));
  const mean = meanOf(points.map(([, y]) => y));
  const spread = points.reduce((sum, [x]) => sum + (x - meanX) ** 2, 0);
  const slope = points.reduce((sum, [x, y]) => sum + (x - meanX) * (y - mean), 0) / spread;
  const rest = points.reduce((sum, [x, y]) => sum + (y - mean - slope * (x - meanX)) ** 2, 0);
  return { slope, error: Math.sqrt(rest / (n - 2) / spread), mean };
}
