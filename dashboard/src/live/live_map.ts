import { createSubscriber } from 'svelte/reactivity';

/** Latest value per key; the screen is told at most once per animation frame, however often values are set. */
export class LiveMap<K, V> {
  readonly #values = new Map<K, V>();
  #frame = 0;
  #notify = () => {};
  readonly #subscribe = createSubscriber((update) => {
    this.#notify = update;
    return () => {
      cancelAnimationFrame(this.#frame);
      this.#frame = 0;
      this.#notify = () => {};
    };
  });

  /** Reading inside an effect or a template subscribes to the next frame that changes something. */
  get values(): ReadonlyMap<K, V> {
    this.#subscribe();
    return this.#values;
  }

  set(key: K, value: V): void {
    this.#values.set(key, value);
    this.#changed();
  }

  delete(key: K): void {
    if (this.#values.delete(key)) this.#changed();
  }

  /** What is not in `entries` goes. */
  replace(entries: Iterable<readonly [K, V]>): void {
    this.#values.clear();
    for (const [key, value] of entries) this.#values.set(key, value);
    this.#changed();
  }

  #changed(): void {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      this.#notify();
    });
  }
}
