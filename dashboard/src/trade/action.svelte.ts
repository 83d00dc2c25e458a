/** One write as a button shows it: in place while it runs, its outcome until the next one. */
import { pathOf, type Answer, type Refused } from '../api.ts';
import { newId, outcomeUnknown, write, type Request } from './write.ts';

export type ActionState =
  | { state: 'idle' }
  | { state: 'pending' }
  | { state: 'refused'; refused: Refused }
  /** Nobody knows whether it was applied; asking again with the same id is safe. */
  | { state: 'unknown'; refused: Refused };

export class Action<T> {
  readonly #path: string;
  readonly #done: (value: T, body: Record<string, unknown>) => void;
  #state: ActionState = $state.raw({ state: 'idle' });
  #last: Request | null = null;

  /** `done` hears every success, also of a repeated request. */
  constructor(parts: readonly string[], done: (value: T, body: Record<string, unknown>) => void) {
    this.#path = pathOf(parts);
    this.#done = done;
  }

  get current(): ActionState {
    return this.#state;
  }
  get pending(): boolean {
    return this.#state.state === 'pending';
  }
  get refused(): Refused | null {
    return this.#state.state === 'refused' || this.#state.state === 'unknown' ? this.#state.refused : null;
  }
  /** Something new may be begun. */
  get free(): boolean {
    return this.#state.state === 'idle' || this.#state.state === 'refused';
  }

  /** Sends under a new id; null while another one runs or its outcome is not known. */
  async run(body: Record<string, unknown>): Promise<Answer<T> | null> {
    if (!this.free) return null;
    return this.#send({ path: this.#path, body: { ...body, id: newId() } });
  }

  /** Asks again under the same id. */
  async again(): Promise<void> {
    if (this.#last !== null && this.#state.state === 'unknown') await this.#send(this.#last);
  }

  forget(): void {
    if (this.free) this.#state = { state: 'idle' };
  }

  async #send(request: Request): Promise<Answer<T>> {
    this.#last = request;
    this.#state = { state: 'pending' };
    const answer = await write<T>(request);
    if (answer.ok) {
      this.#state = { state: 'idle' };
      this.#done(answer.value, request.body);
    } else this.#state = { state: outcomeUnknown(answer.code) ? 'unknown' : 'refused', refused: answer };
    return answer;
  }
}
