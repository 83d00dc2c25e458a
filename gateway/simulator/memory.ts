/**
 * What a charger remembers across power cuts: its register, its sessions, its settings, the messages that nobody has
 * answered yet. Every change is a fact; memory is the fold of its facts, so a journal of facts is all that must be kept.
 *
 * Invariants: registers never fall; messages leave in the order of their numbers, each only when it was answered;
 * a message is rebuilt from its fact, so a resend has the same content under a new message id.
 */
import { wMsPerWh } from './car.ts';
import { waitsForBoot, type KeyName } from './configuration.ts';

/** A car that is no part of the plan: when it leaves, and what it takes in all. */
export interface Visit {
  endAt: number;
  wh: number;
}

/** A car that still stands at the plug without charging. */
export interface Parked {
  i: number;
  visit: Visit | null;
  untilAt: number;
  /** How long it has charged. */
  chargedMs: number;
}

export type Fact =
  /**
   * The transaction begins, the start of it is owed. `i` = number of the session in the timeline, −1 for a visit.
   * `w`: power told with the start; `tx`: the id that the charger gave (2.0.1); `chargedMs`: the car charged here before.
   */
  | {
      k: 'begin';
      c: string;
      n: number;
      i: number;
      tag: string;
      at: number;
      wh: number;
      w?: number;
      tx?: string;
      chargedMs?: number;
      visit?: Visit;
      remoteStart?: number;
      offline?: true;
    }
  /** Power and register at a moment are owed; `changed`: because the car began or ceased to draw. */
  | { k: 'sample'; c: string; n: number; at: number; w: number; wh: number; changed?: true; offline?: true }
  /**
   * The transaction ends, the stop of it is owed. `rest`: W·ms of the next Wh that the meter already turned. `told`:
   * sampled values that the stop itself carries.
   */
  | {
      k: 'end';
      c: string;
      n: number;
      at: number;
      wh: number;
      rest: number;
      reason: string;
      told?: number;
      parked?: Parked;
      offline?: true;
    }
  /** The status of a connector (0: the charger's own) is owed. Only chargers that run in lock-step queue it. */
  | { k: 'status'; c: string; n: number; at: number; connector: number; status: string }
  /** Session `i` did not come to a transaction. */
  | { k: 'skip'; c: string; i: number }
  /** The car that stood at the plug without charging has left. */
  | { k: 'left'; c: string }
  /** A key was set. */
  | { k: 'set'; c: string; key: KeyName; value: string }
  /** A reset was accepted; `idle`: for when no session runs. */
  | { k: 'reset'; c: string; idle: boolean }
  /** Registered; values that waited for a boot count from now on. */
  | { k: 'booted'; c: string }
  /** The message was answered; `tx` = the transactionId of a StartTransaction. */
  | { k: 'answer'; c: string; n: number; tx?: number }
  /** The system refused the message for good. */
  | { k: 'refused'; c: string; n: number; code: string };

export interface SessionMemory {
  /** Number of its first message: unlike `i` it never comes twice. */
  n: number;
  i: number;
  tag: string;
  startAt: number;
  startWh: number;
  stopAt: number | null;
  stopWh: number | null;
  /** 1.6: null until StartTransaction is answered. 2.0.1: the charger's own. */
  transaction: number | string | null;
  /** Its stop was answered. */
  settled: boolean;
  /** Messages of it so far. */
  messages: number;
  chargedMs: number;
  visit: Visit | null;
  remoteStart: number | null;
}

export interface Message {
  n: number;
  kind: 'start' | 'sample' | 'stop' | 'status';
  /** Number of the session it belongs to, and its place among that session's messages, from 0. */
  session: number;
  seq: number;
  at: number;
  w: number;
  wh: number;
  reason: string;
  /** Sampled values it carries. */
  values: number;
  /** Made without a line. */
  offline: boolean;
}

export interface ChargerMemory {
  /** Number of the next message, from 1. */
  next: number;
  /** Number of the last session of the timeline that was begun or left out; −1: none. */
  cursor: number;
  /** Register, Wh, and the W·ms beyond it. */
  wh: number;
  rest: number;
  /** Sampled values whose message was answered. */
  answeredSamples: number;
  answeredMessages: number;
  refusedMessages: number;
  sessions: SessionMemory[];
  /** Settled sessions that are no longer listed. */
  older: { sessions: number; wh: number };
  queue: Message[];
  lastSampleAt: number;
  parked: Parked | null;
  /** Values that were set, and those that count after the next boot. */
  keys: Partial<Record<KeyName, string>>;
  keysAtBoot: Partial<Record<KeyName, string>>;
  /** A reset that has not led to a boot. */
  reset: 'now' | 'idle' | null;
  /** The last status that was queued, by connector; and whether it was ever registered. Only of use in lock-step. */
  status: string;
  booted: boolean;
}

/** Sessions listed per charger; older settled ones are kept as a sum. */
const sessionsKept = 256;

/** A sample is power and register. */
export const valuesOfSample = 2;

export const newMemory = (): ChargerMemory => ({
  next: 1,
  cursor: -1,
  wh: 0,
  rest: 0,
  answeredSamples: 0,
  answeredMessages: 0,
  refusedMessages: 0,
  sessions: [],
  older: { sessions: 0, wh: 0 },
  queue: [],
  lastSampleAt: 0,
  parked: null,
  keys: {},
  keysAtBoot: {},
  reset: null,
  status: '',
  booted: false,
});

/** A memory as it was written, also by an earlier build, which knew less. */
export interface KeptMemory extends Omit<Partial<ChargerMemory>, 'sessions' | 'queue'> {
  sessions?: (Partial<SessionMemory> & Omit<SessionMemory, keyof typeof newSession | 'n'>)[];
  /** `i`: how an earlier build named the session of a message. */
  queue?: (Partial<Message> & Pick<Message, 'n' | 'kind' | 'at' | 'w' | 'wh' | 'reason'> & { i?: number })[];
}

const newSession = { messages: 0, chargedMs: 0, visit: null, remoteStart: null };

export function memoryOf({ sessions = [], queue = [], ...kept }: KeptMemory): ChargerMemory {
  return {
    ...newMemory(),
    ...kept,
    sessions: sessions.map((session) => ({ ...newSession, ...session, n: session.n ?? session.i })),
    queue: queue.map(({ i = 0, ...message }) => ({
      ...message,
      session: message.session ?? i,
      seq: message.seq ?? 0,
      values: message.values ?? (message.kind === 'sample' ? valuesOfSample : 0),
      offline: message.offline ?? false,
    })),
  };
}

/** The session that runs, if any: always the newest one. */
export function openSession(memory: ChargerMemory): SessionMemory | undefined {
  const last = memory.sessions.at(-1);
  return last !== undefined && last.stopAt === null ? last : undefined;
}

export const sessionOf = (memory: ChargerMemory, message: Message): SessionMemory | undefined =>
  memory.sessions.findLast((s) => s.n === message.session);

/** Register when the car has taken `wMs` since the start of the session. */
export const registerWh = (memory: ChargerMemory, session: SessionMemory, wMs: number): number =>
  session.startWh + Math.trunc((memory.rest + wMs) / wMsPerWh);

function owe(memory: ChargerMemory, message: Message) {
  if (message.n !== memory.next) throw new Error(`message ${message.n} is not the next one, ${memory.next}`);
  if (message.wh < memory.wh) throw new Error(`the register fell from ${memory.wh} to ${message.wh} Wh`);
  memory.next += 1;
  memory.wh = message.wh;
  memory.queue.push(message);
}

function settle(memory: ChargerMemory, n: number): Message | undefined {
  const head = memory.queue[0];
  if (head?.n !== n) return undefined;
  memory.queue.shift();
  const session = sessionOf(memory, head);
  if (head.kind === 'stop' && session !== undefined) session.settled = true;
  const oldest = memory.sessions[0];
  if (memory.sessions.length > sessionsKept && oldest?.settled === true) {
    memory.sessions.shift();
    memory.older.sessions += 1;
    memory.older.wh += (oldest.stopWh ?? oldest.startWh) - oldest.startWh;
  }
  return head;
}

/** Applies a fact. Throws when it breaks an invariant; an answer to what is no longer owed changes nothing. */
export function apply(memory: ChargerMemory, fact: Fact): void {
  const open = openSession(memory);
  switch (fact.k) {
    case 'begin': {
      if (open !== undefined) throw new Error(`session ${fact.i} begins while ${open.i} is open`);
      const { n, i, tag, at, wh, w, tx = null, chargedMs = 0, visit = null, remoteStart = null } = fact;
      const offline = fact.offline === true;
      const values = w === undefined ? 0 : valuesOfSample;
      owe(memory, { n, kind: 'start', session: n, seq: 0, at, w: w ?? 0, wh, reason: '', values, offline });
      if (w !== undefined) memory.lastSampleAt = at;
      memory.cursor = Math.max(memory.cursor, i);
      memory.parked = null;
      memory.sessions.push({
        n,
        i,
        tag,
        startAt: at,
        startWh: wh,
        stopAt: null,
        stopWh: null,
        transaction: tx,
        settled: false,
        messages: 1,
        chargedMs,
        visit,
        remoteStart,
      });
      return;
    }
    case 'sample': {
      if (open === undefined) throw new Error('a sample without a session');
      const { n, at, w, wh, changed, offline = false } = fact;
      const reason = changed === true ? 'changed' : '';
      const seq = open.messages;
      owe(memory, { n, kind: 'sample', session: open.n, seq, at, w, wh, reason, values: valuesOfSample, offline });
      open.messages += 1;
      memory.lastSampleAt = at;
      return;
    }
    case 'end': {
      if (open === undefined) throw new Error('an end without a session');
      const { n, at, wh, reason, told = 0, parked = null, offline = false } = fact;
      owe(memory, {
        n,
        kind: 'stop',
        session: open.n,
        seq: open.messages,
        at,
        w: 0,
        wh,
        reason,
        values: told,
        offline,
      });
      open.messages += 1;
      open.stopAt = at;
      open.stopWh = wh;
      memory.rest = fact.rest;
      memory.parked = parked;
      return;
    }
    case 'status': {
      const { n, at, connector, status } = fact;
      const { wh } = memory;
      // The connector of a status message stands where others have their place in a session.
      owe(memory, {
        n,
        kind: 'status',
        session: 0,
        seq: connector,
        at,
        w: 0,
        wh,
        reason: status,
        values: 0,
        offline: false,
      });
      if (connector > 0) memory.status = status;
      return;
    }
    case 'skip':
      memory.cursor = Math.max(memory.cursor, fact.i);
      return;
    case 'left':
      memory.parked = null;
      return;
    case 'set':
      (waitsForBoot(fact.key) ? memory.keysAtBoot : memory.keys)[fact.key] = fact.value;
      return;
    case 'reset':
      memory.reset = fact.idle ? 'idle' : 'now';
      return;
    case 'booted':
      memory.booted = true;
      memory.reset = memory.reset === 'idle' ? 'idle' : null;
      Object.assign(memory.keys, memory.keysAtBoot);
      memory.keysAtBoot = {};
      return;
    case 'answer': {
      const message = settle(memory, fact.n);
      if (message === undefined) return;
      memory.answeredMessages += 1;
      memory.answeredSamples += message.values;
      const session = sessionOf(memory, message);
      if (message.kind === 'start' && session !== undefined && fact.tx !== undefined) session.transaction = fact.tx;
      return;
    }
    case 'refused':
      if (settle(memory, fact.n) !== undefined) memory.refusedMessages += 1;
      return;
    default:
      return fact satisfies never;
  }
}
