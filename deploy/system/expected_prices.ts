/**
 * What the prices of a station must have been, worked out anew from what was published: sampled values and the starts and
 * ends of sessions, each acting from the log's time at which it was applied. Shares no code with the actors.
 */
export interface PowerSample {
  charger: string;
  connector: number;
  transaction: number | null;
  /** Time of the charger and of the log, unix ms. */
  sampledAt: number;
  receivedAt: number;
  powerW: number;
  /** Place in the journal, for what happened in the same millisecond. */
  sequence: number;
  index: number;
}

export interface SessionMark {
  charger: string;
  connector: number;
  transaction: number;
  state: 'started' | 'ended';
  receivedAt: number;
  sequence: number;
  index: number;
}

export interface StationFacts {
  createdAt: number;
  capacityW: number;
  baseE5SekPerKwh: number;
  /** Rated power of each of its chargers. */
  ratedW: number;
}

export interface ExpectedPrice {
  slot: number;
  loadW: number;
  utilisationBp: number;
  tier: 'normal' | 'double' | 'triple' | 'capped';
  priceE5SekPerKwh: number;
  importOpen: boolean;
}

const slotMs = 12_000;

/** `powerW` in force from `fromMs` on, until the next step. */
interface Step {
  fromMs: number;
  powerW: number;
}

/** Power of one connector over time. */
function steps(marks: readonly SessionMark[], samples: readonly PowerSample[], ratedW: number): Step[] {
  type Fact = { mark: SessionMark } | { sample: PowerSample };
  // What is told together with a start (OCPP 2.0.1) counts from that start on, wherever it stands in the record.
  const starts = new Map(marks.filter(({ state }) => state === 'started').map((mark) => [mark.transaction, mark]));
  const placeOf = (sample: PowerSample) => {
    const start = sample.transaction === null ? undefined : starts.get(sample.transaction);
    const isTold = start?.sequence === sample.sequence && start.index > sample.index;
    return isTold ? { ...sample, index: start.index + 0.5 } : sample;
  };
  const at = (fact: Fact) => ('mark' in fact ? fact.mark : placeOf(fact.sample));
  const facts: Fact[] = [...marks.map((mark) => ({ mark })), ...samples.map((sample) => ({ sample }))];
  // A start that displaces an open session first ends that one; otherwise the journal's order decides.
  facts.sort(
    (a, b) => at(a).receivedAt - at(b).receivedAt || at(a).sequence - at(b).sequence || at(a).index - at(b).index,
  );
  const result: Step[] = [];
  let open: { transaction: number; lastAt: number | null; gapMs: number; highestW: number | null } | null = null;
  /** From when on the open session counts as silent, and with what. */
  let silence: { fromMs: number; powerW: number } | null = null;
  const step = (fromMs: number, powerW: number) => {
    if (silence !== null && silence.fromMs < fromMs) result.push({ fromMs: silence.fromMs, powerW: silence.powerW });
    silence = null;
    result.push({ fromMs, powerW });
  };
  for (const fact of facts) {
    if ('mark' in fact) {
      const { transaction, state, receivedAt } = fact.mark;
      if (state === 'started') {
        open = { transaction, lastAt: null, gapMs: 0, highestW: null };
        step(receivedAt, 0);
        silence = { fromMs: receivedAt + 30_000, powerW: ratedW };
      } else if (open?.transaction === transaction) {
        open = null;
        step(receivedAt, 0);
      }
      continue;
    }
    const { transaction, sampledAt, receivedAt, powerW } = fact.sample;
    if (open?.transaction !== transaction || (open.lastAt !== null && sampledAt < open.lastAt)) continue;
    if (open.lastAt !== null && sampledAt > open.lastAt) {
      open.gapMs = Math.max(sampledAt - open.lastAt, Math.floor(open.gapMs / 2));
    }
    open.lastAt = sampledAt;
    open.highestW = Math.max(open.highestW ?? 0, powerW);
    step(receivedAt, powerW);
    silence = { fromMs: receivedAt + Math.max(30_000, 2 * open.gapMs), powerW: open.highestW };
  }
  if (silence !== null) result.push(silence);
  return result;
}

/** W·ms per slot. */
function perSlot(ofConnector: readonly Step[], untilMs: number, into: Map<number, bigint>): void {
  for (const [i, { fromMs, powerW }] of ofConnector.entries()) {
    const endMs = Math.min(ofConnector[i + 1]?.fromMs ?? untilMs, untilMs);
    for (let at = fromMs; at < endMs;) {
      const slot = Math.floor(at / slotMs);
      const cut = Math.min((slot + 1) * slotMs, endMs);
      into.set(slot, (into.get(slot) ?? 0n) + BigInt(powerW) * BigInt(cut - at));
      at = cut;
    }
  }
}

const halfEven = (n: bigint, d: bigint): bigint => {
  const [whole, twice] = [n / d, (n % d) * 2n];
  return twice > d || (twice === d && whole % 2n === 1n) ? whole + 1n : whole;
};

const names = ['normal', 'double', 'triple', 'capped'] as const;

/** 80 % is still normal, 80.01 % double; a tier is left downward at two points below its boundary. */
function tierOf(before: ExpectedPrice['tier'], utilisationBp: number): ExpectedPrice['tier'] {
  const reached = utilisationBp > 12_000 ? 3 : utilisationBp > 10_000 ? 2 : utilisationBp > 8_000 ? 1 : 0;
  const held = utilisationBp > 11_800 ? 3 : utilisationBp > 9_800 ? 2 : utilisationBp > 7_800 ? 1 : 0;
  return names[Math.max(reached, Math.min(held, names.indexOf(before)))]!;
}

/** The price of each of the given slots (those that were produced), in their order. */
export function expectedPrices(
  produced: readonly number[],
  station: StationFacts,
  marks: readonly SessionMark[],
  samples: readonly PowerSample[],
): ExpectedPrice[] {
  const untilMs = (Math.max(...produced) + 1) * slotMs;
  const load = new Map<number, bigint>();
  const connectors = new Map<string, { marks: SessionMark[]; samples: PowerSample[] }>();
  const of = ({ charger, connector }: { charger: string; connector: number }) => {
    const name = `${charger} ${connector}`;
    const known = connectors.get(name) ?? { marks: [], samples: [] };
    connectors.set(name, known);
    return known;
  };
  for (const mark of marks) of(mark).marks.push(mark);
  for (const sample of samples) of(sample).samples.push(sample);
  for (const own of connectors.values()) perSlot(steps(own.marks, own.samples, station.ratedW), untilMs, load);
  let tier: ExpectedPrice['tier'] = 'normal';
  return [...produced]
    .sort((a, b) => a - b)
    .map((slot) => {
      const wMs = load.get(slot - 1) ?? 0n;
      const durationMs = BigInt(slot * slotMs - Math.max((slot - 1) * slotMs, station.createdAt));
      const capacity = BigInt(station.capacityW) * durationMs;
      const utilisationBp = Number((wMs * 10_000n + capacity - 1n) / capacity);
      tier = tierOf(tier, utilisationBp);
      const factor = { normal: 1, double: 2, triple: 3, capped: 3 }[tier];
      return {
        slot,
        loadW: Number(halfEven(wMs, durationMs)),
        utilisationBp,
        tier,
        priceE5SekPerKwh: station.baseE5SekPerKwh + (factor - 1) * Math.max(station.baseE5SekPerKwh, 20_000),
        importOpen: tier !== 'capped',
      };
    });
}
