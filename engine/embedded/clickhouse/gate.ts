import { exception } from './exception.ts';

/** Lets `running` queries run and `waiting` wait; one more is refused. First come, first served. */
export class Gate {
  readonly #running: number;
  readonly #waiting: number;
  #free: number;
  #queue: (() => void)[] = [];

  constructor(running: number, waiting: number) {
    this.#running = this.#free = running;
    this.#waiting = waiting;
  }

  /**
   * Resolves with the function that gives the place back (once).
   * @throws TOO_MANY_SIMULTANEOUS_QUERIES when the queue is full; the signal's reason when it aborts while waiting
   */
  async enter(signal: AbortSignal): Promise<() => void> {
    if (this.#free > 0) this.#free--;
    else await this.#wait(signal);
    let left = false;
    return () => {
      if (left) return;
      left = true;
      const next = this.#queue.shift();
      if (next) next();
      else this.#free++;
    };
  }

  #wait(signal: AbortSignal): Promise<void> {
    if (this.#queue.length >= this.#waiting) {
      const text = `Too many simultaneous queries. Running: ${this.#running}, waiting: ${this.#waiting}`;
      throw exception('TOO_MANY_SIMULTANEOUS_QUERIES', text);
    }
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason as Error);
      const enter = () => {
        signal.removeEventListener('abort', abort);
        resolve();
      };
      const abort = () => {
        this.#queue = this.#queue.filter((waiting) => waiting !== enter);
        reject(exception('QUERY_WAS_CANCELLED', 'The client went away while the query waited'));
      };
      this.#queue.push(enter);
      signal.addEventListener('abort', abort, { once: true });
    });
  }
}
