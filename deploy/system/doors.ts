/** The doors of an installation as outsiders use them: SQL, HTTP with a sign-in, the live socket, NATS as an integrator. */
import { jetstream } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { WebSocket } from 'ws';
import type { Price } from '#actors/schema/events';
import { integratorConsumer } from '#engine/log/provision';
import { integratorApiPrefix, stream } from '#engine/log/subjects';
import type { Endpoints } from '#engine/supervisor/endpoints';
import type { ServerFrame } from '#gateway/schema/live';

/** One SELECT as the analyst; rows as objects. */
export async function select<Row>({ clickhouse, analyst }: Endpoints, query: string): Promise<Row[]> {
  const answer = await fetch(`${clickhouse}/?default_format=JSONEachRow`, {
    method: 'POST',
    body: query,
    headers: { authorization: `Basic ${Buffer.from(`${analyst.user}:${analyst.password}`).toString('base64')}` },
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${query}\n${text}`);
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Row);
}

/** A signed-in operator. */
export class Operator {
  readonly #endpoints: Endpoints;
  readonly #cookie: string;

  private constructor(endpoints: Endpoints, cookie: string) {
    this.#endpoints = endpoints;
    this.#cookie = cookie;
  }

  static async signIn(endpoints: Endpoints): Promise<Operator> {
    const { email, password } = endpoints.logins.find(({ role }) => role === 'operator')!;
    const answer = await fetch(`${endpoints.api}/sign-in`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ email, password }),
    });
    if (!answer.ok) throw new Error(`sign-in: ${answer.status} ${await answer.text()}`);
    return new Operator(
      endpoints,
      answer.headers
        .getSetCookie()
        .map((cookie) => cookie.split(';')[0])
        .join('; '),
    );
  }

  /** The same sign-in at another address. */
  at(endpoints: Endpoints): Operator {
    return new Operator(endpoints, this.#cookie);
  }

  async get<T>(path: string): Promise<T> {
    const answer = await fetch(`${this.#endpoints.api}${path}`, { headers: { cookie: this.#cookie } });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${text}`);
    return JSON.parse(text) as T;
  }

  /** Follows a station as its page does; every price event is given to `onPrice`. Resolves with the first snapshot. */
  async follow(station: string, onPrice: (price: Price) => void): Promise<{ close(): void }> {
    const url = new URL('/live', this.#endpoints.dashboard);
    url.protocol = 'ws:';
    const socket = new WebSocket(url, { headers: { cookie: this.#cookie } });
    await new Promise<void>((resolve, reject) => {
      socket.on('error', reject);
      socket.on('open', () => socket.send(JSON.stringify({ op: 'sub', id: 1, topic: `station:${station}` })));
      socket.on('message', (data: Buffer) => {
        const frame = JSON.parse(data.toString()) as ServerFrame;
        if (frame.op === 'ping') socket.send('{"op":"pong"}');
        else if (frame.op === 'snap') resolve();
        else if (frame.op === 'refuse') reject(new Error(`live: ${frame.code}`));
        else if (frame.op === 'event' && frame.event.kind === 'price') onPrice(frame.event.price);
      });
    });
    return { close: () => socket.close() };
  }
}

export interface Replayed<T> {
  /** `partition:sequence:index` of the event in the journal. */
  at: string;
  payload: T;
}

/** Reads an integrator's consumer of a public stream to its end. It delivers every message once, so call it once. */
export async function replay<T>(nc: NatsConnection, user: string, kind: string): Promise<Replayed<T>[]> {
  const consumer = await jetstream(nc, { apiPrefix: integratorApiPrefix }).consumers.get(
    stream.public(kind),
    integratorConsumer(user),
  );
  const found: Replayed<T>[] = [];
  for (;;) {
    const { num_pending: pending } = await consumer.info();
    if (pending === 0) return found;
    for await (const message of await consumer.fetch({ max_messages: Math.min(pending, 1_000), expires: 5_000 })) {
      found.push({ at: message.headers?.get('Gridtick-At') ?? '', payload: message.json<T>() });
    }
  }
}
