/**
 * What a connector draws, in W·ms, exactly. Power is piecewise constant: it acts from the log time at which its sample was
 * applied and holds until the next one or the end of the session.
 *
 * L1 No open session = 0 W.
 * L2 An open session without sample for max(30 s, 2 intervals) counts its highest power so far, or its rated power while
 *    there is none, from the instant the silence is that long.
 *    A charger that says that nothing flows (OCPP 2.x, charging state) is not silent until it says something else.
 * L3 `wMs` holds what was drawn in `slot` before `sinceMs`; all else follows from the fields, so a station's load can be
 *    rebuilt from its connectors at any time.
 */
import type { ConnectorState, FlowState } from './schema/entities.ts';
import { divideHalfEven, safe, type W } from './units.ts';

export const slotMs = 12_000;
export const slotOf = (now: number): number => Math.floor(now / slotMs);

const silenceMsMin = 30_000;
/** Beyond this a power is no power: such samples are set aside, so that sums stay exact. */
export const powerWMax = 1_000_000_000;

/** After how long without a sample a session counts as silent. */
export const silenceMs = (intervalMs: number): number => Math.max(silenceMsMin, 2 * intervalMs);

/**
 * The interval between samples as the charger seems to keep it: the newest gap, but never less than half the one before,
 * so that an extra sample in between does not make a slow charger look silent.
 */
export function intervalAfter(intervalMs: number, previousAt: number | null, at: number): number {
  if (previousAt === null || at <= previousAt) return intervalMs;
  return Math.max(at - previousAt, Math.floor(intervalMs / 2));
}

export const newConnector = (): ConnectorState => ({
  status: '',
  errorCode: '',
  statusAt: 0,
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
});

type Drawing = Pick<ConnectorState, 'powerW' | 'sinceMs' | 'slot' | 'wMs' | 'silentFromMs' | 'silentW' | 'assumedSlot'>;

/** W·ms drawn in [from, until) at the power in force. */
function drawn(c: Drawing, from: number, until: number): number {
  if (until <= from) return 0;
  const silentFrom = c.silentFromMs === null ? until : Math.min(Math.max(c.silentFromMs, from), until);
  return c.powerW * (silentFrom - from) + c.silentW * (until - silentFrom);
}

const assumed = (c: Drawing, from: number, until: number) =>
  c.silentFromMs !== null && c.silentFromMs < until && from < until;

/**
 * Brings the account up to `now`; what changes after it acts from `now` on. At a border the account of the slot that ends is
 * kept: a timer may fire at that very instant and before the price is made.
 */
export function advance<C extends Drawing>(c: C, now: number): C {
  if (now <= c.sinceMs) return c;
  const slot = slotOf(now - 1);
  const start = slot * slotMs;
  const from = Math.max(c.sinceMs, start);
  const before = c.slot === slot ? c.wMs : 0;
  return {
    ...c,
    sinceMs: now,
    slot,
    wMs: safe(before + drawn(c, from, now)),
    assumedSlot: assumed(c, from, now) ? slot : c.assumedSlot,
  };
}

/** A session begins: no power until its first sample, then silence counts as rated power. */
export const plugged = (
  c: ConnectorState,
  transaction: number,
  ratedW: number,
  meterStartWh: number | null,
  now: number,
): ConnectorState => ({
  ...advance(c, now),
  transaction,
  powerW: 0,
  silentFromMs: now + silenceMs(0),
  silentW: ratedW,
  lastSampleAt: null,
  lastEnergyWh: meterStartWh,
});

/** The charger says whether power flows, without a sample of it. */
export function stated(
  c: ConnectorState,
  flows: boolean,
  silentW: number,
  intervalMs: number,
  now: number,
): ConnectorState {
  if (flows) {
    if (c.silentFromMs !== null) return c;
    return { ...advance(c, now), silentFromMs: now + silenceMs(intervalMs), silentW };
  }
  if (c.silentFromMs === null && c.powerW === 0) return c;
  return { ...advance(c, now), powerW: 0, silentFromMs: null };
}

/** The session is over: nothing is drawn from now on. */
export const released = (c: ConnectorState, now: number): ConnectorState => ({
  ...advance(c, now),
  transaction: 0,
  powerW: 0,
  silentFromMs: null,
  silentW: 0,
});

export interface SlotLoad {
  wMs: number;
  stale: boolean;
}

/** What was drawn in a whole slot that has passed. A connector already beyond it no longer knows: 0. */
export function loadInSlot(c: Drawing, slot: number): SlotLoad {
  if (c.slot > slot) return { wMs: 0, stale: false };
  const start = slot * slotMs;
  const end = start + slotMs;
  const from = Math.max(c.sinceMs, start);
  const before = c.slot === slot ? c.wMs : 0;
  return {
    wMs: safe(before + drawn(c, from, end)),
    stale: (c.slot === slot && c.assumedSlot === slot) || assumed(c, from, end),
  };
}

// --- power that no meter tells: what customers' orders put on a station ---------------------------------------------------

const unmetered = { silentFromMs: null, silentW: 0, assumedSlot: null };

export const noFlow = (now: number): FlowState => ({ powerW: 0, sinceMs: now, slot: slotOf(now), wMs: 0 });

/** `powerW` acts from `now` on; it may be negative. */
export function flowing(flow: FlowState, powerW: number, now: number): FlowState {
  const { sinceMs, slot, wMs } = advance({ ...flow, ...unmetered }, now);
  return { powerW: safe(powerW), sinceMs, slot, wMs };
}

export const flowInSlot = (flow: FlowState, slot: number): SlotLoad => loadInSlot({ ...flow, ...unmetered }, slot);

/** Adds up a station or a site. */
export function sumLoads(loads: Iterable<SlotLoad>): SlotLoad {
  let wMs = 0;
  let stale = false;
  for (const load of loads) {
    wMs += load.wMs;
    stale ||= load.stale;
  }
  return { wMs: safe(wMs), stale };
}

/** Orders that sell more than is drawn leave no load, not a negative one. */
export const importOf = ({ wMs, stale }: SlotLoad): SlotLoad => ({ wMs: Math.max(wMs, 0), stale });

/** Time-weighted mean power, rounded half to even. */
export const meanW = (wMs: number, durationMs: number): W => safe(divideHalfEven(BigInt(wMs), BigInt(durationMs))) as W;
