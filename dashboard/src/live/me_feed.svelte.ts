/**
 * The own account, live: wallet, battery, open orders, and what became of them. Trades that were made before, or between
 * a lost line and a snapshot, are read from the history and joined; what comes twice is one.
 */
import type { BatteryNow, OrderView, Trade, Wallet } from '#gateway/schema/mod';
import { get, pathOf, type Refused } from '../api.ts';
import { live } from './connection.svelte.ts';
import { LiveMap } from './live_map.ts';
import type { LiveClient } from './live.ts';
import { Trades } from './trades.ts';

const historyLimit = 50;

/**
 * @example
 * const me = new MeFeed();
 * me.wallet?.availableE5Sek; me.battery?.levelBp; me.orders; me.trades;   // in a template: changes by themselves
 * me.onTrade((trade) => say(trade.state)); // every own trade once, as it happens
 * me.close();
 */
export class MeFeed {
  readonly #values = new LiveMap<string, Wallet | BatteryNow | OrderView>();
  readonly #trades = new Trades();
  #listeners: readonly ((trade: Trade) => void)[] = [];
  readonly #unfollow: () => void;
  #ready = $state(false);
  #refused: Refused | null = $state.raw(null);
  #tradesRefused: Refused | null = $state.raw(null);
  #closed = false;

  constructor(client: LiveClient = live) {
    this.#unfollow = client.follow('me', {
      snapshot: (data) => {
        this.#values.replace(Object.entries(data) as [string, Wallet | BatteryNow | OrderView][]);
        this.#ready = true;
        void this.loadTrades();
      },
      delta: (set, del) => {
        for (const [key, value] of Object.entries(set)) this.#values.set(key, value as Wallet | BatteryNow | OrderView);
        for (const key of del) this.#values.delete(key);
      },
      event: (event) => {
        if (event.kind !== 'trade') return;
        const { kind: _, ...trade } = event;
        // One that comes twice happened once.
        for (const fresh of this.#trades.add([trade])) for (const listener of this.#listeners) listener(fresh);
      },
      refused: (code, detail) => {
        this.#refused = { ok: false, code, ...(detail === undefined ? {} : { detail }) };
      },
    });
  }

  /** Whether the state has come; without an account wallet and battery stay undefined then. */
  get ready(): boolean {
    return this.#ready;
  }
  /** Why the account cannot be followed, if so. */
  get refused(): Refused | null {
    return this.#refused;
  }
  get wallet(): Wallet | undefined {
    return this.#values.values.get('wallet') as Wallet | undefined;
  }
  /** Comes every 5 s while the account is open on a screen. */
  get battery(): BatteryNow | undefined {
    return this.#values.values.get('battery') as BatteryNow | undefined;
  }
  /** Held and running ones, the newest first. */
  get orders(): OrderView[] {
    return [...this.#values.values]
      .flatMap(([key, value]) => (key.startsWith('order:') ? [value as OrderView] : []))
      .sort((a, b) => b.heldAt - a.heldAt || collator.compare(b.order, a.order));
  }
  /** Steps of own orders, the newest first. */
  get trades(): readonly Trade[] {
    return this.#trades.list;
  }
  /** Why earlier trades are missing, if they are. */
  get tradesRefused(): Refused | null {
    return this.#tradesRefused;
  }

  /** Called with each own trade as it happens, not with earlier ones. Returns how to stop. */
  onTrade(listener: (trade: Trade) => void): () => void {
    this.#listeners = [...this.#listeners, listener];
    return () => {
      this.#listeners = this.#listeners.filter((other) => other !== listener);
    };
  }

  /** Reads earlier trades; called by itself after a snapshot, and by whoever wants to try again. */
  async loadTrades(): Promise<void> {
    const answer = await get<{ rows: Trade[] }>(pathOf(['trades'], { limit: historyLimit }));
    if (this.#closed) return;
    this.#tradesRefused = answer.ok ? null : answer;
    // Of one moment the later step comes first in the answer too; kept in the order in which they happened.
    if (answer.ok) this.#trades.add([...answer.value.rows].reverse());
  }

  close(): void {
    this.#closed = true;
    this.#unfollow();
  }
}

/** Order 2 before order 10. */
const collator = new Intl.Collator('en', { numeric: true });
