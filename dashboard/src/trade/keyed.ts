/** What is remembered by order and never shown itself, so nothing of it is reactive. */

/** Made when it is first asked for. */
export class Keyed<T> {
  readonly #values = new Map<string, T>();
  readonly #make: (key: string) => T;

  constructor(make: (key: string) => T) {
    this.#make = make;
  }

  of(key: string): T {
    const known = this.#values.get(key);
    if (known !== undefined) return known;
    const made = this.#make(key);
    this.#values.set(key, made);
    return made;
  }
}

/** When something was first seen. */
export class Appearances {
  readonly #at = new Map<string, number>();

  see(keys: Iterable<string>, now = performance.now()): void {
    for (const key of keys) if (!this.#at.has(key)) this.#at.set(key, now);
  }
  /** What was not seen at all is too young for anything. */
  youngerThan(key: string, ms: number, now = performance.now()): boolean {
    return now - (this.#at.get(key) ?? Infinity) < ms;
  }
}

/** Says yes once per key; the oldest are forgotten. */
export class Once {
  readonly #keys = new Set<string>();
  readonly #most: number;

  constructor(most: number) {
    this.#most = most;
  }

  first(key: string): boolean {
    if (this.#keys.has(key)) return false;
    this.#keys.add(key);
    const [oldest] = this.#keys;
    if (this.#keys.size > this.#most && oldest !== undefined) this.#keys.delete(oldest);
    return true;
  }
}
