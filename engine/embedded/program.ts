/** Finding the servers of a fresh machine: Debian keeps them in sbin, which is not on everybody's path. */
import { execFileSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** @throws with the package to install */
export function findProgram(name: string): string {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/local/sbin', '/usr/sbin', '/sbin'];
  for (const folder of folders) {
    const file = join(folder || '.', name);
    try {
      accessSync(file, constants.X_OK);
      return file;
    } catch {
      // not in this folder
    }
  }
  throw new Error(`'${name}' is not installed: sudo apt-get install ${name}`);
}

/** [major, minor, patch] out of `<program> --version`. */
export function programVersion(file: string): [number, number, number] {
  const text = execFileSync(file, ['--version'], { encoding: 'utf8', timeout: 10_000 });
  const [, major, minor, patch] = /v=?(\d+)\.(\d+)\.(\d+)/.exec(text) ?? [];
  if (major === undefined) throw new Error(`${file} does not say its version: '${text.trim()}'`);
  return [Number(major), Number(minor), Number(patch)];
}
