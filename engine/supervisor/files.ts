/** Small files that are there completely or not at all. */
import { renameSync, writeFileSync } from 'node:fs';

/** Writes JSON for the owner alone (0600), by rename. */
export function writeJson(path: string, value: unknown): void {
  const draft = `${path}.${process.pid}.new`;
  writeFileSync(draft, `${JSON.stringify(value, null, 2)}\n`, { mode: 0o600 });
  renameSync(draft, path);
}
