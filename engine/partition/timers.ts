/**
 * Durable timers of one partition, ordered by (dueAt, id). A binary heap with lazy deletion: the map holds the truth,
 * heap entries whose due time no longer matches are passed over. Invariant: an armed timer fires once, never early.
 */
export class Timers {
  #due = new Map<string, number>();
  #heap: { id: string; dueAt: number }[] = [];

  get size() {
    return this.#due.size;
  }
  entries(): IterableIterator<[string, number]> {
    return this.#due.entries();
  }
  dueAt(id: string): number | undefined {
    return this.#due.get(id);
  }

  set(id: string, dueAt: number) {
    if (this.#due.get(id) === dueAt) return;
    this.#due.set(id, dueAt);
    this.#push({ id, dueAt });
  }

  delete(id: string): boolean {
    return this.#due.delete(id);
  }

  /** Whether that is when the timer is due, and not when an earlier arming would have been. */
  isCurrent(id: string, dueAt: number): boolean {
    return this.#due.get(id) === dueAt;
  }

  /** The earliest timer, or undefined. */
  peek(): { id: string; dueAt: number } | undefined {
    for (let top = this.#heap[0]; top !== undefined; top = this.#heap[0]) {
      if (this.isCurrent(top.id, top.dueAt)) return top;
      this.#pop();
    }
    return undefined;
  }

  #before(a: { id: string; dueAt: number }, b: { id: string; dueAt: number }) {
    return a.dueAt !== b.dueAt ? a.dueAt < b.dueAt : a.id < b.id;
  }

  #push(entry: { id: string; dueAt: number }) {
    const heap = this.#heap;
    let i = heap.push(entry) - 1;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (!this.#before(entry, heap[parent]!)) break;
      heap[i] = heap[parent]!;
      i = parent;
    }
    heap[i] = entry;
  }

  #pop() {
    const heap = this.#heap;
    const last = heap.pop()!;
    if (heap.length === 0) return;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && this.#before(heap[child + 1]!, heap[child]!)) child += 1;
      if (!this.#before(heap[child]!, last)) break;
      heap[i] = heap[child]!;
      i = child;
    }
    heap[i] = last;
  }
}

/** Timer ids: `<kind>|<entity id>|<name>`; kinds and names hold no bar. Slots: `slot|<name>`. */
export const timerId = (kind: string, id: string, name: string) => `${kind}|${id}|${name}`;
export const slotTimerId = (name: string) => `slot|${name}`;

export function parseTimerId(timer: string): { kind: string; id: string; name: string } | { slot: string } {
  const first = timer.indexOf('|');
  const last = timer.lastIndexOf('|');
  if (first === last) return { slot: timer.slice(first + 1) };
  return { kind: timer.slice(0, first), id: timer.slice(first + 1, last), name: timer.slice(last + 1) };
}
