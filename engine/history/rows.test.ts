import { expect, test } from 'vitest';
import type { Ledger, Meter, PublicEvent, Sample, SessionEvent } from '#actors/schema/events';
import { dateTime, rowsPerEventMax } from './place.ts';
import { toRows } from './rows.ts';

const place = { partition: 3, sequence: 77, index: 2 };
const at = Date.UTC(2026, 0, 2, 3, 4, 5, 678);

const sample = (fields: Partial<Sample>): Sample => ({
  at,
  measurand: 'Power.Active.Import',
  phase: '',
  location: 'Outlet',
  context: 'Sample.Periodic',
  unit: 'W',
  value: '0',
  ...fields,
});
const meter = (samples: Sample[]): PublicEvent => {
  const payload: Meter = {
    site: 'demo',
    station: 'nord-1',
    charger: 'CP-0001',
    connector: 1,
    transaction: 9,
    receivedAt: at + 5,
    samples,
  };
  return { kind: 'meter', subject: 'meter.CP-0001.1', payload };
};
const session = (fields: Partial<SessionEvent>): PublicEvent => ({
  kind: 'session',
  subject: 'session.CP-0001.9',
  payload: {
    site: 'demo',
    station: 'nord-1',
    charger: 'CP-0001',
    connector: 1,
    transaction: 9,
    tag: 'DEMO0001',
    state: 'ended',
    startAt: at - 1000,
    receivedAt: at,
    meterStartWh: 1000,
    flags: ['late'],
    version: 1,
    ...fields,
  },
});

test('a price is one row, with its slot and both times', () => {
  const payload = {
    station: 'nord-1',
    slot: 147,
    producedAt: at,
    validUntil: at + 24_000,
    loadW: 88_320,
    capacityW: 138_000,
    utilisationBp: 6_400,
    tier: 'normal',
    importOpen: true,
    priceE5SekPerKwh: -100_000,
  } as const;
  expect(toRows({ kind: 'price', subject: 'price.nord-1', payload }, place)).toEqual({
    table: 'prices',
    rows: [
      {
        station: 'nord-1',
        slot: 147,
        produced_at: '2026-01-02 03:04:05.678',
        valid_until: '2026-01-02 03:04:29.678',
        load_w: 88_320,
        capacity_w: 138_000,
        utilisation_bp: 6_400,
        tier: 'normal',
        import_open: true,
        price_e5_sek_per_kwh: -100_000,
        ...place,
      },
    ],
  });
});

test('each sampled value is a row with its own index, in exact integers of its unit', () => {
  const values: [unit: string, value: string, power: number | null, energy: number | null, current: number | null][] = [
    ['W', '6600', 6600, null, null],
    ['kW', '6.6', 6600, null, null],
    ['kW', '0.0125', 12, null, null],
    ['W', '2.5', 2, null, null],
    ['Wh', '9007199254740991', null, 9_007_199_254_740_991, null],
    ['kWh', '1.2345', null, 1234, null],
    ['kWh', '-0.001', null, -1, null],
    ['A', '15.9996', null, null, 16_000],
    ['V', '230.1', null, null, null],
    ['W', 'nonsense', null, null, null],
    ['', '1', null, null, null],
    ['kWh', '99999999999999999', null, null, null],
  ];
  const found = toRows(meter(values.map(([unit, value]) => sample({ unit, value }))), place);
  expect(found?.table).toBe('meter_values');
  const rows = found?.table === 'meter_values' ? found.rows : [];
  expect(rows.map((r) => [r.unit, r.value_raw, r.power_w, r.energy_wh, r.current_ma])).toEqual(values);
  expect(rows.map((r) => r.index)).toEqual(values.map((_, n) => 2 * 4096 + n));
  expect(rows[0]).toMatchObject({
    transaction: 9,
    received_at: '2026-01-02 03:04:05.683',
    sampled_at: '2026-01-02 03:04:05.678',
    partition: 3,
    sequence: 77,
  });
});

test('more samples than an index can tell apart are a bug, not a row lost in silence', () => {
  const samples = (n: number) => meter(Array.from({ length: n }, () => sample({})));
  expect(toRows(samples(rowsPerEventMax), place)?.rows).toHaveLength(rowsPerEventMax);
  expect(() => toRows(samples(rowsPerEventMax + 1), place)).toThrow(/4097 samples, more than 4096/);
});

test('a session is a row of starts and one when it ends; a re-settlement is a row with a higher version', () => {
  expect(toRows(session({ state: 'started', version: 0 }), place)).toMatchObject({
    table: 'session_starts',
    rows: [
      { charger: 'CP-0001', transaction: 9, started_at: '2026-01-02 03:04:04.678', meter_start_wh: 1000, ...place },
    ],
  });
  const ended = { endAt: at, meterStopWh: 3500, energyWh: 2500, reason: 'EVDisconnected' };
  expect(toRows(session(ended), place)).toEqual({
    table: 'sessions',
    rows: [
      {
        site: 'demo',
        station: 'nord-1',
        charger: 'CP-0001',
        connector: 1,
        transaction: 9,
        tag: 'DEMO0001',
        started_at: '2026-01-02 03:04:04.678',
        ended_at: '2026-01-02 03:04:05.678',
        received_at: '2026-01-02 03:04:05.678',
        meter_start_wh: 1000,
        meter_stop_wh: 3500,
        energy_wh: 2500,
        reason: 'EVDisconnected',
        flags: ['late'],
        version: 1,
        ...place,
      },
    ],
  });
  expect(toRows(session({ ...ended, version: 2 }), place)?.rows[0]).toMatchObject({ version: 2 });
  expect(() => toRows(session({ endAt: at }), place)).toThrow(/ended without/);
});

test('a load is a row of its node, with the start of the slot that was measured', () => {
  const payload = {
    site: 'demo',
    node: 'nord-1',
    slot: 147_000_000,
    loadW: 88_320,
    capacityW: 138_000,
    utilisationBp: 6_400,
    stale: false,
  };
  expect(toRows({ kind: 'load', subject: 'load.demo.nord-1', payload }, place)).toEqual({
    table: 'loads',
    rows: [
      {
        site: 'demo',
        node: 'nord-1',
        slot: 147_000_000,
        at: '2025-11-24 16:00:00.000',
        load_w: 88_320,
        capacity_w: 138_000,
        utilisation_bp: 6_400,
        stale: false,
        ...place,
      },
    ],
  });
});

test('a charger event keeps its detail as JSON; its connector may be absent', () => {
  const payload = {
    charger: 'CP-0001',
    kind: 'status',
    at,
    receivedAt: at,
    detail: { status: 'Available', b: [1] },
  } as const;
  const event: PublicEvent = {
    kind: 'charger',
    subject: 'charger.CP-0001.status',
    payload: { ...payload, detail: { ...payload.detail } },
  };
  expect(toRows(event, place)?.rows).toEqual([
    {
      charger: 'CP-0001',
      connector: null,
      kind: 'status',
      at: '2026-01-02 03:04:05.678',
      received_at: '2026-01-02 03:04:05.678',
      detail: '{"status":"Available","b":[1]}',
      ...place,
    },
  ]);
});

test('times that ClickHouse cannot hold become the nearest that it can', () => {
  expect([0, -1e15, 1e15, Date.UTC(2299, 11, 31), Infinity].map(dateTime)).toEqual([
    '1970-01-01 00:00:00.000',
    '1900-01-01 00:00:00.000',
    '2299-12-31 23:59:59.999',
    '2299-12-31 00:00:00.000',
    '2299-12-31 23:59:59.999',
  ]);
});

test('a session whose start nobody knows has a row without energy', () => {
  const { energyWh: _, ...adopted } = {
    endAt: at,
    meterStopWh: 3500,
    energyWh: 0,
    flags: ['adopted', 'unknown_start'],
  };
  expect(toRows(session(adopted), place)?.rows).toMatchObject([{ energy_wh: null, meter_stop_wh: 3500 }]);
});

test('each leg of a batch is a row with its own index; legs of system accounts have no balance', () => {
  const leg = (account: string, amount: number, balance: number | null) =>
    ({ ledger: 'SEK', account, amount, balance }) as const;
  const payload: Ledger = {
    customer: 'ada',
    batch: 'd-1',
    kind: 'deposit',
    cause: 'd-1',
    at,
    legs: [leg('customer:ada:available', 10_000_000, 10_000_000), leg('deposits', -10_000_000, null)],
  };
  const common = {
    customer: 'ada',
    batch: 'd-1',
    kind: 'deposit',
    cause: 'd-1',
    at: '2026-01-02 03:04:05.678',
    ledger: 'SEK',
    partition: 3,
    sequence: 77,
  };
  const rows = [
    { ...common, account: 'customer:ada:available', amount: 10_000_000, balance: 10_000_000, index: 2 * 4096 },
    { ...common, account: 'deposits', amount: -10_000_000, balance: null, index: 2 * 4096 + 1 },
  ];
  expect(toRows({ kind: 'ledger', subject: 'ledger.ada', payload }, place)).toEqual({ table: 'ledger_entries', rows });
  const system = toRows({ kind: 'ledger', subject: 'ledger.=system', payload: { ...payload, customer: null } }, place);
  expect(system?.rows).toEqual(rows.map((row) => ({ ...row, customer: '' })));
  const many = { ...payload, legs: Array.from({ length: rowsPerEventMax + 1 }, () => payload.legs[0]!) };
  expect(() => toRows({ kind: 'ledger', subject: 'ledger.ada', payload: many }, place)).toThrow(
    /batch d-1 has 4097 legs/,
  );
});

test('a step of an order, a sample of a battery and an audit event are a row each', () => {
  const trade: PublicEvent = {
    kind: 'trade',
    subject: 'trade.ada',
    payload: {
      customer: 'ada',
      order: 'ada-1',
      side: 'sell',
      state: 'partial',
      at,
      site: 'demo',
      station: 'nord-1',
      slot: 147,
      energyWh: 10_000,
      priceE5SekPerKwh: -1,
      amountE5Sek: -10,
      deliveredWh: 7_400,
      settledE5Sek: -7,
      expiresAt: at + 60_000,
    },
  };
  expect(toRows(trade, place)).toEqual({
    table: 'trades',
    rows: [
      {
        customer: 'ada',
        order: 'ada-1',
        side: 'sell',
        state: 'partial',
        at: '2026-01-02 03:04:05.678',
        site: 'demo',
        station: 'nord-1',
        slot: 147,
        energy_wh: 10_000,
        price_e5_sek_per_kwh: -1,
        amount_e5_sek: -10,
        delivered_wh: 7_400,
        settled_e5_sek: -7,
        expires_at: '2026-01-02 03:05:05.678',
        ...place,
      },
    ],
  });
  const battery: PublicEvent = {
    kind: 'battery',
    subject: 'battery.ada',
    payload: {
      customer: 'ada',
      slot: 359_052_448,
      at,
      energyWh: 50_122,
      capacityWh: 100_000,
      levelBp: 5_012,
      powerW: -11_000,
    },
  };
  expect(toRows(battery, place)).toEqual({
    table: 'battery_states',
    rows: [
      {
        customer: 'ada',
        slot: 359_052_448,
        at: '2026-01-02 03:04:05.678',
        energy_wh: 50_122,
        capacity_wh: 100_000,
        level_bp: 5_012,
        power_w: -11_000,
        ...place,
      },
    ],
  });
  const audit: PublicEvent = {
    kind: 'audit',
    subject: 'audit.dead_letter',
    payload: {
      kind: 'dead_letter',
      at,
      entity: 'charger/CP-1',
      command: 'charger.booted',
      reason: 'internal_error',
      correlation: null,
      detail: { a: [1, 'ö'] },
    },
  };
  expect(toRows(audit, place)).toEqual({
    table: 'audit_events',
    rows: [
      {
        kind: 'dead_letter',
        at: '2026-01-02 03:04:05.678',
        entity: 'charger/CP-1',
        command: 'charger.booted',
        reason: 'internal_error',
        correlation: null,
        detail: '{"a":[1,"ö"]}',
        ...place,
      },
    ],
  });
});
