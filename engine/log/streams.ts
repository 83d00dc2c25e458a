/** Every stream of an installation in one table: what provisioning creates and checks, and what it reserves on disk. */
import { internal, stream } from './subjects.ts';

/** The part of a stream's configuration that Gridtick relies on; every field is compared when the stream exists. */
export interface StreamDefinition {
  name: string;
  subjects: string[];
  storage: 'file';
  retention: 'limits';
  discard: 'new' | 'old';
  max_bytes: number;
  max_msgs: -1;
  max_msgs_per_subject: -1;
  /** Nothing expires by age: a server that was down for longer would delete everything at its start. */
  max_age: 0;
  allow_direct: false;
  num_replicas: number;
  republish?: { src: string; dest: string };
}

export interface LogSize {
  partitions: number;
  /** Factor on all sizes, fixed for the life of a data directory. @default 1 */
  scale?: number;
  /** Copies in a cluster. @default 1 */
  replicas?: number;
}

const MiB = 1024 * 1024;
/** Bytes at scale 1: command log, journal and snapshots per partition, each public stream, the trace of messages. */
export const streamBytes = {
  commands: 128 * MiB,
  journal: 4096 * MiB,
  snapshots: 512 * MiB,
  public: 1024 * MiB,
  messages: 256 * MiB,
} as const;

/** Kinds with a public stream; one more kind is one more word. */
export const publicKinds = [
  'price',
  'load',
  'meter',
  'charger',
  'session',
  'battery',
  'trade',
  'ledger',
  'signal',
  'audit',
] as const;
export type PublicKind = (typeof publicKinds)[number];

/** All streams of an installation. */
export function streamTable({ partitions, scale = 1, replicas = 1 }: LogSize): StreamDefinition[] {
  if (!(scale > 0)) throw new RangeError(`scale must be above 0: ${scale}`);
  if (!Number.isInteger(partitions) || partitions < 1)
    throw new RangeError(`partitions must be 1 or more: ${partitions}`);
  const define = (name: string, subjects: string[], discard: 'new' | 'old', bytes: number): StreamDefinition => ({
    name,
    subjects,
    storage: 'file',
    retention: 'limits',
    discard,
    max_bytes: Math.round(bytes * scale),
    max_msgs: -1,
    max_msgs_per_subject: -1,
    max_age: 0,
    allow_direct: false,
    num_replicas: replicas,
  });
  const table: StreamDefinition[] = [];
  for (let p = 0; p < partitions; p++) {
    table.push(define(stream.commands(p), [internal.commands(p)], 'new', streamBytes.commands));
    table.push(define(stream.journal(p), [internal.journal(p)], 'new', streamBytes.journal));
    table.push(define(stream.snapshots(p), [`s.${p}.>`], 'new', streamBytes.snapshots));
  }
  for (const kind of publicKinds) {
    const name = stream.public(kind);
    // Republished only after storing, so a refused append reaches no live subscriber.
    table.push({
      ...define(name, [`pub.${kind}.>`, internal.publicPosition(name)], 'old', streamBytes.public),
      republish: { src: `pub.${kind}.>`, dest: `${kind}.>` },
    });
  }
  // Not republished: it holds what chargers and customers said.
  table.push(define(stream.messages, ['raw.*'], 'old', streamBytes.messages));
  return table;
}

/** Sum of what all streams reserve, bytes. */
export const reservedBytes = (size: LogSize): number => streamTable(size).reduce((sum, s) => sum + s.max_bytes, 0);

/**
 * `max_file` for the server: 1.2 × what is reserved. nats-server compares reservations with this number only, never with
 * the disk (probed on 2.9.10), so a small disk needs no small scale: purging keeps the real use far below.
 */
export const maxFileBytes = (size: LogSize): number => Math.ceil(reservedBytes(size) * 1.2);
