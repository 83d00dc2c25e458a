/** A program of the benchmark ends when the one that started it does, however that ended: its stdin pipe closes. */
import { fstatSync } from 'node:fs';

export function endWithParent(): void {
  const stdin = fstatSync(0);
  if (stdin.isFIFO() || stdin.isSocket()) process.stdin.on('close', () => process.exit(1)).resume();
}
