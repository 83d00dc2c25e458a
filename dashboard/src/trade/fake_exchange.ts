/**
 * A stand-in for API and live server together: one customer, one station, money and energy that are really held and given
 * back. Results are stored by the caller's id, as the server stores them.
 */
import type { OrderView, Price, Station, Trade, Wallet } from '#gateway/schema/mod';
import { vi } from 'vitest';
import { aPrice } from '../live/a_price.ts';
import { FakeSocket } from '../live/fake_server.ts';
import { cost } from './amount.ts';

type Json = Record<string, unknown>;
interface Answer {
  status: number;
  body: Json;
}
const refusal = (code: string, status = 409, detail?: Json): Answer => ({
  status,
  body: { ok: false, code, correlation: `c-${code}`, ...(detail && { detail }) },
});
const done = (body: Json): Answer => ({ status: 200, body });

export class FakeExchange {
  /** Every request that was heard, `POST /api/orders` first word first. */
  readonly heard: { method: string; path: string; body: Json }[] = [];
  wallet: Wallet = { availableE5Sek: 0, heldE5Sek: 0, creditLimitE5Sek: 0 };
  battery = { energyWh: 50_000, capacityWh: 100_000, levelBp: 5_000, powerW: 0, at: Date.now() };
  orders = new Map<string, OrderView>();
  priceE5 = 100_000;
  slot = Math.floor(Date.now() / 12_000);
  /** The next answers are lost after the command was applied. */
  losing = 0;
  /** Instead of the next answer to a path that ends so. */
  readonly instead = new Map<string, Answer>();
  rights = ['view_site', 'view_station', 'view_prices', 'trade', 'view_records'];
  past: Trade[] = [];
  socket: FakeSocket | null = null;
  readonly #stored = new Map<string, Answer>();
  #cursor = 0;
  #count = 0;

  /** Takes the place of fetch and of the socket; undone by vi.unstubAllGlobals. */
  install(): void {
    vi.stubGlobal('fetch', (path: string, init: { method: string; body?: string }) => this.#fetch(path, init));
    // eslint-disable-next-line @typescript-eslint/no-this-alias
    const exchange = this;
    vi.stubGlobal(
      'WebSocket',
      class extends FakeSocket {
        constructor() {
          super();
          exchange.socket = this;
          queueMicrotask(() => this.accept());
        }
        override send(data: string): void {
          super.send(data);
          const frame = JSON.parse(data) as { op: string; id: number; topic: string; t?: number };
          if (frame.op === 'ping') this.say({ op: 'pong', now: Date.now(), ...(frame.t && { t: frame.t }) });
          if (frame.op === 'sub') queueMicrotask(() => exchange.#subscribed(frame.id, frame.topic));
        }
      },
    );
  }

  get station(): Station {
    const price = this.price;
    return {
      ...{ station: 'nord-1', site: 'demo', name: 'Nord 1', capacityW: 138_000, baseE5SekPerKwh: 100_000 },
      ...{ tier: price.tier, slot: price.slot, producedAt: price.producedAt, validUntil: price.validUntil },
      ...{ priceE5SekPerKwh: price.priceE5SekPerKwh, importOpen: price.importOpen, utilisationBp: price.utilisationBp },
      ...{ loadW: price.loadW, stale: false, liveW: 110_400, actions: {} },
    };
  }
  get price(): Price {
    const tier = this.priceE5 > 200_000 ? 'triple' : this.priceE5 > 100_000 ? 'double' : 'normal';
    return aPrice(this.slot, { priceE5SekPerKwh: this.priceE5, tier });
  }

  /** A newer price, told on the station's topic. */
  tick(priceE5 = this.priceE5): void {
    this.slot += 1;
    this.priceE5 = priceE5;
    this.#say('station:nord-1', { station: this.station });
  }

  /** What becomes of an order when its time is up. */
  expire(order: string): void {
    const held = this.orders.get(order);
    if (held !== undefined) this.#end(held, 'expired');
  }
  /** So much more of a running order has flowed. */
  deliver(order: string, energyWh: number): void {
    const running = this.orders.get(order);
    if (running === undefined) return;
    const deliveredWh = running.deliveredWh + energyWh;
    this.orders.set(order, { ...running, deliveredWh, settledE5Sek: cost(deliveredWh, running.priceE5SekPerKwh) });
    this.battery.energyWh += running.side === 'buy' ? energyWh : -energyWh;
    this.#tell(order);
  }

  async #fetch(path: string, { method, body = '{}' }: { method: string; body?: string }): Promise<Response> {
    const parsed = JSON.parse(body) as Json;
    this.heard.push({ method, path, body: parsed });
    const own = [...this.instead].find(([end]) => path.split('?')[0]?.endsWith(end));
    if (own !== undefined) this.instead.delete(own[0]);
    const { status, body: answer } = own?.[1] ?? (method === 'GET' ? this.#read(path) : this.#write(path, parsed));
    if (method === 'POST' && this.losing > 0) {
      this.losing -= 1;
      throw new TypeError('the answer was lost');
    }
    return new Response(JSON.stringify(answer), { status });
  }

  #read(path: string): Answer {
    const now = Date.now();
    const [route] = path.split('?');
    switch (route) {
      case '/api/me':
        return done({
          now,
          user: 'ann',
          name: 'Ann',
          email: 'ann@demo.local',
          roles: ['customer'],
          rights: this.rights,
        });
      case '/api/sites': {
        const stations = [{ station: 'nord-1', name: 'Nord 1', capacityW: 138_000 }];
        return done({ now, sites: [{ site: 'demo', name: 'Demo site', stations }] });
      }
      case '/api/stations/nord-1':
        return done({ now, cursor: 's', station: this.station, connectors: [] });
      case '/api/stations/nord-1/prices':
        return done({ now, cursor: 's', station: 'nord-1', prices: [this.price] });
      case '/api/stations/nord-1/quote': {
        const { slot, producedAt, validUntil, tier, importOpen } = this.price;
        const both = { buyE5SekPerKwh: this.priceE5, sellE5SekPerKwh: this.priceE5 };
        return done({ station: 'nord-1', slot, producedAt, validUntil, tier, importOpen, ...both });
      }
      case '/api/trades':
        return done({ now, rows: this.past, cursor: null });
      default:
        return refusal('not_found', 404);
    }
  }

  #write(path: string, body: Json): Answer {
    const id = String(body['id']);
    const stored = this.#stored.get(id);
    if (stored !== undefined) return stored;
    const answer = this.#decide(path, body);
    this.#stored.set(id, answer);
    return answer;
  }

  #decide(path: string, body: Json): Answer {
    if (path === '/api/account/deposit') {
      this.wallet = { ...this.wallet, availableE5Sek: this.wallet.availableE5Sek + Number(body['amount']) * 100_000 };
      this.#say('me', { wallet: this.wallet });
      return done({ ...this.wallet });
    }
    if (path === '/api/orders') return this.#hold(body);
    const order = this.orders.get(String(body['order']));
    if (order === undefined) return refusal('unknown_order', 404);
    if (path.endsWith('/commit')) {
      if (order.state !== 'held') return refusal('nothing_pending');
      this.orders.set(order.order, { ...order, state: 'delivering', committedAt: Date.now() });
      this.battery.powerW = order.side === 'buy' ? 11_000 : -11_000;
      this.#tell(order.order, 'delivering');
      return done({ ...this.orders.get(order.order) });
    }
    return done({ ...this.#end(order, path.endsWith('/stop') ? 'partial' : 'cancelled') });
  }

  #hold(body: Json): Answer {
    const { side, slot, energyWh } = body as { side: 'buy' | 'sell'; slot: number; energyWh: number };
    if (slot !== this.slot) return refusal('price_moved');
    const amountE5Sek = cost(energyWh, this.priceE5);
    if (side === 'buy' && amountE5Sek > this.wallet.availableE5Sek) return refusal('insufficient_funds');
    const order = `ann-${++this.#count}`;
    const now = Date.now();
    const view: OrderView = {
      ...{ order, side, state: 'held', site: 'demo', station: 'nord-1', slot, energyWh, amountE5Sek },
      ...{ priceE5SekPerKwh: this.priceE5, deliveredWh: 0, settledE5Sek: 0, committedAt: null },
      ...{ heldAt: now, expiresAt: now + 60_000 },
    };
    this.orders.set(order, view);
    if (side === 'buy') this.#move(-amountE5Sek, amountE5Sek);
    this.#tell(order, 'held');
    const { priceE5SekPerKwh, expiresAt } = view;
    return done({ order, side, station: 'nord-1', slot, energyWh, priceE5SekPerKwh, amountE5Sek, expiresAt });
  }

  #end(order: OrderView, state: 'cancelled' | 'expired' | 'partial'): OrderView {
    const ended = { ...order, state };
    this.orders.delete(order.order);
    if (order.side === 'buy') this.#move(order.amountE5Sek - order.settledE5Sek, -order.amountE5Sek);
    this.battery.powerW = 0;
    this.#tell(order.order, state, ended);
    return ended;
  }

  #move(available: number, held: number): void {
    const { wallet } = this;
    this.wallet = {
      ...wallet,
      availableE5Sek: wallet.availableE5Sek + available,
      heldE5Sek: wallet.heldE5Sek + held,
    };
  }

  /** The account as it is now, and the step that made it so. */
  #tell(id: string, state?: Trade['state'], ended?: OrderView): void {
    const order = this.orders.get(id);
    this.battery = { ...this.battery, at: Date.now(), levelBp: Math.floor(this.battery.energyWh / 10) };
    this.#say(
      'me',
      { wallet: this.wallet, battery: this.battery, ...(order && { [`order:${id}`]: order }) },
      order ? [] : [`order:${id}`],
    );
    const of = order ?? ended;
    if (state === undefined || of === undefined) return;
    const { heldAt: _, committedAt: __, ...rest } = of;
    const prev = this.#prev('me');
    this.socket?.event(this.#id('me'), prev, this.#next('me'), {
      kind: 'trade',
      ...rest,
      state,
      customer: 'ann',
      at: Date.now(),
    });
  }

  // --- the live part ---------------------------------------------------------------------------------------------------

  readonly #ids = new Map<string, number>();
  readonly #cursors = new Map<string, string>();
  readonly #id = (topic: string) => this.#ids.get(topic) ?? -1;
  readonly #prev = (topic: string) => this.#cursors.get(topic) ?? '';
  readonly #next = (topic: string) => {
    const cursor = `k${(this.#cursor += 1)}`;
    this.#cursors.set(topic, cursor);
    return cursor;
  };

  #subscribed(id: number, topic: string): void {
    this.#ids.set(topic, id);
    const orders = Object.fromEntries([...this.orders].map(([order, view]) => [`order:${order}`, view]));
    const data = topic === 'me' ? { wallet: this.wallet, battery: this.battery, ...orders } : { station: this.station };
    this.socket?.say({ op: 'snap', id, cursor: this.#next(topic), now: Date.now(), data });
  }
  #say(topic: string, set: Json, del: string[] = []): void {
    const prev = this.#prev(topic);
    this.socket?.say({ op: 'delta', id: this.#id(topic), prev, cursor: this.#next(topic), now: Date.now(), set, del });
  }
}

/** A refusal for {@link FakeExchange.instead}. */
export const refusedWith = refusal;
