/** What the door counts; bounded by the number of integrators and of refusal codes. */
import type { RefusalCode } from '#actors/refusals';

export class Counters {
  requests = 0;
  /** Requests whose reply address is none: nobody was told, nothing was done. */
  unanswerable = 0;
  /** Requests refused as a whole, by code. */
  readonly refusedRequests: Partial<Record<RefusalCode, number>> = {};
  /** Commands by integrator and outcome. */
  readonly commands: Record<string, Partial<Record<RefusalCode | 'ok', number>>> = {};

  refused(code: RefusalCode): void {
    this.refusedRequests[code] = (this.refusedRequests[code] ?? 0) + 1;
  }

  decided(integrator: string, outcome: RefusalCode | 'ok'): void {
    const of = (this.commands[integrator] ??= {});
    of[outcome] = (of[outcome] ?? 0) + 1;
  }
}
