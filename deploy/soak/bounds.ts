/** The bounds of a small log under a steady load: that streams went round in them, and that nothing of the load is missing. */
import type { NatsConnection } from '@nats-io/transport-node';
import { createClient } from '@clickhouse/client';
import { commandBounds, journalBounds, type Bounds } from '#engine/log/mod';
import { streamBytes } from '#engine/log/streams';
import { clickhouseUrl, type Place } from '#engine/supervisor/parts';

const unit = { KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 } as const;

/** `8MiB` of journal per partition as a GRIDTICK_LOG_SCALE; every other stream shrinks with it. Throws RangeError. */
export function scaleOf(text: string): number {
  const found = /^(\d+)(KiB|MiB|GiB)$/.exec(text);
  const scale = found ? (Number(found[1]) * unit[found[2] as keyof typeof unit]) / streamBytes.journal : 0;
  if (!(scale >= 0.001 && scale <= 16)) throw new RangeError(`--max-bytes ${text}: 5MiB to 64GiB`);
  return scale;
}

export interface Went {
  /** Bytes that were purged, as multiples of the bound: of the partition in which they are most. */
  commandsRounds: number;
  journalRounds: number;
  /** Largest share of its bound that any stream had when it was looked at. */
  fullest: number;
}

/** Looks at all streams now and then. */
export class BoundsWatch {
  readonly #nc: NatsConnection;
  readonly #partitions: number;
  #fullest = 0;
  #rounds = { commands: 0, journal: 0 };

  constructor(nc: NatsConnection, partitions: number) {
    this.#nc = nc;
    this.#partitions = partitions;
  }

  async look(): Promise<void> {
    for (let p = 0; p < this.#partitions; p++) {
      const found = { commands: await commandBounds(this.#nc, p), journal: await journalBounds(this.#nc, p) };
      for (const which of ['commands', 'journal'] as const) {
        this.#fullest = Math.max(this.#fullest, found[which].bytes / found[which].bytesMax);
        this.#rounds[which] = Math.max(this.#rounds[which], roundsOf(found[which]));
      }
    }
  }

  get went(): Went {
    return { commandsRounds: this.#rounds.commands, journalRounds: this.#rounds.journal, fullest: this.#fullest };
  }
}

/** By the mean size of what is there. */
const roundsOf = ({ first, messages, bytes, bytesMax }: Bounds) =>
  messages === 0 ? 0 : ((first - 1) * (bytes / messages)) / bytesMax;

/** MeterValues of which the history has the samples: each is one event of a journal. */
export async function metersStored(place: Place): Promise<number> {
  const { config, secrets } = place;
  const client = createClient({
    url: clickhouseUrl(place),
    username: config.clickhouseUser,
    password: config.clickhousePassword || secrets.clickhouse,
    request_timeout: 120_000,
  });
  try {
    const query = 'SELECT uniqExact(partition, sequence, `index`) AS meters FROM gridtick.meter_values';
    const [row] = await (await client.query({ query, format: 'JSONEachRow' })).json<{ meters: string }>();
    return Number(row?.meters ?? 0);
  } finally {
    await client.close();
  }
}
