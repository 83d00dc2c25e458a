/** What the OCPP edge needs of the command log: a small part of the engine's door. */
import type { EntityAddress } from '#actors/actor';
import type { CommandResult } from '#engine/wire';

export interface Command {
  /** null for facts, which carry a content key instead. */
  id: string | null;
  to: EntityAddress;
  type: string;
  body: Record<string, unknown>;
  correlation?: string | null;
  /** Facts of chargers are never refused because a partition is behind. */
  fact?: boolean;
}

export interface Door {
  readonly partitions: number;
  /** Resolves when the log holds the command. */
  append(command: Command): Promise<void>;
  /** Resolves with the committed decision. */
  request(command: Command & { timeoutMs?: number }): Promise<CommandResult>;
  /** By how much a living engine is behind with a partition, ms; 0 when none speaks for it. @default never behind */
  engineLagMs?(partition: number): number;
  /** Commands without publish acknowledgement. */
  readonly inFlight: number;
}

export interface Log {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}
