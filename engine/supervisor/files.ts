/** Small files that are there completely or not at all. */
import { renameSync, writeFileSync } from 'node:fs';

/** Writes for the owner alone (0600), by rename. */
export function writePrivate(path: string, text: string): void {
  const draft = `${path}.${process.pid}.new`;
  writeFileSync(draft, text, { mode: 0o600 });
  renameSync(draft, path);
}

export const writeJson = (path: string, value: unknown): void =>
  writePrivate(path, `${JSON.stringify(value, null, 2)}\n`);
