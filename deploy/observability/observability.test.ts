/** What the docs, the alerts and the board name is what the processes expose. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { engineMeters } from '#engine/telemetry/engine_meters';
import { openRegistry } from '#engine/telemetry/registry';
import { showApi, showDoor, showNats, showOcpp } from '#gateway/meters';

const read = (path: string) => readFileSync(join(import.meta.dirname, path), 'utf8');
const namedIn = (text: string) => new Set(text.match(/\b(gridtick|nodejs|process)_[a-z0-9_]+\b/g));

/** Of engine and gateway; the history's and the supervisor's are made of parts that need their servers. */
function exposed(): string[] {
  const registry = openRegistry();
  engineMeters(registry, () => ({ owned: new Map(), unserved: new Map() }));
  const never = () => expect.unreachable();
  showDoor(registry, never);
  showApi(registry, never);
  showOcpp(registry, never);
  showNats(registry, never);
  return registry.getMetricsAsArray().map(({ name }) => name);
}
const elsewhere = ['gridtick_process_up', 'gridtick_reader_lag_records', 'gridtick_reader_lag_seconds'];

test('every metric of ours is in the document, in base units, and a total where it only grows', () => {
  const documented = namedIn(read('../docs/observability.md'));
  const ours = [...exposed().filter((name) => name.startsWith('gridtick_')), ...elsewhere];
  expect(ours.filter((name) => !documented.has(name))).toEqual([]);
  expect(ours.filter((name) => /_(ms|kb|count|milliseconds)\b/.test(name))).toEqual([]);
});

test('alerts and board ask for nothing that no process exposes', () => {
  const known = new Set([...exposed(), ...elsewhere]);
  for (const file of ['alerts.yml', 'dashboard.json']) {
    const asked = [...namedIn(read(file))].map((name) => name.replace(/_(bucket|sum|count)$/, ''));
    expect(asked.length).toBeGreaterThan(5);
    expect(asked.filter((name) => !known.has(name))).toEqual([]);
  }
});
