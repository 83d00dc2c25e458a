/** Which ids stand below which, sorted; the sorted list is made again only after a change. */
export class Children {
  readonly #sets = new Map<string, Set<string>>();
  readonly #sorted = new Map<string, readonly string[]>();

  add(parent: string, child: string): void {
    let set = this.#sets.get(parent);
    if (set === undefined) this.#sets.set(parent, (set = new Set()));
    if (set.has(child)) return;
    set.add(child);
    this.#sorted.delete(parent);
  }

  remove(parent: string, child: string): void {
    if (this.#sets.get(parent)?.delete(child)) this.#sorted.delete(parent);
  }

  of(parent: string): readonly string[] {
    let list = this.#sorted.get(parent);
    if (list === undefined) this.#sorted.set(parent, (list = [...(this.#sets.get(parent) ?? [])].sort()));
    return list;
  }
}
