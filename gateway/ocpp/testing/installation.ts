/** Chargers on real sockets, a real nats-server, and the real engine with the product's domain behind the OCPP door. */
import type { NatsConnection } from '@nats-io/transport-node';
import { pino } from 'pino';
import { chargerAddress, deviceCommandAddress, domain, nameAddress, siteAddress, stationAddress } from '#actors/mod';
import type { DeviceCommandView, DeviceOrder } from '#actors/schema/device_commands';
import type { ChargerEvent, PublicEvent, SessionEvent } from '#actors/schema/events';
import { connectLog, openDoor, provision, tailJournal, type Door } from '#engine/log/mod';
import { startTestNats } from '#engine/log/testing';
import { startEngine, type Engine } from '#engine/roles/engine_role';
import type { CommandResult } from '#engine/wire';
import { startOcpp } from '../server.ts';
import { openCharger, type RawCharger } from './charger.ts';

const partitions = 1;
const site = 'demo';

/** One gateway process: its own connection to the log, so that it can go without a goodbye. */
export interface Edge {
  open(charger: string, protocol: string): Promise<RawCharger>;
  /** As kill -9: what it has not got into the log yet nobody will hear. */
  kill(): Promise<void>;
  close(): Promise<void>;
}

export type Installation = Awaited<ReturnType<typeof startInstallation>>;

/** Chargers `CP-1` … `CP-<n>` with two connectors each, tags `TAG-1` and `TAG-2`. */
export async function startInstallation(chargers: number) {
  const nats = await startTestNats();
  const log = pino({ level: process.env['GRIDTICK_TEST_LOG'] ?? 'silent' }, pino.destination(2));
  const core = await connectLog(nats.url, 'test');
  await provision(core, { partitions, scale: 1 / 64 });
  const startTheEngine = () =>
    startEngine({
      config: { natsUrl: nats.url, partitions },
      domain,
      log,
      onFatal: (error) => {
        throw error;
      },
      sinks: [],
    });
  let engine: Engine = await startTheEngine();
  const door = await openDoor(core, { name: 'test', partitions });
  const must = async (to: Parameters<Door['request']>[0]['to'], type: string, body: object): Promise<unknown> => {
    const result = await door.request({ id: null, to, type, body: { ...body } });
    if (!result.ok) throw new Error(`${type}: ${result.code} ${JSON.stringify(result.detail)}`);
    return result.value;
  };
  const networks = ['127.0.0.0/8', '::1/128'];
  await must(siteAddress(site), 'site.create', {
    ...{ name: site, timeZone: 'UTC', capacityW: null, profile0Networks: networks },
  });
  const station = { site, name: 'nord-1', capacityW: 138_000, baseE5SekPerKwh: 100_000 };
  await must(stationAddress(site, 'nord-1'), 'station.create', station);
  for (let n = 1; n <= chargers; n++) {
    const registration = { site, station: 'nord-1', ratedW: 11_040, connectors: 2, securityProfile: 0 };
    await must(chargerAddress(site, `CP-${n}`), 'charger.register', { ...registration, passwordHash: '' });
  }
  for (const tag of ['TAG-1', 'TAG-2'])
    await must(nameAddress('tag', tag), 'tag.put', {
      ...{ customer: null, group: null, status: 'Accepted', expiresAt: null },
    });

  const events: PublicEvent[] = [];
  let watchers: (() => void)[] = [];
  const tail = await tailJournal(core, 0, 1, ({ record }) => {
    events.push(...record.events);
    for (const wake of watchers.splice(0)) wake();
  });
  const edges: Edge[] = [];
  let gateways = 0;

  return {
    site,
    must,
    door,
    /** All public events so far, in the order of the journal. */
    events,
    /** Resolves once `done` holds; looked at after each commit. */
    async until(done: () => boolean): Promise<void> {
      while (!done()) await new Promise<void>((wake) => (watchers = [...watchers, wake]));
    },
    /** Told of one command, oldest first. */
    told(command: string): DeviceCommandView[] {
      return events
        .filter(({ kind, payload }) => kind === 'charger' && payload.kind === 'command')
        .map(({ payload }) => (payload as ChargerEvent).detail as unknown as DeviceCommandView)
        .filter((view) => view.command === command);
    },
    /** The session of the charger that began last. */
    transactionOf(charger: string): number {
      const session = events.findLast(({ kind, payload }) => kind === 'session' && payload.charger === charger);
      return (session?.payload as SessionEvent).transaction;
    },
    /** Resolves with the command once it is in that state. */
    async reached(command: string, state: DeviceCommandView['state']): Promise<DeviceCommandView> {
      for (;;) {
        const found = this.told(command).find((view) => view.state === state);
        if (found) return found;
        await new Promise<void>((wake) => (watchers = [...watchers, wake]));
      }
    },
    ask(charger: string, command: string, order: DeviceOrder): Promise<CommandResult> {
      const to = deviceCommandAddress(site, command);
      const body = { charger, requestedBy: 'ola', ...order };
      return door.request({ id: null, to, type: 'command.request', body });
    },
    /** `effects` sees each message for the gateway first; false: it is lost. */
    async edge(effects: () => boolean = () => true): Promise<Edge> {
      const gatewayId = `gw-${++gateways}`;
      const nc = await connectLog(nats.url, gatewayId);
      const own = await openDoor(nc, { name: gatewayId, partitions });
      const ocpp = await startOcpp({
        door: own,
        nats: losing(nc, effects),
        gatewayId,
        bind: '127.0.0.1',
        port: 0,
        log,
        resolve: (identity) =>
          Promise.resolve({
            ...{ charger: identity.toUpperCase(), site, station: 'nord-1', profile0Networks: networks },
            ...{ passwordHash: '', securityProfile: 0 },
          }),
        limits: { sweepMs: 20, stopMs: 1_000, gatewayAliveMs: 1_000 },
      });
      const sockets: RawCharger[] = [];
      let open = true;
      const end = async (abrupt: boolean) => {
        if (!open) return;
        open = false;
        if (abrupt) await nc.close();
        for (const socket of sockets) socket.close();
        await ocpp.close();
        if (!abrupt) await own.close();
        if (!abrupt) await nc.close();
      };
      const edge: Edge = {
        async open(charger, protocol) {
          const socket = await openCharger(ocpp.port, `/ocpp/${charger}`, { protocol });
          sockets.push(socket);
          return socket;
        },
        kill: () => end(true),
        close: () => end(false),
      };
      edges.push(edge);
      return edge;
    },
    /** Another engine takes over, from the journal. */
    async nextEngine(): Promise<void> {
      await engine.close();
      engine = await startTheEngine();
    },
    async close(): Promise<void> {
      for (const edge of edges) await edge.close();
      await tail.stop();
      await door.close();
      await engine.close();
      await core.close();
      await nats.stop();
    },
  };
}

/** The connection with a subscription that may lose messages, as when an engine dies between commit and release. */
const losing = (nc: NatsConnection, passes: () => boolean): NatsConnection =>
  new Proxy(nc, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== 'function') return value;
      if (name !== 'subscribe') return value.bind(target) as unknown;
      return ((subject, options) =>
        target.subscribe(subject, {
          ...options,
          callback: (error, message) => {
            if (passes()) void options?.callback?.(error, message);
          },
        })) as NatsConnection['subscribe'];
    },
  });
