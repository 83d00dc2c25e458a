/** A customer who trades by the HTTP API; whoever is not told asks again under the same id, signed in as before. */
import { commandSeries, password, trade, type Told } from './money_plan.ts';
import { sleep } from './installation.ts';
import type { CommandResult } from '#engine/wire';

const nobodyKnows = new Set(['unavailable', 'overloaded', 'starting']);

export class Person {
  readonly id: string;
  readonly #base: string;
  #cookie: string | null = null;

  constructor(base: string, id: string) {
    this.#base = base;
    this.id = id;
  }

  /** Plays a round of the plan. */
  async trade(round: number, onTold: (told: Told) => void): Promise<void> {
    await trade(this.id, round, async (n, type, body) => {
      const id = `${commandSeries.api}:${n}`;
      const whole = withCents(body);
      const result = await this.#decided(id, type, whole);
      onTold({ id, customer: this.id, type, body: whole, result });
      return result;
    });
  }

  /** How the API answers at this moment when this person wants a price: status and code. */
  async asksForPrice(station: string): Promise<string> {
    this.#cookie ??= await this.#signIn();
    const answer = await fetch(`${this.#base}/api/stations/${station}/quote`, {
      headers: { cookie: this.#cookie },
      signal: AbortSignal.timeout(15_000),
    });
    const { code = 'ok' } = (await answer.json()) as { code?: string };
    return `${answer.status} ${code}`;
  }

  async #decided(id: string, type: string, body: Record<string, unknown>): Promise<CommandResult> {
    const { amountE5Sek, ...rest } = body as { amountE5Sek?: number };
    const sent = amountE5Sek === undefined ? rest : { ...rest, amount: (amountE5Sek / 100_000).toFixed(2) };
    for (;;) {
      const answer = await this.#post('/api/commands', { commands: [{ id, type, body: sent }] });
      const result = (answer as { results?: (CommandResult & { id: string })[] } | null)?.results?.[0];
      if (result && (result.ok || !nobodyKnows.has(result.code))) {
        const { id: _, ...outcome } = result;
        return outcome;
      }
      await sleep(100);
    }
  }

  /** null: no answer, or one that says nothing of the command. */
  async #post(path: string, body: object): Promise<unknown> {
    try {
      this.#cookie ??= await this.#signIn();
      const answer = await this.#fetch(path, body);
      if (answer.status === 401) this.#cookie = null;
      const said: unknown = await answer.json();
      if (answer.status >= 400 && answer.status < 500 && ![401, 429].includes(answer.status))
        throw new Refused(`${path}: ${JSON.stringify(said)}`);
      return answer.ok ? said : null;
    } catch (error) {
      if (error instanceof Refused) throw error;
      return null;
    }
  }

  async #signIn(): Promise<string> {
    const answer = await this.#fetch('/api/sign-in', { email: `${this.id}@kvarter.example`, password });
    await answer.body?.cancel();
    if (!answer.ok) throw new Error(`sign-in: ${answer.status}`);
    return answer.headers.getSetCookie()[0]!.split(';')[0]!;
  }

  #fetch(path: string, body: object): Promise<Response> {
    return fetch(this.#base + path, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...(this.#cookie === null ? {} : { cookie: this.#cookie }) },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(15_000),
    });
  }
}

/** The API takes whole hundredths of a krona. */
function withCents(body: Record<string, unknown>): Record<string, unknown> {
  const { amountE5Sek } = body as { amountE5Sek?: number };
  return amountE5Sek === undefined ? body : { ...body, amountE5Sek: Math.floor(amountE5Sek / 1_000) * 1_000 };
}

class Refused extends Error {
  override readonly name = 'Refused';
}
