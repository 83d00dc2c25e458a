/** What long work says about itself on the way: one line, redrawn on a terminal, now and then elsewhere. */

export type Tell = (line: string) => void;

const everyMs = 500;
const cells = 24;

/** `▓▓▓▓░░░░  42 %  <what>`; without a known end only what it is at. */
export function bar(done: number, of: number, what: string): string {
  if (of <= 0) return what;
  const share = Math.min(1, Math.max(0, done / of));
  const full = Math.floor(share * cells);
  const percent = String(Math.floor(share * 100)).padStart(3);
  return `${'▓'.repeat(full)}${'░'.repeat(cells - full)} ${percent} %  ${what}`;
}

/** Tells how far it is, at most twice a second; what is done sooner says nothing. */
export class Progress {
  readonly #tell: Tell;
  #toldAt = performance.now();

  constructor(tell: Tell) {
    this.#tell = tell;
  }

  at(done: number, of: number, what: string): void {
    if (performance.now() - this.#toldAt < everyMs) return;
    this.#toldAt = performance.now();
    this.#tell(bar(done, of, what));
  }
}
