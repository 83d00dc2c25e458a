/**
 * The server's time on this machine. Each frame says when it was made; it can only arrive later than that, so of the
 * last offsets the greatest is the one with the least delay in it.
 */
export class ServerClock {
  readonly #offsets: number[] = [];
  #offset = 0;

  heard(serverNow: number, now = Date.now()): void {
    this.#offsets.push(serverNow - now);
    if (this.#offsets.length > 32) this.#offsets.shift();
    this.#offset = Math.max(...this.#offsets);
  }

  now(): number {
    return Date.now() + this.#offset;
  }
}
