/**
 * What the two versions of OCPP have in common for a charger: the same facts, told in other words, and the same orders,
 * heard in other words.
 */
import type { KeyName, SetOutcome } from './configuration.ts';
import type { ChargerMemory, Message } from './memory.ts';

export type Payload = Record<string, unknown>;
export type Frame = [action: string, payload: Payload];

/** Status of the connector, in the words of 1.6. */
export type PlugStatus = 'Available' | 'Preparing' | 'Charging' | 'SuspendedEV' | 'Finishing';
export type StopReason = 'EVDisconnected' | 'Remote' | 'SoftReset' | 'HardReset' | 'Local';
export type BootReason = 'PowerUp' | 'RemoteReset' | 'ScheduledReset' | 'Triggered';

/** What the system may ask of a charger. Every promise resolves when the effect would survive a power cut. */
export interface Orders {
  /** True when a session of that tag begins as soon as there is a car. */
  start(tag: string, connector: number | null, remoteStart: number | null): boolean;
  stop(transaction: unknown): Promise<boolean>;
  reset(how: 'soft' | 'hard' | 'idle'): Promise<'Accepted' | 'Scheduled'>;
  /** Ends the session of the connector without a boot. */
  resetConnector(): Promise<void>;
  set(key: KeyName, value: string): Promise<SetOutcome>;
  get(key: KeyName): string;
  /** Says what it is asked to say, after the answer; false: it cannot. */
  trigger(message: string): boolean;
}

/** Answers an order: a payload, or the code of a CALLERROR. */
export type Order = (orders: Orders, payload: Payload) => Payload | string | Promise<Payload | string>;

export interface Version {
  name: '1.6' | '2.0.1';
  protocol: 'ocpp1.6' | 'ocpp2.0.1';
  /** Starts and stops carry samples themselves, and the charger names the transaction. */
  eventful: boolean;
  /** Messages of a transaction may be delivered in any order. */
  anyOrder: boolean;
  /** The connectors that report a status after a boot; 0 is the charger itself. */
  connectors: readonly number[];
  statusName(status: PlugStatus): string;
  boot(identity: string, reason: BootReason): Frame;
  status(connector: number, status: string, at: number): Frame;
  card(tag: string): Frame;
  /** An owed message. A start must have been answered before anything else of its session is asked for. */
  message(memory: ChargerMemory, message: Message): Frame;
  /** What an answer says of a card; '' when it says nothing. */
  cardStatus(answer: Payload): string;
  orders: Readonly<Record<string, Order>>;
}

export const iso = (at: number) => new Date(at).toISOString();

export const objectOf = (value: unknown): Payload =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Payload) : {};

export const listOf = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);
export const textOf = (value: unknown): string => (typeof value === 'string' ? value : '');
