/** The one way a request fails on purpose: throw it with a code of the catalogue. */
import { refusals, type RefusalCode } from '#actors/refusals';

export class Refused extends Error {
  override readonly name = 'Refused';
  readonly code: RefusalCode;
  readonly detail: Record<string, unknown> | undefined;
  /** Read by Fastify and its plugins. */
  readonly statusCode: number;

  constructor(code: RefusalCode, detail?: Record<string, unknown>) {
    super(refusals[code].text);
    this.code = code;
    this.detail = detail;
    this.statusCode = refusals[code].status;
  }
}
