/** Bounds of the door; what is above is refused, nothing waits unseen. */
export interface Limits {
  /** Bytes of a request with one command. */
  commandBytesMax: number;
  /** Bytes of a request with a batch. */
  batchBytesMax: number;
  /** Commands of a batch. */
  batchMax: number;
  /** Commands that wait for their decision, of all integrators and of one. */
  inWorkMax: number;
  inWorkOfOneMax: number;
  /** Look-ups of outcomes at a time; each reads a piece of a journal. */
  lookUpsMax: number;
  /** How long a caller may ask to wait, and how long it waits when it does not say. */
  timeoutMsMax: number;
  timeoutMs: number;
  /** How long a stop waits for what is in work. */
  closeMs: number;
}

export const defaultLimits: Limits = {
  commandBytesMax: 64 * 1024,
  batchBytesMax: 256 * 1024,
  batchMax: 64,
  inWorkMax: 32_768,
  inWorkOfOneMax: 16_384,
  lookUpsMax: 4,
  timeoutMsMax: 30_000,
  timeoutMs: 10_000,
  closeMs: 2_000,
};
