/**
 * What an installation holds when its chargers are at rest, read at every place where it is kept: the chargers' own
 * memories, the journal, the public streams and ClickHouse.
 */
import { standingsOf } from '#engine/commands/standing';
import { commandBounds, connectLog, journalBounds, tailJournalBatches } from '#engine/log/mod';
import { RecordFilter } from '#engine/partition/record_filter';
import { verifyPartitions, type PartitionVerdict } from '#engine/partition/verify';
import { verifyMoney } from '#engine/partition/verify_money';
import { decodeImage } from '#actors/codec';
import { domain } from '#actors/mod';
import type { Meter, Price, PublicEvent, SessionEvent } from '#actors/schema/events';
import type { StationState } from '#actors/schema/entities';
import type { NatsConnection } from '@nats-io/transport-node';
import type { JournalEntry } from '#engine/wire';
import type { Figures } from '#gateway/simulator/fleet';
import { replay, select, type Replayed } from './doors.ts';
import { executedAgain } from './executed_again.ts';
import { type PowerSample, type SessionMark, type StationFacts } from './expected_prices.ts';
import { until, type Installation } from './installation.ts';

const partitions = Array.from({ length: 16 }, (_, p) => p);
/** A row of `meter_values` counts within its event in this base. */
const samplesMax = 4_096;

export interface SessionRow {
  charger: string;
  transaction: number;
  meter_start_wh: number;
  meter_stop_wh: number;
  energy_wh: number;
  started_at_ms: number;
  ended_at_ms: number;
}

export interface PriceRow {
  slot: number;
  produced_at_ms: number;
  valid_until_ms: number;
  load_w: number;
  capacity_w: number;
  utilisation_bp: number;
  tier: string;
  import_open: boolean;
  price_e5_sek_per_kwh: number;
}

export type Table = 'meter_values' | 'prices' | 'sessions' | 'charger_events';

export interface AtRest {
  figures: Figures;
  /** Public events of the journal by kind, each as `partition:sequence:index`; strays left out. */
  journal: Map<PublicEvent['kind'], string[]>;
  /** What the integrator's consumers delivered, up to the same end of the journal. */
  streams: Map<PublicEvent['kind'], string[]>;
  /** Places of the rows of each view, up to the same end. */
  rows: Record<Table, string[]>;
  /** The rows that the journal's events are to make. */
  rowsDue: Record<Table, string[]>;
  meterRowsPerCharger: Map<string, number>;
  /** Rows that say the same thing as another one: same charger, connector, time and measurand. */
  meterRowsTwice: number;
  sessions: SessionRow[];
  prices: Price[];
  station: StationFacts;
  marks: SessionMark[];
  samples: PowerSample[];
  verdicts: PartitionVerdict[];
  /** Where books do not add up. */
  moneyProblems: string[];
  /** Records that do not come out of their commands again. */
  replayProblems: string[];
}

type Events = { at: string; event: PublicEvent }[];

/** Calls `onRecord` for every record that counts, up to `last` of each partition. */
async function readRecords(
  nc: NatsConnection,
  last: readonly number[],
  onRecord: (entry: JournalEntry) => void,
): Promise<void> {
  for (const partition of partitions) {
    const end = last[partition]!;
    if (end === 0) continue;
    const filter = new RecordFilter();
    let finish!: () => void;
    const complete = new Promise<undefined>((resolve) => (finish = () => resolve(undefined)));
    const reader = await tailJournalBatches(nc, partition, 1, (records) => {
      for (const { sequence, record } of records)
        if (sequence <= end && filter.accepts(record)) onRecord({ partition, sequence, record });
      if ((records.at(-1)?.sequence ?? 0) >= end) finish();
    });
    const failure = await Promise.race([complete, reader.ended]);
    await reader.stop();
    if (failure) throw failure;
  }
}

const endOfJournals = (nc: NatsConnection): Promise<number[]> =>
  Promise.all(partitions.map(async (p) => (await journalBounds(nc, p)).last));

/** Meter values are answered once they are stored, so an engine that was just killed may not have decided on all of them. */
async function decided(nc: NatsConnection): Promise<void> {
  const stored = await Promise.all(partitions.map(async (p) => (await commandBounds(nc, p)).last));
  await until('every stored command is decided', 30_000, async () => {
    const standings = await standingsOf(nc, partitions.length);
    return standings.every(({ partition, offset }) => offset >= stored[partition]!) ? true : undefined;
  });
}

/** How often users, names and tags were written: seeding writes them, and nothing else does. */
export async function seededImages(coreUrl: string): Promise<number> {
  const core = await connectLog(coreUrl, 'system test');
  let images = 0;
  await readRecords(core, await endOfJournals(core), ({ record }) => {
    images += record.entities.filter(({ kind }) => ['user', 'name', 'tag'].includes(kind)).length;
  });
  await core.close();
  return images;
}

/** All public events of the journals up to `last`, and the station's facts as its first image has them. */
async function readJournals(nc: NatsConnection, last: readonly number[], stationId: string) {
  const events: Events = [];
  let station: StationState | undefined;
  await readRecords(nc, last, ({ partition, sequence, record }) => {
    for (const [i, event] of record.events.entries()) events.push({ at: `${partition}:${sequence}:${i}`, event });
    const image = record.entities.find(({ kind, id }) => kind === 'station' && id === stationId)?.image;
    if (image) {
      const definition = domain.actors.find(({ kind }) => kind === 'station')!;
      station ??= decodeImage(definition, image).context as StationState;
    }
  });
  if (!station) throw new Error(`no station ${stationId} in the journals`);
  return { events, station };
}

/** Reads everything once the projections have come to the end of the journals. Verifies the journals, too. */
export async function atRest(
  installation: Installation,
  figures: Figures,
  { station: stationId, ratedW }: { station: string; ratedW: number },
): Promise<AtRest> {
  const { endpoints } = installation;
  const core = await connectLog(installation.coreUrl, 'system test');
  const outside = await connectLog(installation.integratorUrl, 'system test');
  try {
    await decided(core);
    const last = await endOfJournals(core);
    const { events, station } = await readJournals(core, last, stationId);
    const within = (at: string) => {
      const [partition, sequence] = at.split(':').map(Number) as [number, number];
      return sequence <= last[partition]!;
    };
    const ofKind = (kind: PublicEvent['kind']) => events.filter(({ event }) => event.kind === kind);
    const kinds = ['price', 'load', 'meter', 'charger', 'session'] as const;

    const replays = new Map<string, Replayed<unknown>[]>(kinds.map((kind) => [kind, []]));
    await until('the public streams reach the end of the journals', 30_000, async () => {
      let missing = false;
      for (const kind of kinds) {
        const known = replays.get(kind)!;
        known.push(...(await replay<unknown>(outside, endpoints.integrator.user, kind)));
        if (known.filter(({ at }) => within(at)).length < ofKind(kind).length) missing = true;
      }
      return missing ? undefined : true;
    });
    const streams = new Map(
      kinds.map(
        (kind) =>
          [
            kind,
            replays
              .get(kind)!
              .map(({ at }) => at)
              .filter(within)
              .sort(),
          ] as const,
      ),
    );

    const bound = `(${partitions.map((p) => `(partition = ${p} AND sequence <= ${last[p]})`).join(' OR ')})`;
    const places = async (view: string) =>
      (
        await select<{ at: string }>(
          endpoints,
          `SELECT concat(toString(partition), ':', toString(sequence), ':', toString(\`index\`)) AS at FROM ${view} WHERE ${bound}`,
        )
      )
        .map(({ at }) => at)
        .sort();
    // `sessions` shows the newest settlement of each transaction.
    const settled = new Map<number, { at: string; version: number }>();
    for (const { at, event } of ofKind('session')) {
      const { transaction, state, version } = event.payload as SessionEvent;
      if (state === 'ended' && version > (settled.get(transaction)?.version ?? 0))
        settled.set(transaction, { at, version });
    }
    const meterPlaces = ofKind('meter').flatMap(({ at, event }) => {
      const [partition, sequence, index] = at.split(':').map(Number) as [number, number, number];
      return (event.payload as Meter).samples.map((_, i) => `${partition}:${sequence}:${index * samplesMax + i}`);
    });
    const rowsDue: AtRest['rowsDue'] = {
      meter_values: meterPlaces.sort(),
      prices: ofKind('price')
        .map(({ at }) => at)
        .sort(),
      sessions: [...settled.values()].map(({ at }) => at).sort(),
      charger_events: ofKind('charger')
        .map(({ at }) => at)
        .sort(),
    };
    const tables = Object.keys(rowsDue) as Table[];
    const readRows = async () =>
      Object.fromEntries(
        await Promise.all(tables.map(async (table) => [table, await places(table)])),
      ) as AtRest['rows'];
    const rows = await until('ClickHouse reaches the end of the journals', 30_000, async () => {
      const stored = await readRows();
      return tables.every((table) => stored[table].length >= rowsDue[table].length) ? stored : undefined;
    });

    const meterRows = await select<{ charger: string; rows: string | number }>(
      endpoints,
      'SELECT charger, count() AS rows FROM meter_values GROUP BY charger',
    );
    const [doubles] = await select<{ twice: string | number }>(
      endpoints,
      'SELECT count() - count(DISTINCT charger, connector, sampled_at, measurand) AS twice FROM meter_values',
    );
    const samples = await select<Record<string, string | number>>(
      endpoints,
      `SELECT charger, connector, transaction, toUnixTimestamp64Milli(sampled_at) AS sampledAt,
         toUnixTimestamp64Milli(received_at) AS receivedAt, power_w AS powerW, sequence, intDiv(\`index\`, ${samplesMax}) AS event
       FROM meter_values WHERE measurand = 'Power.Active.Import' AND station = '${stationId}'`,
    );
    const sessions = await select<Record<string, string | number>>(
      endpoints,
      `SELECT charger, transaction, meter_start_wh, meter_stop_wh, energy_wh,
         toUnixTimestamp64Milli(started_at) AS started_at_ms, toUnixTimestamp64Milli(ended_at) AS ended_at_ms FROM sessions`,
    );
    const marks = (replays.get('session') as Replayed<SessionEvent>[]).map(({ at, payload }): SessionMark => {
      const [, sequence, index] = at.split(':').map(Number) as [number, number, number];
      const { charger, connector, transaction, state, receivedAt } = payload;
      return { charger, connector, transaction, state, receivedAt, sequence, index };
    });
    return {
      figures,
      journal: new Map(
        kinds.map((kind) => [
          kind,
          ofKind(kind)
            .map(({ at }) => at)
            .sort(),
        ]),
      ),
      streams,
      rows,
      rowsDue,
      meterRowsPerCharger: new Map(meterRows.map(({ charger, rows }) => [charger, Number(rows)])),
      meterRowsTwice: Number(doubles!.twice),
      sessions: sessions.map(
        (row) =>
          Object.fromEntries(
            Object.entries(row).map(([name, value]) => [name, name === 'charger' ? value : Number(value)]),
          ) as unknown as SessionRow,
      ),
      prices: (replays.get('price') as Replayed<Price>[]).map(({ payload }) => payload),
      station: {
        createdAt: station.createdAt,
        capacityW: station.capacityW,
        baseE5SekPerKwh: station.baseE5SekPerKwh,
        ratedW,
      },
      marks,
      samples: samples.map((row) => ({
        charger: String(row.charger),
        connector: Number(row.connector),
        transaction: row.transaction === null ? null : Number(row.transaction),
        sampledAt: Number(row.sampledAt),
        receivedAt: Number(row.receivedAt),
        powerW: Number(row.powerW),
        sequence: Number(row.sequence),
        index: Number(row.event),
      })),
      verdicts: await verifyPartitions(core, partitions),
      moneyProblems: (await verifyMoney(core, domain, partitions.length)).problems,
      replayProblems: await executedAgain(installation.dataDir),
    };
  } finally {
    await outside.close();
    await core.close();
  }
}
