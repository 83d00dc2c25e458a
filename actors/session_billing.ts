/**
 * Who pays for a session, and when. The owner of the tag at the start does, in parts: whenever the price has changed, 60 s
 * after the last bill, and at the end. Without an owner the energy is posted as unassigned at the end.
 *
 * B1 Energy between two samples has the price in force at the earlier one. So of the samples in one price period only the
 *    first counts: from there to the first sample of the next period all energy has its price.
 * B2 The periods tile the session: their energies add up to its total, whatever came late, twice or in another order.
 * B3 A bill brings what each period has to have beyond what was billed of it, so that a late sample or a settlement anew
 *    corrects it (a part may be negative) and the parts of all bills add up to the total.
 * B4 A bill and the energy's way from the inventory of the station to `transit` are one unit.
 */
import type { PartitionView } from './actor.ts';
import { customerAddress } from './addresses.ts';
import { tagEntry } from './charger_messages.ts';
import type { Outputs } from './machine.ts';
import { priceAt, type TimedPrice } from './price_hours.ts';
import type { MeteredPart } from './schema/customer_internal.ts';
import type { BilledPeriod, SessionState } from './schema/entities.ts';
import type { Point, SessionAdoptBody } from './schema/internal.ts';
import { energySoFar, type Mark } from './session_registers.ts';
import { fromInventory, unassignedOf } from './site_ledger.ts';
import { safe } from './units.ts';

const billEveryMs = 60_000;
/** Periods kept of one session; a late sample in an older one changes nothing any more. */
export const periodsMax = 64;

/** What billing must know of the partition. */
export interface BillingFacts {
  partition: number;
  /** Owner of the tag. */
  customer: string | null;
  /** Price at the start, and at each point. */
  start: TimedPrice | null;
  prices: TimedPrice[];
}

interface Told {
  tag?: string;
  at?: number;
  station?: string;
  reference?: string;
  from?: SessionAdoptBody['from'];
  points?: Point[];
}

/** Whether a tag that somebody knows stands behind it. */
export const isIdentified = (s: SessionState): boolean => s.tag !== '' && s.tagStatus !== 'Unknown';

/** Prices are looked up only for sessions that somebody pays for, or may be found to: with OCPP 2.x the tag can come late. */
export function billingFacts(view: PartitionView, id: string, body: Told): BillingFacts {
  const session = view.get<SessionState>('session', id)?.context;
  const identified = session !== undefined && isIdentified(session);
  const customer =
    session?.customer ?? (body.tag === undefined || identified ? null : (tagEntry(view, body.tag)?.customer ?? null));
  const station = session?.station ?? body.station;
  const open = !identified && (session?.reference ?? body.reference ?? '') !== '';
  if ((customer === null && !open) || station === undefined)
    return { partition: view.partition, customer, start: null, prices: [] };
  const startAt = body.tag === undefined || body.at === undefined ? null : Math.min(body.from?.at ?? body.at, body.at);
  return {
    partition: view.partition,
    customer,
    start: startAt === null ? null : priceAt(view, station, startAt),
    prices: (body.points ?? []).map(({ at }) => priceAt(view, station, at)),
  };
}

const period = ({ since, priceE5SekPerKwh }: TimedPrice, at: number, fromWh: number): BilledPeriod => ({
  since,
  at,
  fromWh,
  priceE5SekPerKwh,
  billedWh: 0,
});

/** Billing begins with the start. A start that comes after the end lies before all that is known and moves it up. */
export function begunBilling(
  before: SessionState,
  started: SessionState,
  { customer, start }: BillingFacts,
  now: number,
): SessionState {
  if (start === null) return started;
  const known = before.periods;
  const shiftWh = known.length === 0 ? 0 : before.meterStartWh - started.meterStartWh;
  const isFirst = ({ since }: BilledPeriod) => since === start.since;
  // What was billed of a period that turns out to lie before the start is given back: nothing is left of it.
  const empty = known
    .filter((p) => !isFirst(p) && p.at <= started.startAt)
    .map((p) => ({ ...p, at: started.startAt, fromWh: 0 }));
  // What lies before the oldest period that is kept was billed with periods that are forgotten.
  const forgottenWh = known[0]?.fromWh ?? 0;
  const first = {
    ...period(start, started.startAt, 0),
    billedWh: known.filter(isFirst).reduce((sum, p) => safe(sum + p.billedWh), forgottenWh),
  };
  const later = known
    .filter((p) => !isFirst(p) && p.at > started.startAt)
    .map((p) => ({ ...p, fromWh: Math.max(0, safe(p.fromWh + shiftWh)) }));
  return {
    ...started,
    customer,
    periods: [...empty, first, ...later],
    billedTo: known.length === 0 ? started.startAt : before.billedTo,
    billedAt: known.length === 0 ? now : before.billedAt,
  };
}

/** Puts a sample in; only the first of its price period counts (B1). */
function withMark(
  periods: readonly BilledPeriod[],
  at: number,
  energyWh: number,
  price: TimedPrice,
): readonly BilledPeriod[] {
  const i = periods.findLastIndex((known) => known.at <= at);
  const before = periods[i];
  const next = periods[i + 1];
  if (!before || before.since === price.since) return periods;
  // A sample that contradicts those around it cannot say where a period began.
  if (energyWh < before.fromWh || (next && energyWh > next.fromWh)) return periods;
  if (next?.since === price.since) return periods.with(i + 1, { ...next, at, fromWh: energyWh });
  return periods.toSpliced(i + 1, 0, period(price, at, energyWh));
}

export function marked(
  session: SessionState,
  points: readonly Point[],
  marks: readonly Mark[],
  { prices }: BillingFacts,
): SessionState {
  if (prices.length === 0 || (session.customer === null && session.periods.length >= periodsMax)) return session;
  let periods: readonly BilledPeriod[] = session.periods;
  for (const { of, energyWh } of marks) periods = withMark(periods, points[of]!.at, energyWh, prices[of]!);
  return periods === session.periods ? session : { ...session, periods: [...periods] };
}

/** The account of registers begins earlier than was known: all that came after has so much more before it. */
export function shifted(before: SessionState, after: SessionState): SessionState {
  const moreWh = before.meterStartAt === null ? 0 : safe(before.meterStartWh - after.meterStartWh);
  if (moreWh === 0 || after.periods.length < 2) return after;
  const [first, ...later] = after.periods;
  const moved = later.map((known) => ({ ...known, fromWh: Math.max(0, safe(known.fromWh + moreWh)) }));
  return { ...after, periods: [first!, ...moved] };
}

/** The periods billed up to `totalWh`, and what each price still has to get (B2, B3). */
function billed(periods: readonly BilledPeriod[], totalWh: number): { periods: BilledPeriod[]; parts: MeteredPart[] } {
  const byPrice = new Map<number, number>();
  const after = periods.map((known, i) => {
    const next = periods[i + 1];
    const from = i === 0 ? known.fromWh : Math.min(known.fromWh, totalWh);
    const billedWh = (next ? Math.min(next.fromWh, totalWh) : totalWh) - from;
    const { priceE5SekPerKwh } = known;
    byPrice.set(priceE5SekPerKwh, safe((byPrice.get(priceE5SekPerKwh) ?? 0) + billedWh - known.billedWh));
    return { ...known, billedWh };
  });
  const parts = [...byPrice].map(([priceE5SekPerKwh, energyWh]) => ({ energyWh, priceE5SekPerKwh }));
  return { periods: after, parts: parts.filter(({ energyWh }) => energyWh !== 0) };
}

interface Billing {
  session: SessionState;
  outputs: Outputs;
}

function bill(s: SessionState, totalWh: number, final: boolean, now: number, partition: number): Billing {
  const { periods, parts } = billed(s.periods, totalWh);
  const outputs: Outputs = s.billDueAt === null ? [] : [{ type: 'disarm', params: { name: 'bill' } }];
  const kept = periods.slice(-periodsMax);
  // Nothing to bill may still be many periods: a car that is full stands through every change of price.
  if (parts.length === 0 && !final) return { session: { ...s, periods: kept, billDueAt: null }, outputs };
  const batch = batchOf(s);
  const billedTo = Math.max(s.billedTo, s.endAt ?? s.lastSampleAt ?? s.startAt);
  const energyWh = parts.reduce((sum, part) => safe(sum + part.energyWh), 0);
  outputs.push(
    {
      type: 'send',
      params: {
        to: customerAddress(s.customer!),
        type: 'energy.metered',
        body: {
          site: s.site,
          station: s.station,
          charger: s.charger,
          transaction: s.transaction,
          tag: s.tag,
          batch,
          from: s.billedTo,
          to: billedTo,
          parts,
          final,
        },
      },
    },
    ...fromInventory(s.station, 'transit', energyWh, posting(s, batch, now, partition)),
  );
  const session = { ...s, periods: kept, batches: s.batches + 1, billedTo, billedAt: now, billDueAt: null };
  return { session, outputs };
}

const batchOf = (s: SessionState) => `session-${s.transaction}-${s.batches + 1}`;
const posting = (s: SessionState, batch: string, at: number, partition: number) =>
  ({ partition, batch, kind: 'metered', cause: `${s.site}/${s.transaction}`, at }) as const;

const lastPrice = (s: SessionState) => s.periods.at(-1)?.priceE5SekPerKwh;

/** After samples of a running session: bills at a change of price, else arms the timer. */
export function billRunning(before: SessionState, s: SessionState, now: number, partition: number): Billing {
  if (s.customer === null) return { session: s, outputs: [] };
  const totalWh = energySoFar(s);
  const dueAt = s.billedAt + billEveryMs;
  if (lastPrice(before) !== lastPrice(s) || s.periods.length > periodsMax || now >= dueAt)
    return bill(s, totalWh, false, now, partition);
  if (s.billDueAt !== null || billed(s.periods, totalWh).parts.length === 0) return { session: s, outputs: [] };
  return { session: { ...s, billDueAt: dueAt }, outputs: [{ type: 'arm', params: { name: 'bill', dueAt } }] };
}

/** The timer of the running session. */
export const billDue = (s: SessionState, now: number, partition: number): Billing =>
  s.customer === null
    ? { session: s, outputs: [] }
    : bill({ ...s, billDueAt: null }, energySoFar(s), false, now, partition);

/** The session has its total, for the first time or anew: what is still to be billed, or to be posted as unassigned. */
export function billSettled(s: SessionState, first: boolean, now: number, partition: number): Billing {
  const totalWh = s.energyWh ?? 0;
  const outputs: Outputs = [];
  let session = s;
  const unassignedWh = s.customer === null ? totalWh : 0;
  if (unassignedWh !== s.unassignedWh) {
    outputs.push(
      ...fromInventory(
        s.station,
        unassignedOf(s.station),
        unassignedWh - s.unassignedWh,
        posting(s, batchOf(s), now, partition),
      ),
    );
    session = { ...session, unassignedWh, batches: s.batches + 1 };
  }
  if (session.customer === null) return { session, outputs };
  if (!first && billed(session.periods, totalWh).parts.length === 0) return { session, outputs };
  const last = bill(session, totalWh, true, now, partition);
  return { session: last.session, outputs: [...outputs, ...last.outputs] };
}
