/** What holds of commands to chargers under any order of answers, time-outs, lost reports, killed gateways and restarts. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { deviceCommandAddress, gatewayAddress } from './addresses.ts';
import { coalescingKey, isOpen, kindRules, orderOf } from './device_command_rules.ts';
import type {
  CommandWrite,
  DeviceAnswer,
  DeviceCommandState,
  DeviceCommandValue,
  DeviceOrder,
} from './schema/device_commands.ts';
import { demoSite, TestWorld, type TestCharger } from './testing.ts';

interface Report {
  command: string;
  type: string;
  body: Record<string, unknown>;
}
interface Frame {
  write: CommandWrite;
  /** Answered, timed out, or gone with its socket. */
  over: boolean;
  answer: DeviceAnswer | null;
}

/** One gateway process: what it has been told, what is on its sockets, what it has not got into the log yet. */
class Gateway {
  readonly id: string;
  /** The newest frame of each command and call. */
  readonly known = new Map<string, Frame>();
  readonly waiting: CommandWrite[] = [];
  readonly reports: Report[] = [];
  constructor(id: string) {
    this.id = id;
  }
}

const outcomes = ['accepted', 'rejected', 'reboot_required', 'not_supported', 'error', 'bad_answer'] as const;

class Model {
  readonly world = new TestWorld();
  readonly charger: TestCharger;
  gateway = new Gateway('gw-1');
  connection: string | null = null;
  frames: Frame[] = [];
  /** Commands whose decided answer the log holds. */
  readonly decided = new Set<string>();
  readonly acts = new Map<string, number>();
  transaction = 0;
  #effects = 0;
  #gateways = 1;
  #commands = 0;
  #registers = 0;

  constructor() {
    [this.charger] = demoSite(this.world) as [TestCharger];
    this.connect();
    this.charger.boot();
    this.wait(1_000);
  }

  get states() {
    const { world } = this;
    return Array.from({ length: this.#commands }, (_, i) => {
      const stored = world.get<DeviceCommandState>(deviceCommandAddress('demo', `c${i + 1}`));
      return stored ? { id: `c${i + 1}`, value: stored.value as DeviceCommandValue, state: stored.context } : null;
    }).filter((known) => known !== null);
  }

  ask(kind: number) {
    const orders: DeviceOrder[] = [
      { kind: 'session.requestStop', arguments: { transaction: this.transaction } },
      { kind: 'session.requestStart', arguments: { connector: 1, tag: 'TAG-1' } },
      { kind: 'charger.reset', arguments: { mode: 'soft' } },
      { kind: 'config.set', arguments: { key: 'A', value: '1' } },
      { kind: 'config.get', arguments: { keys: ['A'] } },
    ];
    const order = orders[kind % orders.length]!;
    const id = `c${this.#commands + 1}`;
    const to = deviceCommandAddress('demo', id);
    const body = { charger: this.charger.id, requestedBy: 'ola', ...order };
    if (this.world.send(to, 'command.request', body).ok) this.#commands += 1;
  }

  /** Effects reach the gateway that they are for, or get lost with it. */
  deliver(lose: boolean) {
    const { effects } = this.world;
    const fresh = effects.slice(this.#effects);
    this.#effects = effects.length;
    for (const { kind, target, body } of fresh) {
      if (kind === 'command.write' && target === this.gateway.id && !lose) this.#write(body as unknown as CommandWrite);
    }
  }

  /** As the gateway does: by its connection, each release once, an answered one never, not too late, one after the other. */
  #write(write: CommandWrite) {
    const { command, release, call } = write;
    const { known, waiting } = this.gateway;
    const frame = known.get(`${command}/${call}`);
    if (frame && frame.write.release >= release) return;
    if (frame?.answer) return this.#report((frame.write = write), 'command.answered', { answer: frame.answer });
    if (frame && !frame.over) return this.#report((frame.write = write), 'command.written', {});
    if (write.connection !== this.connection) return;
    if (this.world.now > write.expiresAt) return this.#report(write, 'command.unanswered', { reason: 'expired' });
    if (this.frames.some(({ over }) => !over)) return void waiting.push(write);
    if (call === 'act') {
      if (this.decided.has(command)) throw new Error(`${command} was written after its decided answer`);
      this.acts.set(command, (this.acts.get(command) ?? 0) + 1);
    }
    const written: Frame = { write, over: false, answer: null };
    known.set(`${command}/${call}`, written);
    this.frames.push(written);
    this.#report(write, 'command.written', {});
  }
  #next() {
    const next = this.gateway.waiting.shift();
    if (next) this.#write(next);
  }

  #report({ command, call, release }: CommandWrite, type: string, body: Record<string, unknown>) {
    const { id: charger } = this.charger;
    this.gateway.reports.push({ command, type, body: { charger, call, release, ...body } });
  }

  /** The log takes in so many of the gateway's reports; a report may come twice. */
  flush(count: number, twice: boolean) {
    for (const { command, type, body } of this.gateway.reports.splice(0, count)) {
      if (type === 'charger.disconnected') {
        this.world.ask(this.charger.address, type, body);
        continue;
      }
      for (let n = 0; n < (twice ? 2 : 1); n++) this.world.ask(deviceCommandAddress('demo', command), type, body);
      if (type === 'command.answered' && body['call'] === 'act') this.decided.add(command);
    }
  }

  answer(n: number) {
    const frame = this.frames.find(({ over }) => !over);
    if (!frame) return;
    frame.over = true;
    const { write } = frame;
    const outcome = outcomes[n % outcomes.length]!;
    const value = n % 2 === 0 ? '1' : '2';
    const answer: DeviceAnswer = {
      ...{ outcome, status: outcome, description: '', unknown: [] },
      values: write.kind.startsWith('config') ? [{ key: 'A', value, readonly: false }] : [],
    };
    frame.answer = answer;
    this.#report(write, 'command.answered', { answer });
    this.#next();
  }
  timeOut() {
    const frame = this.frames.find(({ over }) => !over);
    if (!frame) return;
    frame.over = true;
    this.#report(frame.write, 'command.unanswered', { reason: 'timeout' });
    this.#next();
  }

  hangUp() {
    if (this.connection === null) return;
    const body = { gateway: this.gateway.id, connection: this.connection, code: 1006 };
    this.gateway.reports.push({ command: '', type: 'charger.disconnected', body });
    this.connection = null;
    this.gateway.waiting.length = 0;
    for (const frame of this.frames) frame.over = true;
  }
  /** kill -9: what it had not reported nobody will hear. */
  kill() {
    this.gateway = new Gateway(`gw-${++this.#gateways}`);
    this.connection = null;
    for (const frame of this.frames) frame.over = true;
  }
  connect() {
    if (this.connection !== null) return;
    // A gateway's frames come in its order: its goodbye before the next greeting.
    this.flush(Infinity, false);
    const { connectionSeq } = this.charger;
    this.connection = `${this.charger.id}-${connectionSeq + 1}`;
    this.charger.connect(this.gateway.id, this.connection);
  }
  boot() {
    if (this.connection !== null) this.charger.boot();
  }
  status(available: boolean) {
    if (this.connection !== null) this.charger.status(available ? 'Available' : 'Charging');
  }
  session(starts: boolean) {
    if (starts) this.transaction = this.charger.start({ meterStartWh: ++this.#registers }).transaction;
    else if (this.transaction > 0) this.charger.stop(this.transaction, { meterStopWh: this.#registers });
  }
  cancel(n: number) {
    const to = deviceCommandAddress('demo', `c${1 + (n % Math.max(1, this.#commands))}`);
    this.world.send(to, 'command.cancel', { charger: this.charger.id });
  }
  /** The living gateway says that it lives. */
  wait(ms: number) {
    const { world, gateway } = this;
    for (const until = world.now + ms; world.now < until; world.advance(Math.min(5_000, until - world.now)))
      world.ask(gatewayAddress(0, gateway.id), 'gateway.alive', { gateway: gateway.id });
  }

  check() {
    const { states } = this;
    const out = states.filter(({ state }) => state.call !== null);
    if (out.length > 1) throw new Error(`two CALLs are out: ${out.map(({ id }) => id).join(', ')}`);
    const keys = states.filter(({ value }) => isOpen(value)).map(({ state }) => coalescingKey(orderOf(state)));
    if (new Set(keys).size < keys.length) throw new Error(`two open commands about the same thing: ${keys.join(', ')}`);
    for (const { id, value, state } of states) {
      if (isOpen(value) !== (state.endedAt === null)) throw new Error(`${id} is ${value}, ended ${state.endedAt}`);
      if (state.answeredAt !== null && (value === 'queued' || value === 'sent'))
        throw new Error(`${id} is ${value} after its answer`);
    }
  }
}

const step = fc.record({
  op: fc.constantFrom(
    ...(['ask', 'ask', 'deliver', 'deliver', 'deliver', 'flush', 'flush', 'answer', 'answer', 'timeOut'] as const),
    ...(['hangUp', 'kill', 'connect', 'connect', 'boot', 'status', 'session', 'cancel', 'wait', 'wait'] as const),
  ),
  n: fc.nat({ max: 59 }),
});

function play(steps: { op: string; n: number }[]): Model {
  const model = new Model();
  for (const { op, n } of steps) {
    if (op === 'ask') model.ask(n);
    else if (op === 'deliver') model.deliver(n % 4 === 0);
    else if (op === 'flush') model.flush(1 + (n % 3), n % 5 === 0);
    else if (op === 'answer') model.answer(n);
    else if (op === 'timeOut') model.timeOut();
    else if (op === 'hangUp') model.hangUp();
    else if (op === 'kill') model.kill();
    else if (op === 'connect') model.connect();
    else if (op === 'boot') model.boot();
    else if (op === 'status') model.status(n % 2 === 0);
    else if (op === 'session') model.session(n % 2 === 0);
    else if (op === 'cancel') model.cancel(n);
    else model.wait([500, 2_500, 6_000, 31_000, 70_000][n % 5]!);
    model.check();
  }
  return model;
}

test('never sent twice after a decided answer, one CALL at a time, one open command per thing', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60, size: 'max' }), (steps) => {
      const model = play(steps);
      for (const { id, state } of model.states) {
        const written = model.acts.get(id) ?? 0;
        // Of what cannot be repeated a second frame needs a proof that nothing came of the first.
        const { repeatable } = kindRules[orderOf(state).kind];
        expect(written).toBeLessThanOrEqual(repeatable || state.kind === 'session.requestStart' ? 3 : 1);
      }
    }),
    { numRuns: 150 },
  );
}, 120_000);

test('without a proof that nothing came of it a start or a reset is written once', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60, size: 'max' }), (steps) => {
      const model = play(steps.filter(({ op }) => op !== 'status'));
      for (const { id, state } of model.states) {
        if (!kindRules[orderOf(state).kind].repeatable) expect(model.acts.get(id) ?? 0).toBeLessThanOrEqual(1);
      }
    }),
    { numRuns: 100 },
  );
}, 120_000);

test('every command comes to an end, whatever became of its gateway and its charger', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40, size: 'max' }), (steps) => {
      const model = play(steps);
      model.world.jumpTo(model.world.now + 25 * 3_600_000);
      model.world.jumpTo(model.world.now + 25 * 3_600_000);
      expect(model.states.filter(({ value, state }) => isOpen(value) || state.call !== null)).toEqual([]);
    }),
    { numRuns: 60 },
  );
}, 120_000);
