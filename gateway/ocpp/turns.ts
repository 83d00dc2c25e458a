/** Shares the event loop: a bounded number of CALLs per turn, the rest in the next ones, in the order they asked. */
interface Waiter {
  queued: boolean;
  goOn(): void;
}

export class Turns {
  readonly #perTurn: number;
  #left: number;
  #scheduled = false;
  #waiting: Waiter[] = [];

  constructor(perTurn: number) {
    this.#perTurn = perTurn;
    this.#left = perTurn;
  }

  /** False when this turn is used up; `goOn` is then called in a later one. */
  take(waiter: Waiter): boolean {
    if (!this.#scheduled) {
      this.#scheduled = true;
      setImmediate(() => this.#turn());
    }
    if (this.#left > 0) {
      this.#left -= 1;
      return true;
    }
    if (!waiter.queued) {
      waiter.queued = true;
      this.#waiting.push(waiter);
    }
    return false;
  }

  #turn(): void {
    this.#scheduled = false;
    this.#left = this.#perTurn;
    for (const waiter of this.#waiting.splice(0, this.#perTurn)) waiter.goOn();
    if (this.#waiting.length > 0 && !this.#scheduled) {
      this.#scheduled = true;
      setImmediate(() => this.#turn());
    }
  }
}
