/**
 * From registers to energy. A meter's register only counts up, so the energy of a session is what it gained:
 *
 * R1 Energy = sum of the non-negative differences; a drop of 1 Wh is the meter's rounding and counts nothing.
 * R2 A drop of more than 1 Wh is a reset (`meter_reset`): the segment so far is closed, a new one begins.
 * R3 A gain beyond rated power × time × 1.5 is not believed (`implausible`): that register is set aside. Without a clock
 *    there is no time to judge by, so all is believed.
 * R4 Total: stop − start when there was no reset, else the segments, else the integral of power (`integral`).
 * R5 A point older than the newest register changes nothing: between two registers only their difference counts.
 * R6 Where the start told no register (OCPP 2.x), energy counts from the earliest one since then; it may be heard last.
 */
import type { SessionState } from './schema/entities.ts';
import type { Point } from './schema/internal.ts';
import { intervalAfter } from './load.ts';
import { withFlags } from './machine.ts';
import { divideHalfEven, safe } from './units.ts';

const msPerHour = 3_600_000n;
/** Registers are read in whole Wh, so any difference may be off by one. */
const roundingWh = 1;
/** Chargers write their times in whole seconds. */
const resolutionMs = 1_000;

/** Whether `gainWh` can have flowed in `spanMs` at 1.5 times the rated power. */
export const plausible = (gainWh: number, spanMs: number, ratedW: number): boolean =>
  gainWh <= roundingWh ||
  BigInt(gainWh - roundingWh) * msPerHour * 2n <= BigInt(ratedW) * BigInt(Math.max(spanMs, 0) + resolutionMs) * 3n;

export interface Refused {
  at: number;
  registerWh: number;
  previousWh: number;
}

export type Registers = Pick<SessionState, 'segmentsWh' | 'segmentFromWh' | 'registerWh' | 'registerAt' | 'flags'>;

/** The registers after one more reading; `refused` when it cannot be believed. */
export function read<T extends Registers>(
  r: T,
  at: number,
  registerWh: number,
  ratedW: number,
): { registers: T; refused: Refused | null } {
  if (r.registerWh === null || r.registerAt === null || r.segmentFromWh === null) {
    return { registers: { ...r, segmentFromWh: registerWh, registerWh, registerAt: at }, refused: null };
  }
  if (at < r.registerAt) return { registers: r, refused: null };
  const gain = registerWh - r.registerWh;
  if (gain < -roundingWh) {
    const closed = safe(r.segmentsWh + (r.registerWh - r.segmentFromWh));
    const flags = withFlags(r.flags, 'meter_reset');
    return {
      registers: { ...r, segmentsWh: closed, segmentFromWh: registerWh, registerWh, registerAt: at, flags },
      refused: null,
    };
  }
  if (gain <= 0) return { registers: { ...r, registerAt: at }, refused: null };
  if (!r.flags.includes('clock') && !plausible(gain, at - r.registerAt, ratedW)) {
    return {
      registers: { ...r, flags: withFlags(r.flags, 'implausible') },
      refused: { at, registerWh, previousWh: r.registerWh },
    };
  }
  return { registers: { ...r, registerWh, registerAt: at }, refused: null };
}

type Account = Registers & Pick<SessionState, 'meterStartWh' | 'meterStartAt'>;

/** The account begins with this register: whatever was known of it before, what came after stays (R6). */
export function begins<T extends Account>(s: T, at: number, registerWh: number): T {
  const from = { ...s, meterStartWh: registerWh, meterStartAt: at };
  if (s.meterStartAt === null || s.registerWh === null || s.registerAt === null || s.registerAt < at)
    return { ...from, segmentsWh: 0, segmentFromWh: registerWh, registerWh, registerAt: at };
  const moreWh = s.meterStartWh - registerWh;
  // The count began anew between the two: the energy up to there is not known.
  if (moreWh < -roundingWh && at < s.meterStartAt) return { ...from, flags: withFlags(s.flags, 'meter_reset') };
  if (!s.flags.includes('meter_reset')) return { ...from, segmentFromWh: registerWh };
  return { ...from, segmentsWh: Math.max(0, safe(s.segmentsWh + moreWh)) };
}

/** Whether a register of that time moves the beginning of the account (R6); where the start told one, none does. */
function beginsAt(s: SessionState, at: number): boolean {
  if (s.reference === '') return false;
  if (s.meterStartAt === null) return s.startKey === '' || at >= s.startAt;
  return at < s.meterStartAt && (s.startKey === '' || (s.meterStartAt > s.startAt && at >= s.startAt));
}

/** R3 holds for what lies before, too. */
function earlierBy(
  s: SessionState,
  at: number,
  registerWh: number,
  ratedW: number,
): { session: SessionState; refused: Refused | null } {
  const believed =
    s.meterStartAt === null ||
    s.flags.includes('clock') ||
    plausible(s.meterStartWh - registerWh, s.meterStartAt - at, ratedW);
  if (believed) return { session: begins(s, at, registerWh), refused: null };
  const session = { ...s, flags: withFlags(s.flags, 'implausible') };
  return { session, refused: { at, registerWh, previousWh: s.meterStartWh } };
}

/** Nothing is known of where the energy began, or only where it ended (R6). */
export const startUnknown = (s: SessionState): boolean => {
  if (s.startKey !== '' && s.meterStartAt !== null && s.meterStartAt <= s.startAt) return false;
  return s.meterStartAt === null ? s.startKey === '' : s.meterStartAt >= s.endAt!;
};

export const gainedWh = (r: Registers): number => safe(r.segmentsWh + ((r.registerWh ?? 0) - (r.segmentFromWh ?? 0)));

/** How much a session had drawn at the time of a sample; `of` = the point that says so. */
export interface Mark {
  of: number;
  energyWh: number;
}

/** What a register between two known ones says; after a reset nobody can tell which count it belongs to. */
const lateMark = (session: SessionState, of: number, registerWh: number): Mark | null =>
  session.flags.includes('meter_reset') || session.segmentFromWh === null
    ? null
    : { of, energyWh: registerWh - session.segmentFromWh };

/** The running session after the points of one message, oldest first. */
export function sampled(
  session: SessionState,
  points: readonly Point[],
  samples: number,
  ratedW: number,
): { session: SessionState; refused: Refused[]; marks: Mark[] } {
  let next: SessionState = { ...session, samples: session.samples + samples };
  const refused: Refused[] = [];
  const marks: Mark[] = [];
  for (const [of, point] of points.entries()) {
    const late = next.lastSampleAt !== null && point.at < next.lastSampleAt;
    if (point.registerWh !== null && beginsAt(next, point.at)) {
      const earlier = earlierBy(next, point.at, point.registerWh, ratedW);
      next = { ...earlier.session, registers: next.registers + 1 };
      if (earlier.refused) refused.push(earlier.refused);
      else marks.push({ of, energyWh: 0 });
    } else if (point.registerWh !== null) {
      const overtaken = next.registerAt !== null && point.at < next.registerAt;
      const reading = read(next, point.at, point.registerWh, ratedW);
      next = { ...reading.registers, registers: next.registers + 1 };
      if (reading.refused) refused.push(reading.refused);
      else {
        const mark = overtaken ? lateMark(next, of, point.registerWh) : { of, energyWh: gainedWh(next) };
        if (mark) marks.push(mark);
      }
    }
    if (late) continue;
    const heldMs = next.lastSampleAt === null ? 0 : point.at - next.lastSampleAt;
    next = {
      ...next,
      // The power of a sample holds until the next one.
      integralWMs: integrated(next.integralWMs, next.powerW ?? 0, heldMs),
      intervalMs: intervalAfter(next.intervalMs, next.lastSampleAt, point.at),
      lastSampleAt: point.at,
      powerW: point.powerW ?? next.powerW,
      maxW: Math.max(next.maxW, point.powerW ?? 0),
    };
    if (next.registers === 0) marks.push({ of, energyWh: energySoFar(next) });
  }
  return { session: next, refused, marks };
}

/** What a running session has drawn: by its registers, or by its power while none was sampled. */
export const energySoFar = (s: SessionState): number =>
  s.registers > 0 ? gainedWh(s) : Math.max(gainedWh(s), Number(BigInt(s.integralWMs) / msPerHour));

/** Exact as long as it stays a safe integer: 9·10¹⁵ W·ms are 2.5 GWh. */
const integrated = (wMs: number, powerW: number, ms: number): number => {
  const sum = wMs + Math.max(powerW, 0) * ms;
  return Number.isSafeInteger(sum) ? sum : wMs;
};

/** A stop's register closes the account: it counts as read after the newest sample, even when its clock says otherwise. */
export function stopped(
  session: SessionState,
  at: number,
  meterStopWh: number,
  ratedW: number,
): { session: SessionState; refused: Refused[] } {
  const readAt = Math.max(at, session.registerAt ?? at);
  const { registers, refused } = read(session, readAt, meterStopWh, ratedW);
  if (refused === null || at === readAt)
    return { session: { ...registers, meterStopWh }, refused: refused ? [refused] : [] };
  // Its time is out of order: judged by the whole session instead.
  const whole = plausible(meterStopWh - session.meterStartWh, readAt - session.startAt, ratedW);
  const believed = whole ? { ...session, registerWh: meterStopWh, registerAt: readAt } : registers;
  return { session: { ...believed, meterStopWh }, refused: whole ? [] : [refused] };
}

/** The total of an ended session and the flags that say how it was found. */
export function settled(s: SessionState): { energyWh: number | null; flags: string[] } {
  if (s.flags.includes('unknown_start')) return { energyWh: null, flags: s.flags };
  const integralWh = safe(divideHalfEven(BigInt(s.integralWMs), msPerHour));
  const reset = s.flags.includes('meter_reset');
  const stopBelieved =
    s.meterStopWh !== null &&
    s.registerWh !== null &&
    s.meterStopWh >= s.meterStartWh &&
    s.meterStopWh <= s.registerWh + roundingWh;
  const registers = !reset && stopBelieved ? s.meterStopWh! - s.meterStartWh : gainedWh(s);
  // No register was ever sampled and start equals stop, yet power flowed: the charger has no meter of energy.
  if (registers === 0 && s.registers === 0 && integralWh > 0 && !s.flags.includes('implausible')) {
    return { energyWh: integralWh, flags: withFlags(s.flags, 'integral') };
  }
  return { energyWh: registers, flags: s.flags };
}
