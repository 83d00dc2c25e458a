/** A replica in memory whose changes tests make themselves: one partition's journal after the other. */
import type { ChargerState, ConnectorState, SessionState, SiteState, StationState } from '#actors/schema/entities';
import { tradingNothing } from '#actors/customer';
import type { CustomerState, OrderState } from '#actors/schema/customer_entities';
import type { Price, PublicEvent, Trade } from '#actors/schema/events';
import { partitionOf } from '#actors/partition_key';
import type { WebSocket } from 'ws';
import type { ServerFrame } from '../schema/live.ts';
import type { GridChange, GridEntity, GridReplica } from './grid.ts';
import type { JournalPosition } from './source.ts';

type Change = { kind: string; id: string; value?: string | null; context: object | null };

export class MemoryReplica implements GridReplica {
  ready = true;
  readonly partitions: number;
  readonly #entities = new Map<string, Map<string, GridEntity<unknown>>>();
  readonly #positions = new Map<number, number>();
  readonly #changeListeners = new Set<(change: GridChange) => void>();
  readonly #eventListeners = new Set<(events: PublicEvent[], at: JournalPosition) => void>();

  constructor(partitions = 16) {
    this.partitions = partitions;
  }

  get<C>(kind: string, id: string): GridEntity<C> | undefined {
    return this.#entities.get(kind)?.get(id) as GridEntity<C> | undefined;
  }
  all<C>(kind: string): Iterable<GridEntity<C>> {
    return (this.#entities.get(kind)?.values() ?? []) as Iterable<GridEntity<C>>;
  }
  onChange(listener: (change: GridChange) => void): () => void {
    this.#changeListeners.add(listener);
    return () => this.#changeListeners.delete(listener);
  }
  onEvents(listener: (events: PublicEvent[], at: JournalPosition) => void): () => void {
    this.#eventListeners.add(listener);
    return () => this.#eventListeners.delete(listener);
  }
  position(partition: number): number {
    return this.#positions.get(partition) ?? 0;
  }

  /** One commit record in the partition of `key`. `context` null removes. */
  commit(key: string, changes: Change[], events: PublicEvent[] = [], now = Date.now()): JournalPosition {
    const partition = partitionOf(key, this.partitions);
    const sequence = this.position(partition) + 1;
    const at = { partition, sequence };
    for (const { kind, id, value = null, context } of changes) {
      let entities = this.#entities.get(kind);
      if (entities === undefined) this.#entities.set(kind, (entities = new Map<string, GridEntity<unknown>>()));
      const before = entities.get(id);
      const after = context === null ? undefined : { kind, id, value, context, partition, sequence };
      if (after) entities.set(id, after);
      else entities.delete(id);
      for (const listener of this.#changeListeners) listener({ kind, id, before, after, at, now });
    }
    this.#positions.set(partition, sequence);
    if (events.length > 0) for (const listener of this.#eventListeners) listener(events, at);
    return at;
  }
}

export const aSite = (changes: Partial<SiteState> = {}): SiteState => ({
  name: 'Demo',
  timeZone: 'Europe/Stockholm',
  capacityW: 200_000,
  createdAt: 1,
  profile0Networks: [],
  slot: null,
  loadW: null,
  stale: false,
  ...changes,
});
export const aStation = (changes: Partial<StationState> = {}): StationState => ({
  site: 'demo',
  name: 'Nord 1',
  capacityW: 138_000,
  baseE5SekPerKwh: 100_000,
  createdAt: 1,
  slot: null,
  producedAt: null,
  loadW: null,
  utilisationBp: null,
  priceE5SekPerKwh: null,
  importOpen: true,
  stale: false,
  draws: { powerW: 0, sinceMs: 0, slot: 0, wMs: 0 },
  ...changes,
});
export const aConnector = (changes: Partial<ConnectorState> = {}): ConnectorState => ({
  status: 'Available',
  errorCode: 'NoError',
  statusAt: 1_000,
  transaction: 0,
  powerW: 0,
  sinceMs: 0,
  slot: 0,
  wMs: 0,
  silentFromMs: null,
  silentW: 0,
  assumedSlot: null,
  lastSampleAt: null,
  lastEnergyWh: null,
  ...changes,
});
export const aCharger = (changes: Partial<ChargerState> = {}): ChargerState => ({
  site: 'demo',
  station: 'nord-1',
  ratedW: 11_040,
  createdAt: 1,
  securityProfile: 0,
  passwordHash: '',
  vendor: 'Sim',
  model: 'S1',
  serial: '1',
  firmware: '1.0',
  bootedAt: 1,
  connectionSeq: 1,
  connection: { gateway: 'g', connection: 'c', protocol: 'ocpp1.6', since: 1 },
  online: true,
  lastHeardAt: 1,
  connectors: [aConnector()],
  ...changes,
});
export const aSession = (changes: Partial<SessionState> = {}): SessionState => ({
  site: 'demo',
  station: 'nord-1',
  charger: 'CP-0001',
  connector: 1,
  transaction: 7,
  tag: 'DEMO0007',
  tagStatus: 'Accepted',
  startKey: 'k',
  tagExpiresAt: null,
  tagGroup: null,
  startAt: 1_000,
  startedAt: 1_000,
  meterStartWh: 5_000,
  segmentsWh: 0,
  segmentFromWh: 5_000,
  registerWh: 5_600,
  registerAt: 2_000,
  integralWMs: 0,
  samples: 1,
  registers: 1,
  powerW: 11_040,
  lastSampleAt: 2_000,
  intervalMs: 10_000,
  maxW: 11_040,
  endAt: null,
  endedAt: null,
  meterStopWh: null,
  energyWh: null,
  reason: '',
  stopKey: '',
  stopHash: '',
  stopToken: null,
  flags: [],
  version: 0,
  customer: null,
  periods: [],
  batches: 0,
  billedTo: 0,
  billedAt: 0,
  billDueAt: null,
  unassignedWh: 0,
  reference: '',
  remoteStartId: null,
  meterStartAt: 0,
  ...changes,
});

/** 100 SEK free, 50,000 Wh in a battery that nothing flows into. */
export const aCustomer = (changes: Partial<CustomerState> = {}): CustomerState => ({
  name: 'Anna',
  createdAt: 1,
  presentUntil: 0,
  creditLimitE5Sek: 0,
  sek: { available: 10_000_000, pending: 0 },
  wh: { available: 50_000, pending: 0 },
  capacityWh: 100_000,
  sinceAt: 1,
  powerW: 0,
  orders: [],
  sessions: [],
  tags: [],
  credit: 'ok',
  orderCount: 0,
  batchCount: 0,
  drawCount: 0,
  ...tradingNothing,
  ...changes,
});
/** 10 kWh at 1.00 SEK/kWh of nord-1, held. */
export const anOrder = (order: string, changes: Partial<OrderState> = {}): OrderState => ({
  order,
  side: 'buy',
  site: 'demo',
  station: 'nord-1',
  slot: 5,
  energyWh: 10_000,
  priceE5SekPerKwh: 100_000,
  held: 1_000_000,
  state: 'held',
  heldAt: 60_000,
  expiresAt: 120_000,
  committedAt: null,
  deliveredWh: 0,
  settledE5Sek: 0,
  powerW: null,
  flowWMs: 0,
  ...changes,
});
/** What the journal says of a step of {@link anOrder}. */
export const aTrade = (customer: string, order: string, changes: Partial<Trade> = {}): Trade => ({
  customer,
  order,
  side: 'buy',
  state: 'held',
  at: 60_000,
  site: 'demo',
  station: 'nord-1',
  slot: 5,
  energyWh: 10_000,
  priceE5SekPerKwh: 100_000,
  amountE5Sek: 1_000_000,
  deliveredWh: 0,
  settledE5Sek: 0,
  expiresAt: 120_000,
  ...changes,
});
export const tradeEvent = (trade: Trade): PublicEvent => ({
  kind: 'trade',
  subject: `trade.${trade.customer}`,
  payload: trade,
});
/** The price that slot `slot` of nord-1 has at 80.00 %. */
export const aPrice = (slot: number, changes: Partial<Price> = {}): Price => ({
  station: 'nord-1',
  slot,
  producedAt: slot * 12_000,
  loadW: 110_400,
  capacityW: 138_000,
  utilisationBp: 8_000,
  tier: 'normal',
  importOpen: true,
  priceE5SekPerKwh: 100_000,
  validUntil: slot * 12_000 + 24_000,
  ...changes,
});

/** The demo site: nord-1 with CP-0001 (charging 11,040 W as transaction 7) and CP-0002 (available). */
export function demoReplica(): MemoryReplica {
  const replica = new MemoryReplica();
  replica.commit('demo', [
    { kind: 'site', id: 'demo', value: 'open', context: aSite() },
    { kind: 'station', id: 'nord-1', value: 'unpriced', context: aStation() },
    {
      kind: 'charger',
      id: 'CP-0001',
      value: 'accepted',
      context: aCharger({
        connectors: [aConnector({ status: 'Charging', transaction: 7, powerW: 11_040, lastSampleAt: 2_000 })],
      }),
    },
    { kind: 'charger', id: 'CP-0002', value: 'accepted', context: aCharger() },
    { kind: 'session', id: '7', value: 'energising', context: aSession() },
  ]);
  return replica;
}

/** Produces slot `slot` of nord-1: the station's new state and the public event, in one record. */
export function producePrice(replica: MemoryReplica, slot: number, changes: Partial<Price> = {}): Price {
  const price = aPrice(slot, changes);
  const { producedAt, loadW, utilisationBp, priceE5SekPerKwh, importOpen, tier } = price;
  replica.commit(
    'demo',
    [
      {
        kind: 'station',
        id: 'nord-1',
        value: tier,
        context: aStation({ slot, producedAt, loadW, utilisationBp, priceE5SekPerKwh, importOpen }),
      },
    ],
    [{ kind: 'price', subject: 'price.nord-1', payload: price }],
  );
  return price;
}

/** Everything a socket is sent, in order and as text, for tests that look at all of it. */
export class Recorder {
  readonly frames: ServerFrame[] = [];
  readonly texts: string[] = [];
  readonly #waiting = new Set<() => void>();

  constructor(ws: WebSocket) {
    ws.on('message', (data) => {
      const text = (data as Buffer).toString();
      this.texts.push(text);
      this.frames.push(JSON.parse(text) as ServerFrame);
      for (const look of this.#waiting) look();
    });
  }

  /** The first frame that is so; waits for it. */
  async until<F extends ServerFrame = ServerFrame>(isIt: (frame: ServerFrame) => boolean): Promise<F> {
    const find = () => this.frames.find(isIt);
    for (;;) {
      const found = find();
      if (found) return found as F;
      await new Promise<void>((resolve) => {
        const look = () => {
          if (!find()) return;
          this.#waiting.delete(look);
          resolve();
        };
        this.#waiting.add(look);
      });
    }
  }
}
