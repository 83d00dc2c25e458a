/**
 * What a charger remembers across power cuts: its register, its sessions, the messages that nobody has answered yet.
 * Every change is a fact; memory is the fold of its facts, so a journal of facts is all that must be kept.
 *
 * Invariants: registers never fall; messages leave in the order of their numbers, each only when it was answered;
 * a message is rebuilt from its fact, so a resend has the same content under a new message id.
 */
import { wMsPerWh } from './car.ts';

export type Fact =
  /** The transaction begins: a StartTransaction is owed. `i` = number of the session in the timeline. */
  | { k: 'begin'; c: string; n: number; i: number; tag: string; at: number; wh: number }
  /** Power and register at a moment: a MeterValues is owed. */
  | { k: 'sample'; c: string; n: number; at: number; w: number; wh: number }
  /** The transaction ends: a StopTransaction is owed. `rest`: W·ms of the next Wh that the meter already turned. */
  | { k: 'end'; c: string; n: number; at: number; wh: number; rest: number; reason: string }
  /** Session `i` did not come to a transaction. */
  | { k: 'skip'; c: string; i: number }
  /** The message was answered; `tx` = the transactionId of a StartTransaction. */
  | { k: 'answer'; c: string; n: number; tx?: number }
  /** The system refused the message for good. */
  | { k: 'refused'; c: string; n: number; code: string };

export interface SessionMemory {
  i: number;
  tag: string;
  startAt: number;
  startWh: number;
  stopAt: number | null;
  stopWh: number | null;
  /** null until StartTransaction is answered. */
  transaction: number | null;
  /** Its StopTransaction was answered. */
  settled: boolean;
}

export interface Message {
  n: number;
  kind: 'start' | 'sample' | 'stop';
  /** The session it belongs to. */
  i: number;
  at: number;
  w: number;
  wh: number;
  reason: string;
}

export interface ChargerMemory {
  /** Number of the next message, from 1. */
  next: number;
  /** Number of the last session of the timeline that was begun or left out; −1: none. */
  cursor: number;
  /** Register, Wh, and the W·ms beyond it. */
  wh: number;
  rest: number;
  /** Sampled values whose MeterValues was answered. */
  answeredSamples: number;
  answeredMessages: number;
  refusedMessages: number;
  sessions: SessionMemory[];
  /** Settled sessions that are no longer listed. */
  older: { sessions: number; wh: number };
  queue: Message[];
  lastSampleAt: number;
}

/** Sessions listed per charger; older settled ones are kept as a sum. */
const sessionsKept = 256;

/** Each MeterValues carries power and register. */
export const samplesPerMessage = 2;

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
});

/** The session that runs, if any: always the newest one. */
export function openSession(memory: ChargerMemory): SessionMemory | undefined {
  const last = memory.sessions.at(-1);
  return last !== undefined && last.stopAt === null ? last : undefined;
}

export const sessionOf = (memory: ChargerMemory, i: number): SessionMemory | undefined =>
  memory.sessions.findLast((s) => s.i === i);

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
  const session = sessionOf(memory, head.i);
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
      const { n, i, tag, at, wh } = fact;
      owe(memory, { n, kind: 'start', i, at, w: 0, wh, reason: '' });
      memory.cursor = i;
      memory.sessions.push({
        i,
        tag,
        startAt: at,
        startWh: wh,
        stopAt: null,
        stopWh: null,
        transaction: null,
        settled: false,
      });
      return;
    }
    case 'sample': {
      if (open === undefined) throw new Error('a sample without a session');
      const { n, at, w, wh } = fact;
      owe(memory, { n, kind: 'sample', i: open.i, at, w, wh, reason: '' });
      memory.lastSampleAt = at;
      return;
    }
    case 'end': {
      if (open === undefined) throw new Error('an end without a session');
      const { n, at, wh, reason } = fact;
      owe(memory, { n, kind: 'stop', i: open.i, at, w: 0, wh, reason });
      open.stopAt = at;
      open.stopWh = wh;
      memory.rest = fact.rest;
      return;
    }
    case 'skip':
      memory.cursor = Math.max(memory.cursor, fact.i);
      return;
    case 'answer': {
      const message = settle(memory, fact.n);
      if (message === undefined) return;
      memory.answeredMessages += 1;
      if (message.kind === 'sample') memory.answeredSamples += samplesPerMessage;
      const session = sessionOf(memory, message.i);
      if (message.kind === 'start' && session !== undefined) session.transaction = fact.tx ?? null;
      return;
    }
    case 'refused':
      if (settle(memory, fact.n) !== undefined) memory.refusedMessages += 1;
      return;
    default:
      return fact satisfies never;
  }
}

const iso = (at: number) => new Date(at).toISOString();

/** Action and payload of an owed message, OCPP 1.6. Start must have been answered before anything else is asked for. */
export function frameOf(memory: ChargerMemory, message: Message): [action: string, payload: Record<string, unknown>] {
  const session = sessionOf(memory, message.i);
  if (session === undefined) throw new Error(`message ${message.n} belongs to no session`);
  const timestamp = iso(message.at);
  if (message.kind === 'start') {
    return ['StartTransaction', { connectorId: 1, idTag: session.tag, meterStart: message.wh, timestamp }];
  }
  // −1: the start was refused for good, so no id will ever be known (errata: a charger then sends an id of its own).
  const transactionId = session.transaction ?? -1;
  if (message.kind === 'stop') {
    const { wh: meterStop, reason } = message;
    return ['StopTransaction', { transactionId, idTag: session.tag, meterStop, timestamp, reason }];
  }
  const value = (measurand: string, unit: string, number: number) => ({
    value: String(number),
    context: 'Sample.Periodic',
    measurand,
    location: 'Outlet',
    unit,
  });
  const sampledValue = [
    value('Power.Active.Import', 'W', message.w),
    value('Energy.Active.Import.Register', 'Wh', message.wh),
  ];
  return ['MeterValues', { connectorId: 1, transactionId, meterValue: [{ timestamp, sampledValue }] }];
}
