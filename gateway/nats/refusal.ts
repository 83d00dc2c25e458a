/** A typed no, as a value: given most often when there is least time, so it carries no stack. */
import type { RefusalCode } from '#actors/refusals';

export interface Refusal {
  ok: false;
  code: RefusalCode;
  detail?: Record<string, unknown>;
}

export const refusal = (code: RefusalCode, detail?: Record<string, unknown>): Refusal =>
  detail === undefined ? { ok: false, code } : { ok: false, code, detail };
