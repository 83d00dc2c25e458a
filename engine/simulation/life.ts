/**
 * What may befall a simulated process. Whatever it does goes through a port, so dying or falling asleep at each step of a
 * port, before it and behind it, is dying or falling asleep between any two steps that make a difference.
 */
export class Life {
  #isAlive = true;
  #sleepers: (() => void)[] | null = null;
  readonly #befall: ((life: Life) => void) | null;
  /** Steps taken until now. */
  steps = 0;

  /** `befall` is asked at every step; it may kill the process or put it to sleep just there. */
  constructor(befall: ((life: Life) => void) | null = null) {
    this.#befall = befall;
  }

  get isAlive(): boolean {
    return this.#isAlive;
  }

  kill(): void {
    this.#isAlive = false;
    this.#sleepers = null;
  }

  /** Nothing of it goes on until it wakes: not what it waits for, not its timers, not what it reads. */
  sleep(): void {
    this.#sleepers ??= [];
  }

  wake(): void {
    const sleepers = this.#sleepers ?? [];
    this.#sleepers = null;
    for (const go of sleepers) go();
  }

  /** Runs a task of the process: now, when it wakes, or never. */
  later(task: () => void): void {
    this.steps += 1;
    this.#befall?.(this);
    if (!this.#isAlive) return;
    if (this.#sleepers) this.#sleepers.push(() => this.later(task));
    else task();
  }

  /** What the process learns of a promise. */
  through<T>(promise: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      promise.then(
        (value) => this.later(() => resolve(value)),
        (error: Error) => this.later(() => reject(error)),
      );
    });
  }

  /** Something that the process does; never for one that dies before it. */
  does<T>(action: () => Promise<T>): Promise<T> {
    return this.through(
      new Promise<T>((resolve, reject) => {
        this.later(() => void action().then(resolve, reject));
      }),
    );
  }
}
