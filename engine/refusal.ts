/** A question that cannot be answered as it was asked; the code is one of the catalogue, the text is for people. */
import type { RefusalCode } from '#actors/refusals';

export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly code: RefusalCode;
  readonly detail: Record<string, unknown>;

  constructor(code: RefusalCode, message: string, detail: Record<string, unknown> = {}) {
    super(message);
    this.code = code;
    this.detail = detail;
  }
}
