/** The newest entries of each partition in order, for those who were away for a moment. Bounded. */
export interface TailEntry<T> {
  id: string;
  item: T;
  sequence: number;
}

export class Tail<T> {
  readonly #max: number;
  readonly #byPartition = new Map<number, TailEntry<T>[]>();
  /** By partition: entries up to this sequence may have fallen off. */
  readonly #lost = new Map<number, number>();

  /** Holds at least the newest `max` entries of each partition, at most twice as many. */
  constructor(max: number) {
    this.#max = max;
  }

  push(partition: number, entry: TailEntry<T>): void {
    let entries = this.#byPartition.get(partition);
    if (entries === undefined) this.#byPartition.set(partition, (entries = []));
    entries.push(entry);
    if (entries.length < 2 * this.#max) return;
    const gone = entries.splice(0, this.#max);
    this.#lost.set(partition, (gone.at(-1) as TailEntry<T>).sequence);
  }

  /** All of `id` after `sequence`, oldest first; undefined when some of them may have fallen off. */
  since(partition: number, id: string, sequence: number): TailEntry<T>[] | undefined {
    if (sequence < (this.#lost.get(partition) ?? 0)) return undefined;
    return (this.#byPartition.get(partition) ?? []).filter((entry) => entry.id === id && entry.sequence > sequence);
  }
}
