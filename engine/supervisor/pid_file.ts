/**
 * `<data>/pids`: which processes belong to this data directory. A start that follows a crash ends whatever of them is
 * still alive before it touches the data.
 */
import { readFileSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import Type, { type Static } from 'typebox';
import Value from 'typebox/value';
import { writeJson } from './files.ts';
import { endGroup, startTime } from './processes.ts';

const PidFileContent = Type.Object({
  dataDir: Type.String(),
  children: Type.Array(Type.Object({ role: Type.String(), pid: Type.Integer({ minimum: 2 }), started: Type.String() })),
});
type PidFileContent = Static<typeof PidFileContent>;

export class PidFile {
  readonly #path: string;
  readonly #dataDir: string;
  readonly #children = new Map<number, PidFileContent['children'][number]>();

  constructor(dataDir: string) {
    this.#dataDir = realpathSync(dataDir);
    this.#path = join(dataDir, 'pids');
  }

  add(role: string, pid: number): void {
    this.#children.set(pid, { role, pid, started: startTime(pid) ?? '' });
    this.#write();
  }

  remove(pid: number): void {
    if (this.#children.delete(pid)) this.#write();
  }

  /** Ends living children of an earlier supervisor; returns their roles. */
  async endLeftOver(): Promise<string[]> {
    const left = this.#read().filter(({ pid, started }) => started !== '' && startTime(pid) === started);
    await Promise.all(left.map(({ pid }) => endGroup(pid, 3_000)));
    this.#write();
    return left.map(({ role }) => role);
  }

  /** Pid of the living process that has a role on this data directory; null when there is none. */
  static living(dataDir: string, role: string): number | null {
    const found = new PidFile(dataDir).#read().find((child) => child.role === role);
    return found !== undefined && found.started !== '' && startTime(found.pid) === found.started ? found.pid : null;
  }

  #read(): PidFileContent['children'] {
    let content: unknown;
    try {
      content = JSON.parse(readFileSync(this.#path, 'utf8'));
    } catch {
      return []; // none, or torn by a crash of the machine, after which no child is alive
    }
    // A copied directory names the children of the original: those are not ours.
    return Value.Check(PidFileContent, content) && content.dataDir === this.#dataDir ? content.children : [];
  }

  #write(): void {
    writeJson(this.#path, { dataDir: this.#dataDir, children: [...this.#children.values()] } satisfies PidFileContent);
  }
}
