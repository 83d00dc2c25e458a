/** What the history must tell of loads, sessions, consumption and messages, on every ClickHouse. For tests only. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BadCursor, openHistory, type HistoryOptions, type HistoryRows, type HistoryStore } from './mod.ts';
import type { TracedFrame } from './messages.ts';
import { messageRows } from './messages.ts';
import { dateTime } from './place.ts';

type Opened = HistoryOptions & { close(): Promise<void> };

const day = Date.UTC(2026, 4, 15);
const minute = 60_000;
const hour = 60 * minute;
const firstSlot = day / 12_000;

/** Names in the tests carry a number of their own, so that a server may be used again and again. */
export function gridContract(name: string, open: () => Promise<Opened>): void {
  describe(name, () => {
    const own = `${Date.now()}-${process.pid}`;
    const site = `demo-${own}`;
    let opened: Opened;
    let history: HistoryStore;
    beforeAll(async () => {
      opened = await open();
      history = await openHistory(opened);
    });
    afterAll(async () => {
      await history?.close();
      await opened?.close();
    });

    const load = (node: string, i: number, loadW: number): HistoryRows['loads'] => ({
      site,
      node,
      slot: firstSlot + i,
      at: dateTime(day + i * 12_000),
      load_w: loadW,
      capacity_w: 138_000,
      utilisation_bp: Math.ceil((loadW * 10_000) / 138_000),
      stale: false,
      partition: 1,
      sequence: i,
      index: 0,
    });

    test('loads of any range come in the shortest step that fits the points asked for', async () => {
      const node = `nord-${own}`;
      const rows = Array.from({ length: 7_200 }, (_, i) => load(node, i, 1_000 * (i % 100)));
      await history.insert('loads', rows);
      // Told twice, read once.
      await history.insert('loads', rows.slice(100, 200));
      const fine = await history.loads({ node, from: day, to: day + 2 * minute, points: 2_000 });
      expect([fine.stepMs, fine.rows.length]).toEqual([12_000, 10]);
      expect(fine.rows[3]).toEqual({
        at: day + 36_000,
        meanW: 3_000,
        maxW: 3_000,
        capacityW: 138_000,
        maxUtilisationBp: 218,
      });
      const whole = await history.loads({ node, from: day, to: day + 24 * hour, points: 100 });
      expect([whole.stepMs, whole.rows.length]).toEqual([15 * minute, 96]);
      expect(whole.rows[4]).toEqual({
        at: day + hour,
        // Slots 300 to 374: 0 to 74 kW.
        meanW: 37_000,
        maxW: 74_000,
        capacityW: 138_000,
        maxUtilisationBp: 5_363,
      });
      const year = await history.loads({ node, from: day - 300 * 24 * hour, to: day + 65 * 24 * hour, points: 2_000 });
      expect([year.stepMs, year.rows.length]).toEqual([6 * hour, 4]);
      expect(await history.loads({ node: `no'${own}`, from: 0, to: day, points: 10 })).toMatchObject({ rows: [] });
    });

    const start = (charger: string, transaction: number, at: number): HistoryRows['session_starts'] => ({
      site,
      station: `nord-${own}`,
      charger,
      connector: 1,
      transaction,
      tag: 'DEMO0001',
      started_at: dateTime(at),
      received_at: dateTime(at + 50),
      meter_start_wh: 1_000,
      flags: [],
      partition: 7,
      sequence: transaction * 100,
      index: 0,
    });
    const ended = (
      begun: HistoryRows['session_starts'],
      at: number,
      energyWh: number | null,
      version = 1,
    ): HistoryRows['sessions'] => ({
      ...begun,
      ended_at: dateTime(at),
      received_at: dateTime(at + 50),
      meter_stop_wh: 1_000 + (energyWh ?? 0),
      energy_wh: energyWh,
      reason: 'Local',
      version,
      sequence: begun.sequence + 10 + version,
    });
    const register = (
      begun: HistoryRows['session_starts'],
      at: number,
      wh: number,
      fields: Partial<HistoryRows['meter_values']> = {},
    ): HistoryRows['meter_values'] => ({
      site: begun.site,
      station: begun.station,
      charger: begun.charger,
      connector: 1,
      transaction: begun.transaction,
      sampled_at: dateTime(at),
      received_at: dateTime(at + 50),
      measurand: 'Energy.Active.Import.Register',
      phase: '',
      location: 'Outlet',
      context: 'Sample.Periodic',
      unit: 'Wh',
      value_raw: String(wh),
      power_w: null,
      energy_wh: wh,
      current_ma: null,
      partition: 7,
      sequence: begun.sequence + 1,
      index: Math.floor(at / minute) % 1_000_000,
      ...fields,
    });
    /** What the role does after an insert. */
    const roll = async (charger: string, transaction: number) => {
      const { rows, ended: made } = await history.consumptionRows([{ charger, transaction }]);
      await history.insert('consumption', rows);
      return made.length;
    };

    test('sessions come newest first, running ones included, page by page, each once', async () => {
      const charger = `CS-${own}`;
      const starts = Array.from({ length: 5 }, (_, i) => start(charger, i + 1, day + i * hour));
      await history.insert('session_starts', starts);
      await history.insert('session_starts', starts.slice(2));
      const [first, second, third] = starts as [
        (typeof starts)[0] & object,
        (typeof starts)[0] & object,
        (typeof starts)[0] & object,
      ];
      await history.insert('sessions', [ended(first, day + hour, 700), ended(second, day + 2 * hour, 900)]);
      await history.insert('sessions', [{ ...ended(second, day + 2 * hour, 950, 2), flags: ['meter_reset'] }]);
      await history.insert('sessions', [ended(third, day + 3 * hour, null)]);
      const one = await history.sessions({ charger, limit: 3 });
      expect(one.rows.map((r) => [r.transaction, r.state, r.energyWh])).toEqual([
        [5, 'started', null],
        [4, 'started', null],
        [3, 'ended', null],
      ]);
      const two = await history.sessions({ charger, limit: 3, cursor: one.next ?? '' });
      expect(two).toEqual({
        rows: [
          {
            transaction: 2,
            charger,
            connector: 1,
            site,
            station: `nord-${own}`,
            tag: 'DEMO0001',
            startedAt: day + hour,
            endedAt: day + 2 * hour,
            energyWh: 950,
            state: 'ended',
            flags: ['meter_reset'],
            reason: 'Local',
          },
          expect.objectContaining({ transaction: 1, energyWh: 700 }),
        ],
        next: null,
      });
      const range = await history.sessions({ site, from: day + hour, to: day + 3 * hour });
      expect(range.rows.map((r) => r.transaction)).toEqual([3, 2]);
      expect((await history.sessions({ station: `sued-${own}` })).rows).toEqual([]);
      for (const cursor of ['', 'x', Buffer.from('[1,2,3]').toString('base64url'), `${one.next}A`])
        await expect(history.sessions({ charger, cursor })).rejects.toBeInstanceOf(BadCursor);
    });

    test('consumption counts running sessions by their registers and ended ones by their settlement', async () => {
      const charger = `CC-${own}`;
      const query = { charger, from: day, to: day + 24 * hour, step: 'hour', zone: 'UTC' } as const;
      const begun = { ...start(charger, 11, day + 30 * minute), site: `metered-${own}` };
      await history.insert('session_starts', [begun]);
      await history.insert('meter_values', [
        register(begun, day + 45 * minute, 2_000),
        register(begun, day + 60 * minute, 3_000),
        // Told by phase at another time, of another quantity, outside of the session: none counts twice.
        register(begun, day + 60 * minute, 17, { phase: 'L1', index: 5 }),
        register(begun, day + 60 * minute, 99, { location: 'Body', index: 6 }),
        register(begun, day + 61 * minute, 99, { transaction: null, index: 7 }),
      ]);
      expect(await history.consumption(query)).toEqual([{ at: day, energyWh: 2_000 }]);
      expect(await roll(charger, 11)).toBe(0);

      await history.insert('sessions', [ended(begun, day + 90 * minute, 4_500)]);
      const whole = [
        { at: day, energyWh: 2_000 },
        { at: day + hour, energyWh: 2_500 },
      ];
      // Before its rows are made, and after; made twice they count once.
      expect(await history.consumption(query)).toEqual(whole);
      expect(await roll(charger, 11)).toBe(1);
      expect(await history.consumption(query)).toEqual(whole);
      await roll(charger, 11);
      expect(await history.consumption({ ...query, charger: undefined, site: begun.site })).toEqual(whole);

      // Settled anew with another end: quarters that are left empty count nothing any more.
      await history.insert('sessions', [ended(begun, day + 60 * minute, 2_100, 2)]);
      await roll(charger, 11);
      expect(await history.consumption(query)).toEqual([{ at: day, energyWh: 2_100 }]);
      expect(await history.consumption({ ...query, from: day + hour })).toEqual([]);
    });

    test('a start that is told again, when its tag becomes known, is one running session', async () => {
      const charger = `CT-${own}`;
      const begun = { ...start(charger, 12, day), tag: '', received_at: dateTime(day) };
      const told = { ...begun, tag: 'DEMO0001', sequence: begun.sequence + 3, meter_start_wh: 1_500 };
      await history.insert('session_starts', [begun, told]);
      await history.insert('meter_values', [register(begun, day + 10 * minute, 2_000)]);
      const query = { charger, from: day, to: day + hour, step: 'hour', zone: 'UTC' } as const;
      expect(await history.consumption(query)).toEqual([{ at: day, energyWh: 500 }]);
      expect((await history.sessions({ charger })).rows.map((r) => r.tag)).toEqual(['DEMO0001']);
    });

    test('a day begins at the midnight of its zone, also where that is no full hour of UTC', async () => {
      const charger = `CZ-${own}`;
      // 18:00 to 19:00 UTC; midnight of Kathmandu is at 18:15 UTC.
      const begun = start(charger, 21, day + 18 * hour);
      await history.insert('session_starts', [begun]);
      await history.insert('sessions', [ended(begun, day + 19 * hour, 4_000)]);
      await roll(charger, 21);
      const query = { charger, from: day - 24 * hour, to: day + 48 * hour, step: 'day' } as const;
      expect(await history.consumption({ ...query, zone: 'Asia/Kathmandu' })).toEqual([
        { at: day - 24 * hour + 18.25 * hour, energyWh: 1_000 },
        { at: day + 18.25 * hour, energyWh: 3_000 },
      ]);
      expect(await history.consumption({ ...query, zone: 'UTC' })).toEqual([{ at: day, energyWh: 4_000 }]);
    });

    test('sessions to be made anew are found behind a position: ended, settled again, sampled late', async () => {
      const charger = `CD-${own}`;
      const [a, b, c] = [31, 32, 33].map((transaction) => start(charger, transaction, day)) as [
        HistoryRows['session_starts'],
        HistoryRows['session_starts'],
        HistoryRows['session_starts'],
      ];
      await history.insert('session_starts', [a, b, c]);
      await history.insert('sessions', [ended(a, day + hour, 1), ended(b, day + hour, 1)]);
      await history.insert('meter_values', [
        register(a, day + minute, 1_000, { sequence: 9_000 }),
        register(c, day + minute, 1_000, { sequence: 9_001 }),
      ]);
      const since = async (sequence: number) =>
        (await history.sessionsSince(new Map([[7, sequence]]), null, 1_000))
          .filter((key) => key.charger === charger)
          .map((key) => key.transaction)
          .sort();
      expect(await since(0)).toEqual([31, 32]);
      expect(await since(3_111)).toEqual([31, 32]);
      expect(await since(8_999)).toEqual([31]);
      expect(await since(9_000)).toEqual([]);
      const all = await history.sessionsSince(new Map(), null, 1_000);
      expect(all.filter((key) => key.charger === charger)).toHaveLength(2);
      const paged: typeof all = [];
      for (let page = all; page.length > 0;) {
        page = await history.sessionsSince(new Map(), paged.at(-1) ?? null, 1);
        paged.push(...page);
      }
      expect(paged).toEqual(all);
    });

    test('a reader goes on where it stood last, also behind a stream that was made anew', async () => {
      const reader = `reader-${own}`;
      expect(await history.readReaderPositions(reader)).toEqual(new Map());
      await history.writeReaderPositions(reader, [[0, 500]]);
      await new Promise((resolve) => setTimeout(resolve, 5));
      await history.writeReaderPositions(reader, [
        [0, 7],
        [1, 3],
      ]);
      expect(await history.readReaderPositions(reader)).toEqual(
        new Map([
          [0, 7],
          [1, 3],
        ]),
      );
    });

    const frames = (charger: string): TracedFrame[] => [
      [day, 'in', charger, 3, '', null, '[2,"a1","Heartbeat",{}]'],
      [day + 5, 'out', charger, 3, 'Heartbeat', 5, '[3,"a1",{"currentTime":"2026-05-15T00:00:00Z"}]'],
      [day + 10, 'out', charger, 3, '', null, '[2,"b-2","Reset",{"type":"Soft"}]'],
      [day + 10, 'in', charger, 3, 'Reset', 0, '[4,"b-2","NotSupported","no","{}"]'],
      [day + 20, 'in', charger, 3, '', null, 'Grüße, das ist kein JSON'],
      [day + 30, 'in', charger, 4, '', null, '[2,7,"StatusNotification",{"connectorId":1,"status":"Überfällig"}]'],
    ];

    test('messages of a charger come newest first, searched and filtered, each once although it was stored twice', async () => {
      const charger = `CM-${own}`;
      const rows = messageRows({ v: 1, gateway: 'gw-1', sequence: 1, dropped: 0, frames: frames(charger) });
      await history.insert('ocpp_messages', rows);
      await history.insert('ocpp_messages', rows);
      await history.insert('ocpp_messages', [{ ...rows[0]!, charger: `other-${own}` }]);
      const page = await history.messages({ charger });
      expect(page.rows.map((r) => [r.type, r.action, r.messageId, r.latencyMs])).toEqual([
        ['call', 'StatusNotification', '7', null],
        ['other', '', '', null],
        ['error', 'Reset', 'b-2', 0],
        ['call', 'Reset', 'b-2', null],
        ['result', 'Heartbeat', 'a1', 5],
        ['call', 'Heartbeat', 'a1', null],
      ]);
      expect(page.next).toBeNull();
      expect(page.rows[0]).toEqual({
        at: day + 30,
        direction: 'in',
        type: 'call',
        action: 'StatusNotification',
        messageId: '7',
        payload: '{"connectorId":1,"status":"Überfällig"}',
        connectionSeq: 4,
        latencyMs: null,
      });
      expect(page.rows[2]?.payload).toBe('["NotSupported","no","{}"]');
      const found = async (query: object) =>
        (await history.messages({ charger, ...query })).rows.map((r) => r.at - day);
      expect(await found({ q: 'überFÄLLIG' })).toEqual([30]);
      expect(await found({ q: 'B-2' })).toEqual([10, 10]);
      expect(await found({ q: '%' })).toEqual([]);
      expect(await found({ q: "'; DROP TABLE x; --" })).toEqual([]);
      expect(await found({ action: 'Reset', direction: 'in' })).toEqual([10]);
      expect(await found({ from: day + 5, to: day + 20 })).toEqual([10, 10, 5]);
    });

    test('pages of messages join without a seam, however small they are', async () => {
      const charger = `CP-${own}`;
      const many = Array.from({ length: 25 }, (_, i): TracedFrame => [
        day + Math.floor(i / 7),
        'in',
        charger,
        1,
        '',
        null,
        `[2,"${i}","Heartbeat",{}]`,
      ]);
      await history.insert(
        'ocpp_messages',
        messageRows({ v: 1, gateway: 'gw-1', sequence: 2, dropped: 0, frames: many }),
      );
      const ids: string[] = [];
      let cursor: string | null | undefined;
      while (cursor !== null) {
        const page: Awaited<ReturnType<HistoryStore['messages']>> = await history.messages({
          charger,
          limit: 4,
          ...(cursor === undefined ? {} : { cursor }),
        });
        ids.push(...page.rows.map((r) => r.messageId));
        cursor = page.next;
      }
      expect(ids).toEqual(many.map((_, i) => String(24 - i)));
      await expect(history.messages({ charger, cursor: 'bm8' })).rejects.toBeInstanceOf(BadCursor);
    });
  });
}
