/**
 * Partitions in memory for tests: the real machines, rules, index, slots and codec on a clock that the test moves. After
 * every step each changed state goes through its post-image and back, as if the process had been restarted, and with
 * `compare` each step is also made by XState's public `transition()`.
 */
import { initialTransition, transition, type AnyMachineSnapshot, type AnyStateMachine } from 'xstate';
import { Compile, type Validator } from 'typebox/compile';
import type {
  ActorDefinition,
  ActorEvent,
  Command,
  Effect,
  EntityAddress,
  Index,
  Output,
  PartitionView,
  Stored,
} from './actor.ts';
import { slotAt, slotBegins } from './actor.ts';
import { chargerAddress, nameAddress, siteAddress, stationAddress } from './addresses.ts';
import { decodeImage, encodeImage } from './codec.ts';
import { domain } from './mod.ts';
import { partitionOf } from './partition_key.ts';
import type { RefusalCode } from './refusals.ts';
import type { BootedReply, ConnectedReply, EndedReply, StartedReply, TokenReply } from './schema/commands.ts';
import type { ChargerState, SessionState } from './schema/entities.ts';
import type { PublicEvent, Sample } from './schema/events.ts';

export type Result = { ok: true; value: unknown } | { ok: false; code: RefusalCode; detail?: Record<string, unknown> };

interface Step {
  snapshot: AnyMachineSnapshot;
  outputs: Output[];
}

/** The machine as a reducer: one inert scope, reused for all steps. */
export function reducer(machine: AnyStateMachine) {
  let outputs: Output[] = [];
  const system = { _sendInspectionEvent() {}, scheduler: { schedule() {}, cancel() {}, cancelAll() {} } };
  const scope = {
    self: { id: machine.id, sessionId: '', system },
    system,
    id: machine.id,
    sessionId: '',
    defer() {},
    logger() {},
    stopChild() {},
    emit() {},
    actionExecutor: ({ type, params }: { type: string; params: unknown }) => {
      outputs.push({ type, params } as Output);
    },
  } as unknown as Parameters<AnyStateMachine['transition']>[2];
  const collect = (run: () => unknown): Step => {
    outputs = [];
    const snapshot = run() as AnyMachineSnapshot;
    if (snapshot.status === 'error') throw snapshot.error;
    return { snapshot, outputs };
  };
  return {
    initial: () => collect(() => machine.getInitialSnapshot(scope)).snapshot,
    restore: (value: string, context: unknown) => machine.resolveState({ value, context }) as AnyMachineSnapshot,
    step: (snapshot: AnyMachineSnapshot, event: ActorEvent) =>
      collect(() => machine.transition(snapshot, event, scope)),
    /** The same step by XState's public functions. */
    publicStep: (snapshot: AnyMachineSnapshot | null, event: ActorEvent): Step => {
      const [after, actions] = transition(
        machine,
        (snapshot ?? initialTransition(machine)[0]) as never,
        event as never,
      );
      return {
        snapshot: after as AnyMachineSnapshot,
        outputs: actions.map(({ type, params }) => ({ type, params }) as unknown as Output),
      };
    },
  };
}

interface Kind {
  definition: ActorDefinition;
  run: ReturnType<typeof reducer>;
  validators: Map<string, Validator>;
}

const kinds = new Map<string, Kind>(
  domain.actors.map((definition) => [
    definition.kind,
    {
      definition,
      run: reducer(definition.machine),
      validators: new Map(Object.entries(definition.commands).map(([type, schema]) => [type, Compile(schema)])),
    },
  ]),
);
const records = new Map(domain.records.map((definition) => [definition.kind, definition]));

interface Timer {
  dueAt: number;
  to: EntityAddress;
  name: string;
}

export class TestPartition implements PartitionView {
  readonly partition: number;
  readonly partitions: number;
  now = 0;
  readonly index: Index = domain.createIndex();
  readonly timers = new Map<string, Timer>();
  readonly #entities = new Map<string, { key: string; stored: Stored }>();
  readonly #world: TestWorld;
  /** By slot name, once something lives by it. */
  readonly slotsDue = new Map<string, number>();

  constructor(world: TestWorld, partition: number, partitions: number) {
    this.#world = world;
    this.partition = partition;
    this.partitions = partitions;
  }

  get<Context>(kind: string, id: string): Stored<Context> | undefined {
    return this.#entities.get(`${kind}|${id}`)?.stored as Stored<Context> | undefined;
  }

  /** Contexts of all entities of a kind. */
  all<Context>(kind: string): Context[] {
    return [...this.#entities]
      .filter(([name]) => name.startsWith(`${kind}|`))
      .map(([, { stored }]) => stored.context as Context);
  }

  /** All entities, sorted: equal partitions give equal lists. */
  images(): [name: string, image: unknown[]][] {
    return [...this.#entities]
      .map(([name, { stored }]): [string, unknown[]] => [name, imageOf(name.slice(0, name.indexOf('|')), stored)])
      .sort(([a], [b]) => (a < b ? -1 : 1));
  }

  /** Applies the command and, after it, what it sends inside the partition. */
  apply(command: Command): Result {
    const queue = [command];
    const result = this.#apply(command, queue);
    for (let i = 1; i < queue.length; i++) {
      const sent = this.#apply(queue[i]!, queue);
      if (!sent.ok && sent.code !== 'unknown_entity')
        throw new Error(`${queue[i]!.type} was refused: ${sent.code} ${JSON.stringify(sent.detail)}`);
    }
    return result;
  }

  #apply({ to, type, body }: Command, queue: Command[]): Result {
    const kind = kinds.get(to.kind);
    const validator = kind?.validators.get(type);
    const timer = type.startsWith('timer.') && kind?.definition.timers.includes(type.slice('timer.'.length));
    if (!kind || (!validator && !timer)) return { ok: false, code: 'unknown_command' };
    if (validator && !validator.Check(body)) {
      const [first] = validator.Errors(body);
      return {
        ok: false,
        code: 'bad_request',
        detail: { path: first?.instancePath ?? '', rule: first?.message ?? '' },
      };
    }
    const stored = this.get(to.kind, to.id);
    if (!stored && !kind.definition.creates.includes(type)) return { ok: false, code: 'unknown_entity' };
    const before = stored ? kind.run.restore(stored.value!, stored.context) : kind.run.initial();
    const facts = kind.definition.facts?.(this, to, type, body);
    const event: ActorEvent = { type, now: this.now, self: to, body, facts };
    const { snapshot, outputs } = kind.run.step(before, event);
    if (this.#world.compare)
      compareSteps(type, { snapshot, outputs }, kind.run.publicStep(stored ? before : null, event));
    const refusal = outputs.find((output) => output.type === 'refuse');
    if (refusal) {
      for (const output of outputs) {
        if (output.type === 'emit') this.#output(to, output, queue);
        else if (output !== refusal) throw new Error(`${type}: a refusal comes with facts alone`);
      }
      const { code, detail } = refusal.params;
      return detail ? { ok: false, code, detail } : { ok: false, code };
    }
    this.#world.writes += snapshot.context === before.context && snapshot.value === before.value && stored ? 0 : 1;
    // A first state that is left as it is makes no entity.
    const isThere = stored !== undefined || snapshot.value !== before.value || snapshot.context !== before.context;
    if (isThere)
      this.#put(to.kind, to.id, to.key, {
        value: snapshot.value as string,
        context: snapshot.context as Record<string, unknown>,
      });
    let value: unknown = null;
    for (const output of outputs) {
      if (output.type === 'reply') value = output.params.value;
      else this.#output(to, output, queue);
    }
    return { ok: true, value };
  }

  #output(self: EntityAddress, output: Output, queue: Command[]) {
    switch (output.type) {
      case 'emit':
        this.#world.events.push(output.params);
        return;
      case 'effect':
        this.#world.effects.push(output.params);
        return;
      case 'send':
        this.#world.sent.push(output.params);
        if (partitionOf(output.params.to.key, this.partitions) === this.partition) queue.push(output.params);
        else this.#world.relays.push(structuredClone(output.params));
        return;
      case 'arm': {
        const { name, dueAt } = output.params;
        this.timers.set(`${self.kind}|${self.id}|${name}`, { dueAt, to: self, name });
        return;
      }
      case 'disarm':
        this.timers.delete(`${self.kind}|${self.id}|${output.params.name}`);
        return;
      case 'put':
        this.#put(output.params.kind, output.params.id, self.key, { value: null, context: output.params.state });
        return;
      case 'drop': {
        const name = `${output.params.kind}|${output.params.id}`;
        const gone = this.#entities.get(name);
        this.#entities.delete(name);
        if (gone) this.index.changed(output.params.kind, output.params.id, gone.stored, undefined);
        return;
      }
      default:
        throw new Error(`unexpected output '${output.type}'`);
    }
  }

  #put(kind: string, id: string, key: string, stored: Stored) {
    const before: Stored | undefined = this.get(kind, id);
    const restored = decodeImage(definitionOf(kind), imageOf(kind, stored)) as Stored;
    this.#entities.set(`${kind}|${id}`, { key, stored: restored });
    this.index.changed(kind, id, before, restored);
  }
}

function definitionOf(kind: string) {
  const definition = kinds.get(kind)?.definition ?? records.get(kind);
  if (!definition) throw new Error(`no such kind: '${kind}'`);
  return definition;
}
const imageOf = (kind: string, stored: Stored) => encodeImage(definitionOf(kind), stored.value, stored.context);

function compareSteps(type: string, ours: Step, theirs: Step) {
  const show = ({ snapshot, outputs }: Step) => JSON.stringify([snapshot.value, snapshot.context, outputs]);
  if (show(ours) !== show(theirs))
    throw new Error(`${type}: reused scope and public transition() differ\n${show(ours)}\n${show(theirs)}`);
}

export class TestWorld {
  now: number;
  readonly partitions: TestPartition[];
  readonly events: PublicEvent[] = [];
  readonly effects: Effect[] = [];
  readonly relays: Command[] = [];
  /** While set, what partitions send each other is under way until {@link deliverRelays}. */
  relaysWait = false;
  /** All that entities have sent each other. */
  readonly sent: Command[] = [];
  /** Post-images that would have been written for actors. */
  writes = 0;
  readonly compare: boolean;

  /** @default now = a slot border, 2026-01-05T06:00:00Z */
  constructor({ partitions = 1, now = Date.UTC(2026, 0, 5, 6), compare = false } = {}) {
    this.now = now;
    this.compare = compare;
    this.partitions = Array.from({ length: partitions }, (_, p) => new TestPartition(this, p, partitions));
    for (const partition of this.partitions) partition.now = now;
  }

  partitionOf(key: string): TestPartition {
    return this.partitions[partitionOf(key, this.partitions.length)]!;
  }

  get<Context>(to: EntityAddress): Stored<Context> | undefined {
    return this.partitionOf(to.key).get<Context>(to.kind, to.id);
  }

  /** Applies the command now; what it relays to other partitions arrives before this returns. */
  send(to: EntityAddress, type: string, body: object): Result {
    const result = this.#deliver({ to, type, body: structuredClone(body) as Record<string, unknown> });
    this.#settle();
    return result;
  }

  /** Like {@link send}; throws on a refusal. */
  ask<Value>(to: EntityAddress, type: string, body: object): Value {
    const result = this.send(to, type, body);
    if (!result.ok) throw new Error(`${type} was refused: ${result.code} ${JSON.stringify(result.detail ?? {})}`);
    return result.value as Value;
  }

  #deliver(command: Command): Result {
    const partition = this.partitionOf(command.to.key);
    const result = partition.apply(command);
    this.#armSlots(partition);
    return result;
  }

  /** So many of the relays that are under way arrive, oldest first. */
  deliverRelays(count = Number.MAX_SAFE_INTEGER) {
    for (let n = 0; n < count && this.relays.length > 0; n++) this.#deliver(this.relays.shift()!);
  }

  #settle() {
    if (this.relaysWait) return;
    for (let command = this.relays.shift(); command; command = this.relays.shift()) this.#deliver(command);
  }

  #armSlots(partition: TestPartition) {
    for (const slot of domain.slots) {
      const isActive = slot.active(partition);
      if (isActive === partition.slotsDue.has(slot.name)) continue;
      if (isActive)
        partition.slotsDue.set(slot.name, slotBegins(slot, partition, slotAt(slot, partition, this.now) + 1));
      else partition.slotsDue.delete(slot.name);
    }
  }

  /** Moves the clock, firing timers and slots in their order. */
  advance(ms: number) {
    this.advanceTo(this.now + ms);
  }

  advanceTo(now: number) {
    for (;;) {
      const due = this.#nextDue();
      if (due === null || due.at > now) break;
      this.#at(Math.max(this.now, due.at));
      due.fire();
      this.#settle();
    }
    this.#at(now);
  }

  /** The system was down until `now`: deadlines fire late, only the newest slot is produced. */
  jumpTo(now: number) {
    for (const partition of this.partitions) {
      for (const slot of domain.slots) {
        const dueAt = partition.slotsDue.get(slot.name);
        if (dueAt !== undefined && dueAt <= now)
          partition.slotsDue.set(slot.name, slotBegins(slot, partition, slotAt(slot, partition, now)));
      }
    }
    this.advanceTo(now);
  }

  #at(now: number) {
    this.now = now;
    for (const partition of this.partitions) partition.now = now;
  }

  #nextDue(): { at: number; fire(): void } | null {
    let best: { at: number; id: string; fire(): void } | null = null;
    const offer = (at: number, id: string, fire: () => void) => {
      if (best === null || at < best.at || (at === best.at && id < best.id)) best = { at, id, fire };
    };
    for (const partition of this.partitions) {
      for (const definition of domain.slots) {
        const dueAt = partition.slotsDue.get(definition.name);
        if (dueAt === undefined) continue;
        offer(dueAt, `slot|${definition.name}`, () => {
          const slot = slotAt(definition, partition, dueAt);
          for (const command of definition.run(partition, slot)) this.#deliver(command);
          partition.slotsDue.set(definition.name, slotBegins(definition, partition, slot + 1));
          this.#armSlots(partition);
        });
      }
      for (const [id, { dueAt, to, name }] of partition.timers) {
        offer(dueAt, id, () => {
          partition.timers.delete(id);
          this.#deliver({ to, type: `timer.${name}`, body: {} });
        });
      }
    }
    return best;
  }

  /** Bodies of the commands of one type that entities have sent, in order. */
  bodies<Body>(type: string): Body[] {
    return this.sent.filter((command) => command.type === type).map(({ body }) => body as Body);
  }

  /** Payloads of the events of one kind, in order. */
  payloads<K extends PublicEvent['kind']>(kind: K): Extract<PublicEvent, { kind: K }>['payload'][] {
    return this.events.filter((event) => event.kind === kind).map((event) => event.payload) as never;
  }
}

// --- a small demo site ----------------------------------------------------------------------------------------------------

export interface DemoOptions {
  /** Limit of the site's own connection. @default none */
  siteCapacityW?: number | null;
  site?: string;
  station?: string;
  capacityW?: number;
  baseE5SekPerKwh?: number;
  chargers?: number;
  ratedW?: number;
  connectors?: number;
  tags?: number;
}

/** Site, station, chargers `CP-1`… and tags `TAG-1`…, all through their commands. */
export function demoSite(
  world: TestWorld,
  {
    site = 'demo',
    station = 'nord-1',
    capacityW = 138_000,
    baseE5SekPerKwh = 100_000,
    chargers = 1,
    ratedW = 11_040,
    connectors = 1,
    tags = 2,
    siteCapacityW = null,
  }: DemoOptions = {},
): TestCharger[] {
  world.ask(siteAddress(site), 'site.create', {
    name: site,
    timeZone: 'Europe/Stockholm',
    capacityW: siteCapacityW,
    profile0Networks: ['127.0.0.0/8'],
  });
  world.ask(stationAddress(site, station), 'station.create', { site, name: station, capacityW, baseE5SekPerKwh });
  for (let n = 1; n <= tags; n++) {
    world.ask(nameAddress('tag', `TAG-${n}`), 'tag.put', {
      customer: null,
      group: null,
      status: 'Accepted',
      expiresAt: null,
    });
  }
  return Array.from({ length: chargers }, (_, i) => {
    const charger = new TestCharger(world, site, `CP-${i + 1}`);
    charger.register({ station, ratedW, connectors });
    return charger;
  });
}

/** Speaks for a charger as the gateway does; content keys follow from the contents. */
export class TestCharger {
  readonly world: TestWorld;
  readonly site: string;
  readonly id: string;
  connectionSeq = 0;
  #messages = 0;

  constructor(world: TestWorld, site: string, id: string) {
    this.world = world;
    this.site = site;
    this.id = id;
  }

  get address(): EntityAddress {
    return chargerAddress(this.site, this.id);
  }
  get state() {
    return this.world.get<ChargerState>(this.address)!;
  }
  session(transaction: number) {
    return this.world.get<SessionState>({ kind: 'session', key: this.site, id: String(transaction) });
  }

  #fact(key: string) {
    return { key: key.slice(0, 64), connectionSeq: this.connectionSeq, frameHash: '', repairs: [] };
  }
  #time(at: number) {
    return { at, atRaw: new Date(at).toISOString(), clock: false };
  }
  #ask<Value>(type: string, body: object): Value {
    return this.world.ask<Value>(this.address, type, body);
  }

  register(options: { station?: string; ratedW?: number; connectors?: number } = {}) {
    return this.world.send(this.address, 'charger.register', {
      site: this.site,
      station: 'nord-1',
      ratedW: 11_040,
      connectors: 1,
      securityProfile: 0,
      passwordHash: '',
      ...options,
    });
  }
  connect(gateway = 'gw-1', connection = `${this.id}-${this.connectionSeq + 1}`): ConnectedReply {
    const answer = this.#ask<ConnectedReply>('charger.connected', {
      gateway,
      connection,
      protocol: 'ocpp1.6',
      remote: '127.0.0.1',
    });
    this.connectionSeq = answer.connectionSeq;
    return answer;
  }
  disconnect(gateway = 'gw-1', connection = `${this.id}-${this.connectionSeq}`) {
    this.#ask('charger.disconnected', { gateway, connection, code: 1006 });
  }
  boot(key = `boot-${this.connectionSeq}-${++this.#messages}`): BootedReply {
    return this.#ask('charger.booted', {
      ...this.#fact(key),
      vendor: 'Acme',
      model: 'One',
      serial: 'S1',
      firmware: '1.0',
    });
  }
  authorize(tag: string, key = `auth-${this.connectionSeq}-${++this.#messages}`): TokenReply {
    return this.#ask('token.presented', { ...this.#fact(key), tag });
  }
  status(status: string, { connector = 1, at = this.world.now } = {}) {
    this.#ask('connector.status', {
      ...this.#fact(`status-${connector}-${at}-${status}`),
      ...this.#time(at),
      connector,
      status,
      errorCode: 'NoError',
      info: '',
      vendorErrorCode: '',
    });
  }
  start({ connector = 1, tag = 'TAG-1', at = this.world.now, meterStartWh = 0, clock = false } = {}): StartedReply {
    return this.#ask('session.started', {
      ...this.#fact(`start-${connector}-${tag}-${at}-${meterStartWh}`),
      ...this.#time(at),
      clock,
      connector,
      tag,
      meterStartWh,
    });
  }
  stop(
    transaction: number,
    {
      at = this.world.now,
      meterStopWh = 0,
      tag = null as string | null,
      reason = 'Local',
      samples = [] as Sample[],
      clock = false,
    } = {},
  ): EndedReply {
    const key = transaction > 0 ? `stop-${transaction}` : `stop-${at}-${meterStopWh}-${tag ?? ''}`;
    return this.#ask('session.ended', {
      ...this.#fact(key),
      ...this.#time(at),
      clock,
      transaction,
      tag,
      meterStopWh,
      reason,
      samples,
    });
  }
  /** An event of a transaction that the charger names itself (OCPP 2.x). */
  tell(
    eventType: 'Started' | 'Updated' | 'Ended',
    reference: string,
    {
      seq = 0,
      at = this.world.now,
      connector = eventType === 'Started' ? 1 : 0,
      tag = '',
      trigger = '',
      chargingState = '',
      offline = false,
      remoteStartId = null as number | null,
      reason = 'Local',
      samples = [] as Sample[],
    } = {},
  ): StartedReply {
    const told = {
      ...this.#fact(`${eventType}-${reference}-${seq}`),
      ...this.#time(at),
      ...{ reference, connector, trigger, offline, samples },
    };
    switch (eventType) {
      case 'Started':
        return this.#ask('session.started', { ...told, tag, meterStartWh: null, remoteStartId, chargingState });
      case 'Updated':
        return this.#ask('session.progress', { ...told, tag, chargingState });
      case 'Ended':
        return this.#ask('session.ended', { ...told, tag: tag || null, transaction: 0, meterStopWh: null, reason });
      default:
        return eventType satisfies never;
    }
  }
  /** One MeterValues message; `values` in the order given. */
  meter(transaction: number | null, values: { at?: number; w?: number; wh?: number } | Sample[], connector = 1) {
    const samples = Array.isArray(values) ? values : samplesOf({ at: this.world.now, ...values });
    this.#ask('meter.sampled', { ...this.#fact(`meter-${++this.#messages}`), connector, transaction, samples });
  }
}

/** Power and register as most chargers send them. */
export function samplesOf({ at, w, wh }: { at: number; w?: number; wh?: number }): Sample[] {
  const sample = (measurand: string, unit: string, value: number): Sample => ({
    at,
    measurand,
    phase: '',
    location: 'Outlet',
    context: 'Sample.Periodic',
    unit,
    value: String(value),
  });
  return [
    ...(w === undefined ? [] : [sample('Power.Active.Import', 'W', w)]),
    ...(wh === undefined ? [] : [sample('Energy.Active.Import.Register', 'Wh', wh)]),
  ];
}
