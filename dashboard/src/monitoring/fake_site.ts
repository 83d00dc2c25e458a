/**
 * A stand-in for API and live server together: one site with two stations and as many chargers as a test wants, half of
 * them OCPP 1.6 and half 2.0.1. Tests say what changes and read what was asked for.
 */
import type { DeviceCommandView } from '#actors/schema/device_commands';
import type { Message, Session } from '#gateway/schema/history';
import type { Charger, Connector, Site } from '#gateway/schema/mod';
import type { TreeNode } from '#gateway/schema/live';
import { vi } from 'vitest';
import { FakeSocket } from '../live/fake_server.ts';

type Json = Record<string, unknown>;
interface Answer {
  status: number;
  body: unknown;
}
export const refusal = (code: string, status: number, detail: Json = {}): Answer => ({
  status,
  body: { ok: false, code, detail, correlation: `c-${code}` },
});

export const aCharger = (n: number, connectors: Partial<Connector>[] = [{}]): Charger => {
  const charger = `CP-${String(n).padStart(4, '0')}`;
  const station = n % 2 === 1 ? 'nord-1' : 'sued-1';
  const common = { charger, station, online: true, status: 'Available', errorCode: 'NoError', statusAt: Date.now() };
  const idle = { w: 0, at: null, intervalMs: null, transaction: null, tag: null, startAt: null, energyWh: null };
  return {
    ...{ charger, site: 'demo', station, state: 'accepted', online: true, lastHeardAt: Date.now() },
    ...{ protocol: n % 2 === 1 ? 'ocpp1.6' : 'ocpp2.0.1', vendor: 'Gridtick', model: 'Test', firmware: '1.0' },
    ...{ ratedW: 11_000, w: connectors.reduce((sum, { w = 0 }) => sum + w, 0), actions: { live: true } },
    connectors: connectors.map((more, i) => ({ ...common, ...idle, connector: i + 1, ...more })),
  };
};
export const charging = (more: Partial<Connector> = {}): Partial<Connector> => ({
  ...{ status: 'Charging', w: 7_400, at: Date.now(), intervalMs: 10_000, transaction: 7, tag: '…007' },
  ...{ startAt: Date.now() - 3_600_000, energyWh: 6_123 },
  ...more,
});

export class FakeSite {
  readonly chargers = new Map<string, Charger>();
  /** Every request, `GET /api/loads?…`. */
  readonly heard: { method: string; path: string; body: Json }[] = [];
  /** Instead of the answer to a path that begins so, without the query. */
  readonly instead = new Map<string, Answer>();
  rights = ['view_site', 'view_station', 'view_charger', 'view_prices'];
  loads: Json[] = [];
  consumption: Json[] = [];
  sessions: Session[] = [];
  messages: Message[] = [];
  commands: DeviceCommandView[] = [];
  socket: FakeSocket | null = null;
  readonly #topics = new Map<string, { id: number; cursor: string }>();
  #cursor = 0;

  /** Takes the place of fetch and of the socket; undone by vi.unstubAllGlobals. */
  install(): void {
    vi.stubGlobal('fetch', async (path: string, init: { method: string; body?: string }) => {
      const { status, body } = this.#answer(init.method, path, JSON.parse(init.body ?? '{}') as Json);
      return new Response(JSON.stringify(body), { status });
    });
    // eslint-disable-next-line @typescript-eslint/no-this-alias
    const site = this;
    vi.stubGlobal(
      'WebSocket',
      class extends FakeSocket {
        constructor() {
          super();
          site.socket = this;
          queueMicrotask(() => this.accept());
        }
        override send(data: string): void {
          super.send(data);
          const frame = JSON.parse(data) as { op: string; id: number; topic: string; t?: number };
          if (frame.op === 'ping') this.say({ op: 'pong', now: Date.now(), ...(frame.t && { t: frame.t }) });
          if (frame.op === 'sub') queueMicrotask(() => site.#subscribed(frame.id, frame.topic));
        }
      },
    );
  }

  add(...chargers: Charger[]): void {
    for (const charger of chargers) this.chargers.set(charger.charger, charger);
  }
  /** A change that the page is told of. */
  change(topic: string, set: Json): void {
    const known = this.#topics.get(topic);
    if (known === undefined) throw new Error(`nobody follows ${topic}`);
    const cursor = String(++this.#cursor);
    this.socket?.say({ op: 'delta', id: known.id, prev: known.cursor, cursor, now: Date.now(), set, del: [] });
    known.cursor = cursor;
  }
  /** The load that the tree shows for the site. */
  draw(liveW: number): void {
    this.change('tree:demo', { 'site:demo': { ...this.#tree()['site:demo'], liveW } });
  }
  follows = (topic: string): boolean => this.#topics.has(topic);
  asked = (start: string): URLSearchParams[] =>
    this.heard
      .filter(({ path }) => path.split('?')[0] === start)
      .map(({ path }) => new URLSearchParams(path.split('?')[1]));

  #subscribed(id: number, topic: string): void {
    const [kind = '', of = ''] = topic.split(':');
    const data = kind === 'tree' ? this.#tree() : kind === 'station' ? this.#station(of) : this.#charger(of);
    if (data === null) return this.socket?.say({ op: 'refuse', id, code: 'unknown_topic', now: Date.now() });
    const cursor = String(++this.#cursor);
    this.#topics.set(topic, { id, cursor });
    this.socket?.say({ op: 'snap', id, cursor, now: Date.now(), data });
  }

  #station(station: string): Json {
    const own = [...this.chargers.values()].filter((charger) => charger.station === station);
    return {
      station: { station },
      ...Object.fromEntries(own.flatMap(({ connectors }) => connectors.map((c) => [`${c.charger}/${c.connector}`, c]))),
    };
  }
  #charger(id: string): Json | null {
    const charger = this.chargers.get(id);
    if (charger === undefined) return null;
    return { charger, ...Object.fromEntries(this.commands.map((command) => [`command:${command.command}`, command])) };
  }
  #tree(): Record<string, TreeNode> {
    const counts = (of: readonly Charger[]) => {
      const found: Record<string, number> = {};
      for (const { connectors } of of)
        for (const { online, status } of connectors) {
          const word = online ? status : 'Offline';
          found[word] = (found[word] ?? 0) + 1;
        }
      return found;
    };
    const node = (kind: TreeNode['kind'], id: string, parent: string | null, of: readonly Charger[]): TreeNode => ({
      ...{ kind, id, name: id, parent, loadW: null, liveW: of.reduce((sum, { w }) => sum + w, 0), limitW: 195_000 },
      ...{ utilisationBp: null, stale: false, counts: counts(of), health: 'ok', worst: null },
    });
    const all = [...this.chargers.values()];
    return {
      'site:demo': node('site', 'demo', null, all),
      ...Object.fromEntries(
        ['nord-1', 'sued-1'].map((id) => [
          `station:${id}`,
          node(
            'station',
            id,
            'site:demo',
            all.filter(({ station }) => station === id),
          ),
        ]),
      ),
      ...Object.fromEntries(
        all.map((charger) => [
          `charger:${charger.charger}`,
          node('charger', charger.charger, `station:${charger.station}`, [charger]),
        ]),
      ),
    };
  }

  #answer(method: string, path: string, body: Json): Answer {
    this.heard.push({ method, path, body });
    const [route = '', query] = path.split('?');
    const instead = this.instead.get(route);
    if (instead !== undefined) return instead;
    const now = Date.now();
    const ok = (value: Json): Answer => ({ status: 200, body: { now, ...value } });
    if (route === '/api/me')
      return ok({
        ...{ user: 'operator', name: 'Operator', email: 'operator@demo.local', roles: ['operator'] },
        ...{ rights: this.rights, signedInUntil: now + 1e9, actions: {} },
      });
    if (route === '/api/sites') {
      const site: Site = {
        ...{ site: 'demo', name: 'demo', timeZone: 'America/Los_Angeles', capacityW: 195_000, slot: null },
        ...{ loadW: null, stale: false, liveW: 0, stations: [], actions: {} },
      };
      return ok({ sites: [site] });
    }
    if (route === '/api/loads') return ok({ node: 'demo', stepMs: 60_000, rows: this.loads });
    if (route === '/api/consumption') return ok({ rows: this.consumption });
    if (route === '/api/sessions') return ok({ rows: this.sessions, next: null });
    if (route.endsWith('/messages')) return this.#messages(new URLSearchParams(query));
    if (route.endsWith('/commands') && method === 'GET') return ok({ rows: [] });
    if (route.endsWith('/commands')) {
      const { id, kind, ...rest } = body;
      return {
        status: 202,
        body: { ...aCommand({ command: String(id), kind: kind as 'charger.reset' }), arguments: rest },
      };
    }
    return refusal('not_found', 404);
  }

  /** Pages of two, so that a test has pages. */
  #messages(query: URLSearchParams): Answer {
    const found = this.messages.filter(
      ({ action, payload, direction }) =>
        (query.get('action') ?? action) === action &&
        (query.get('direction') ?? direction) === direction &&
        payload.includes(query.get('q') ?? ''),
    );
    const from = Number(query.get('cursor') ?? 0);
    const next = from + 2 < found.length ? String(from + 2) : null;
    return { status: 200, body: { now: Date.now(), rows: found.slice(from, from + 2), next } };
  }
}

export const aCommand = (more: Partial<DeviceCommandView> = {}): DeviceCommandView => ({
  ...{ command: 'c-1', charger: 'CP-0001', kind: 'charger.reset', arguments: { mode: 'soft' }, state: 'queued' },
  ...{ reason: null, result: null, requestedBy: 'operator', requestedAt: Date.now(), sentAt: null },
  ...{ answeredAt: null, endedAt: null, attempts: 0 },
  ...more,
});
