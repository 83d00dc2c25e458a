/** Engines hear of each other by core NATS: nothing of it is stored, since nothing of it need be true. */
import { RequestError, type NatsConnection, type Subscription } from '@nats-io/transport-node';
import { anyMember, internal, watchConnection } from '../log/mod.ts';
import { packr } from '../wire.ts';
import type { Announcement, MemberBus } from './members.ts';

/** Living engines answer a roll call within milliseconds. */
const rollCallMs = 300;
/** After the first answer, for the others. */
const othersMs = 50;

export class NatsBus implements MemberBus {
  readonly #nc: NatsConnection;
  readonly #id: string;
  readonly #subscriptions: Subscription[] = [];
  #unwatch = () => {};
  #connected = true;

  constructor(nc: NatsConnection, id: string) {
    this.#nc = nc;
    this.#id = id;
  }

  get connected() {
    return this.#connected && !this.#nc.isClosed();
  }

  async open(onAnnouncement: (announcement: Announcement) => void, onBack: () => void, onAsked: () => void) {
    this.#unwatch = watchConnection(this.#nc, {
      lost: () => (this.#connected = false),
      back: () => {
        this.#connected = true;
        onBack();
      },
    });
    this.#listen(internal.ping(this.#id), (_, respond) => respond());
    this.#listen(anyMember, (data) => onAnnouncement(packr.unpack(data) as Announcement));
    await this.#nc.flush();
    try {
      await this.#nc.request(internal.rollCall, '', { timeout: rollCallMs });
      await new Promise((resolve) => setTimeout(resolve, othersMs));
    } catch {
      // Nobody is there, or nobody who is awake.
    }
    this.#listen(internal.rollCall, (_, respond) => {
      onAsked();
      respond();
    });
  }

  announce(announcement: Announcement) {
    if (this.connected) this.#nc.publish(internal.member(this.#id), packr.pack(announcement));
  }

  async ping(engine: string, timeoutMs: number): Promise<'alive' | 'gone' | 'silent'> {
    if (!this.connected) return 'silent';
    try {
      await this.#nc.request(internal.ping(engine), '', { timeout: timeoutMs });
      return 'alive';
    } catch (error) {
      return error instanceof RequestError && error.isNoResponders() && this.connected ? 'gone' : 'silent';
    }
  }

  close() {
    this.#unwatch();
    for (const subscription of this.#subscriptions) subscription.unsubscribe();
  }

  #listen(subject: string, heard: (data: Uint8Array, respond: () => void) => void) {
    const subscription = this.#nc.subscribe(subject, {
      callback: (error, message) => {
        if (!error) heard(message.data, () => void message.respond());
      },
    });
    this.#subscriptions.push(subscription);
  }
}
