/** Latencies in a histogram of 1 % steps: constant memory, honest percentiles. */
const steps = 2_048;
const base = Math.log(1.01);

export class Latencies {
  readonly #counts = new Uint32Array(steps);
  #total = 0;
  #max = 0;

  /** @param ms from when it was due to its answer */
  add(ms: number) {
    this.#counts[Math.min(steps - 1, Math.max(0, Math.round(Math.log(Math.max(ms, 0.001) * 1_000) / base)))]! += 1;
    this.#total += 1;
    if (ms > this.#max) this.#max = ms;
  }

  percentile(p: number): number {
    let seen = 0;
    const wanted = this.#total * p;
    for (let i = 0; i < steps; i++) {
      seen += this.#counts[i]!;
      if (seen >= wanted && seen > 0) return Math.exp(i * base) / 1_000;
    }
    return this.#max;
  }

  report() {
    const ms = (p: number) => Number(this.percentile(p).toFixed(2));
    return { p50Ms: ms(0.5), p99Ms: ms(0.99), p999Ms: ms(0.999), maxMs: Number(this.#max.toFixed(1)) };
  }
}
