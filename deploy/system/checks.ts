/** What must hold in every installation at rest, whatever happened to it before. */
import { expect } from 'vitest';
import type { Price } from '#actors/schema/events';
import type { AtRest, Table } from './at_rest.ts';
import { expectedPrices } from './expected_prices.ts';

const slotMs = 12_000;

/** What is in one list and not in the other, and what is twice; empty when both are the same. */
function differences(found: readonly string[], due: readonly string[]): string[] {
  const [foundSet, dueSet] = [new Set(found), new Set(due)];
  return [
    ...due.filter((one) => !foundSet.has(one)).map((one) => `missing: ${one}`),
    ...found.filter((one) => !dueSet.has(one)).map((one) => `nobody's: ${one}`),
    ...(found.length === foundSet.size ? [] : [`${found.length - foundSet.size} doubled`]),
  ].slice(0, 20);
}

/** Every answered sample is a row, every ended session is settled once, public streams and ClickHouse hold the journal. */
export function expectNothingLostOrDoubled(state: AtRest): void {
  const { figures, journal, streams, rows, rowsDue, sessions, verdicts } = state;
  expect(figures.unanswered).toBe(0);
  expect(figures.chargers.filter(({ refusedMessages }) => refusedMessages > 0)).toEqual([]);

  const answered = figures.chargers.filter(({ answeredSamples }) => answeredSamples > 0);
  expect(answered.length).toBeGreaterThan(0);
  expect(Object.fromEntries(state.meterRowsPerCharger)).toEqual(
    Object.fromEntries(answered.map(({ charger, answeredSamples }) => [charger, answeredSamples])),
  );
  expect(rows.meter_values).toHaveLength(figures.answeredSamples);
  expect(state.meterRowsTwice).toBe(0);

  // Each side as text, so that a difference shows the session. A charger of 2.0.1 does not know our number of it.
  const numbered = new Set(figures.chargers.filter(({ version }) => version === '1.6').map(({ charger }) => charger));
  const known = figures.chargers.flatMap(({ charger, sessions: own, older }) => {
    expect(older.sessions).toBe(0);
    return own
      .filter(({ stopAt }) => stopAt !== null)
      .map(({ transaction, startWh, stopWh, startAt, stopAt }) =>
        [charger, numbered.has(charger) ? transaction : '-', startWh, stopWh, stopWh! - startWh, startAt, stopAt].join(
          ' ',
        ),
      );
  });
  const stored = sessions.map(({ charger, transaction, ...s }) =>
    [
      charger,
      numbered.has(charger) ? transaction : '-',
      s.meter_start_wh,
      s.meter_stop_wh,
      s.energy_wh,
      s.started_at_ms,
      s.ended_at_ms,
    ].join(' '),
  );
  expect(differences(stored, known)).toEqual([]);

  for (const [kind, events] of journal) expect(differences(streams.get(kind)!, events), kind).toEqual([]);
  for (const table of Object.keys(rows) as Table[]) expect(differences(rows[table], rowsDue[table]), table).toEqual([]);
  expect(verdicts.flatMap(({ partition, problems }) => problems.map((problem) => `${partition}: ${problem}`))).toEqual(
    [],
  );
  expect(state.moneyProblems).toEqual([]);
  expect(state.replayProblems).toEqual([]);
}

/** Recomputes every produced price; returns the slots between the first and the last that were skipped. */
export function expectRightPrices(state: AtRest): number[] {
  const { prices, station } = state;
  const slots = prices.map(({ slot }) => slot);
  expect(slots).toEqual([...new Set(slots)].sort((a, b) => a - b));
  const due = expectedPrices(slots, station, state.marks, state.samples).map((expected) => ({
    ...expected,
    station: prices[0]!.station,
    producedAt: expected.slot * slotMs,
    capacityW: station.capacityW,
    validUntil: (expected.slot + 2) * slotMs,
  }));
  expect(prices).toEqual(due satisfies Price[]);
  const [first, last] = [slots[0]!, slots.at(-1)!];
  return Array.from({ length: last - first }, (_, i) => first + i).filter((slot) => !slots.includes(slot));
}

/** For the closing line of a test. */
export const summary = ({ figures, sessions, prices, journal, verdicts }: AtRest): string =>
  [
    `${figures.answeredSamples} sampled values answered`,
    `${sessions.length} sessions ended`,
    `${prices.length} prices (${[...new Set(prices.map(({ tier }) => tier))].join(', ')})`,
    `${journal.get('charger')!.length} charger events`,
    `${verdicts.reduce((sum, { records }) => sum + records, 0)} records verified`,
    `${verdicts.reduce((sum, { strays }) => sum + strays, 0)} strays`,
  ].join(', ');
