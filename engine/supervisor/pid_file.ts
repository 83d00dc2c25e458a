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

const Listed = Type.Object({
  role: Type.String(),
  pid: Type.Integer({ minimum: 2 }),
  started: Type.String(),
  /** How often its role was started under this supervisor. */
  starts: Type.Optional(Type.Integer({ minimum: 1 })),
});
const PidFileContent = Type.Object({
  dataDir: Type.String(),
  children: Type.Array(Listed),
  supervisor: Type.Optional(Listed),
  /** Roles that ended and are to be started again. */
  waiting: Type.Optional(Type.Array(Type.Object({ role: Type.String(), starts: Type.Integer({ minimum: 1 }) }))),
});
type PidFileContent = Static<typeof PidFileContent>;

/** A process of an installation; pid null: it ended, and is about to be started again. */
export interface Part {
  role: string;
  pid: number | null;
  /** How often it was started again; null: unknown. */
  restarts: number | null;
}

const supervisorRole = 'supervisor';

export class PidFile {
  readonly #path: string;
  readonly #dataDir: string;
  readonly #children = new Map<number, PidFileContent['children'][number]>();
  readonly #starts = new Map<string, number>();
  readonly #waiting = new Set<string>();

  constructor(dataDir: string) {
    this.#dataDir = realpathSync(dataDir);
    this.#path = join(dataDir, 'pids');
  }

  add(role: string, pid: number): void {
    const starts = (this.#starts.get(role) ?? 0) + 1;
    this.#starts.set(role, starts);
    this.#waiting.delete(role);
    this.#children.set(pid, { role, pid, started: startTime(pid) ?? '', starts });
    this.#write();
  }

  /** `comesBack`: it will be started again. */
  remove(pid: number, comesBack = false): void {
    const child = this.#children.get(pid);
    if (!child) return;
    this.#children.delete(pid);
    if (comesBack) this.#waiting.add(child.role);
    this.#write();
  }

  /** What runs on a data directory, or is about to; the supervisor first. */
  static parts(dataDir: string): Part[] {
    const { supervisor, children, waiting = [] } = new PidFile(dataDir).#content();
    const alive = [...(supervisor ? [supervisor] : []), ...children].filter(
      ({ pid, started }) => started !== '' && startTime(pid) === started,
    );
    const parts = alive.map(({ role, pid, starts }): Part => ({ role, pid, restarts: starts ? starts - 1 : null }));
    if (alive[0]?.role !== supervisorRole) return parts;
    return [...parts, ...waiting.map(({ role, starts }): Part => ({ role, pid: null, restarts: starts - 1 }))];
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
    return this.#content().children;
  }

  #content(): PidFileContent {
    const nobody = { dataDir: this.#dataDir, children: [] };
    let content: unknown;
    try {
      content = JSON.parse(readFileSync(this.#path, 'utf8'));
    } catch {
      return nobody; // none, or torn by a crash of the machine, after which no child is alive
    }
    // A copied directory names the children of the original: those are not ours.
    return Value.Check(PidFileContent, content) && content.dataDir === this.#dataDir ? content : nobody;
  }

  #write(): void {
    writeJson(this.#path, {
      dataDir: this.#dataDir,
      supervisor: { role: supervisorRole, pid: process.pid, started: startTime(process.pid) ?? '', starts: 1 },
      children: [...this.#children.values()],
      waiting: [...this.#waiting].map((role) => ({ role, starts: this.#starts.get(role) ?? 1 })),
    } satisfies PidFileContent);
  }
}
