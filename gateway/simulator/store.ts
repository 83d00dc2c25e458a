/**
 * Where the chargers' memories are kept: `memory.json` (all of them at one moment, replaced by rename) and beside it
 * `journal.<generation>.ndjson` with the facts since. Facts are written in groups, one fdatasync each; a torn last line
 * was never durable and is cut off.
 */
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { apply, memoryOf, newMemory, type ChargerMemory, type Fact, type KeptMemory } from './memory.ts';

interface Snapshot<Memory> {
  generation: number;
  chargers: Record<string, Memory>;
}

export interface StoreOptions {
  /** Journal bytes after which all memories are written anew. @default 8 MiB */
  compactBytes?: number;
  /** Called once when the disk refuses; nothing is durable from then on. */
  onFailure: (error: Error) => void;
}

/** Replaces a file so that either the old or the new contents are found, never a part. */
export function replaceFile(path: string, text: string, mode = 0o600): void {
  const fresh = `${path}.new`;
  const file = openSync(fresh, 'w', mode);
  try {
    writeFileSync(file, text);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(fresh, path);
}

export class MemoryStore {
  readonly #directory: string;
  readonly #compactBytes: number;
  readonly #onFailure: (error: Error) => void;
  readonly #chargers = new Map<string, ChargerMemory>();
  #generation = 0;
  #file: FileHandle | undefined;
  #bytes = 0;
  #lines: string[] = [];
  #waiting = new Set<() => void>();
  #appended = 0;
  #durable = 0;
  #writing: Promise<void> | undefined;
  #failed = false;

  private constructor(directory: string, options: StoreOptions) {
    this.#directory = directory;
    this.#compactBytes = options.compactBytes ?? 8 * 1_024 * 1_024;
    this.#onFailure = options.onFailure;
  }

  /** Reads what is there; a damaged file throws with its name and line rather than being forgotten. */
  static async open(directory: string, options: StoreOptions): Promise<MemoryStore> {
    mkdirSync(directory, { recursive: true });
    const store = new MemoryStore(directory, options);
    store.#load();
    // A fresh generation at every start: the old journal is folded in and a torn line is gone.
    await store.#compact();
    return store;
  }

  #journal(generation: number): string {
    return join(this.#directory, `journal.${generation}.ndjson`);
  }

  #load(): void {
    const path = join(this.#directory, 'memory.json');
    const text = readIfThere(path);
    if (text !== undefined) {
      const snapshot = parse<Snapshot<KeptMemory>>(text, path);
      this.#generation = snapshot.generation;
      for (const [id, memory] of Object.entries(snapshot.chargers)) this.#chargers.set(id, memoryOf(memory));
    }
    const journal = this.#journal(this.#generation);
    const facts = readIfThere(journal) ?? '';
    const whole = facts.slice(0, facts.lastIndexOf('\n') + 1);
    if (whole.length < facts.length) truncateSync(journal, Buffer.byteLength(whole));
    for (const [index, line] of whole.split('\n').entries()) {
      if (line === '') continue;
      const fact = parse<Fact>(line, `${journal}, line ${index + 1}`);
      apply(this.memory(fact.c), fact);
    }
  }

  /** The memory of a charger; a new one remembers nothing. */
  memory(charger: string): ChargerMemory {
    let memory = this.#chargers.get(charger);
    if (memory === undefined) this.#chargers.set(charger, (memory = newMemory()));
    return memory;
  }

  /** Number of the last fact given, and of the last one that would survive. */
  get appended(): number {
    return this.#appended;
  }
  get durable(): number {
    return this.#durable;
  }

  /** Applies the fact at once; `whenDurable` is called when it would survive. */
  append(fact: Fact, whenDurable?: () => void): void {
    apply(this.memory(fact.c), fact);
    this.#lines.push(JSON.stringify(fact));
    this.#appended += 1;
    if (whenDurable !== undefined) this.#waiting.add(whenDurable);
    this.#writing ??= this.#write().finally(() => (this.#writing = undefined));
  }

  /** Resolves when all that was appended so far is durable. */
  async flush(): Promise<void> {
    while (this.#writing !== undefined) await this.#writing;
  }

  async #write(): Promise<void> {
    // Let the facts of this turn of the event loop come together in one group.
    await new Promise<void>((resolve) => setImmediate(resolve));
    try {
      while (this.#lines.length > 0 && !this.#failed) {
        const text = `${this.#lines.join('\n')}\n`;
        const written = this.#take();
        await this.#file?.appendFile(text);
        await this.#file?.datasync();
        this.#bytes += text.length;
        this.#reached(written);
        if (this.#bytes > this.#compactBytes) await this.#compact();
      }
    } catch (error) {
      this.#failed = true;
      this.#onFailure(error as Error);
    }
  }

  /** Takes what is appended so far, with those who wait for it: who comes during the write waits for the next one. */
  #take(): { upTo: number; waiting: Set<() => void> } {
    const taken = { upTo: this.#appended, waiting: this.#waiting };
    this.#lines = [];
    this.#waiting = new Set();
    return taken;
  }

  #reached({ upTo, waiting }: { upTo: number; waiting: Set<() => void> }): void {
    this.#durable = upTo;
    for (const whenDurable of waiting) whenDurable();
  }

  /** Writes all memories under the next generation. The facts not yet written are part of it, so they are dropped. */
  async #compact(): Promise<void> {
    const old = this.#file;
    const snapshot: Snapshot<ChargerMemory> = {
      generation: this.#generation + 1,
      chargers: Object.fromEntries(this.#chargers),
    };
    replaceFile(join(this.#directory, 'memory.json'), JSON.stringify(snapshot));
    this.#generation = snapshot.generation;
    const contained = this.#take();
    this.#file = await open(this.#journal(this.#generation), 'a', 0o600);
    this.#bytes = 0;
    await old?.close();
    for (const name of readdirSync(this.#directory)) {
      const match = /^journal\.(\d+)\.ndjson$/.exec(name);
      if (match !== null && Number(match[1]) < this.#generation) rmSync(join(this.#directory, name));
    }
    this.#reached(contained);
  }

  /** Makes everything durable and lets go of the files. */
  async close(): Promise<void> {
    await this.flush();
    await this.#file?.close();
    this.#file = undefined;
  }
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

function parse<T>(text: string, where: string): T {
  try {
    return JSON.parse(text) as T;
  } catch (error) {
    throw new Error(`the chargers' memory is damaged at ${where}: ${(error as Error).message}`);
  }
}
