/**
 * One seed of the faulty world: doors send, engines are killed, paused into zombies and replaced, acks get lost. At the end
 * a checker that knows only the logs says whether every promise was kept.
 */
import { partitionOf } from '#actors/partition_key';
import { compileDomain, type Catalogue } from '../partition/catalogue.ts';
import type { PartitionPorts } from '../partition/ports.ts';
import { decodeRecord, genesisHash, verifyChain } from '../partition/record.ts';
import { RecordFilter } from '../partition/record_filter.ts';
import { recoverState } from '../partition/recovery.ts';
import { PartitionState } from '../partition/state.ts';
import { decodeFrame, type CommandEnvelope, type ReplyResult } from '../wire.ts';
import { MemoryLog } from './memory_log.ts';
import { Answers, SimulatedDoor, SimulatedEngine } from './processes.ts';
import { accountAddress, tallyDomain, type Account } from './tally.ts';
import { World } from './world.ts';

export interface SimulationReport {
  seed: number;
  commands: number;
  epochs: number;
  records: number;
  snapshots: number;
  strays: number;
  problems: string[];
  /** As it lies at the end, for whoever reads it again. */
  log: MemoryLog;
}

export const partitions = 3;
const accounts = Array.from({ length: 9 }, (_, i) => `acct-${i}`);

/** @param trace gets a line per owner event and, at the end, per journal record. */
export async function simulate(seed: number, trace?: (line: string) => void): Promise<SimulationReport> {
  const world = new World(seed);
  const { chance } = world;
  const log = new MemoryLog(world, partitions);
  const catalogue = compileDomain(tallyDomain);
  const problems: string[] = [];
  const answers = new Answers(problems);
  log.faults = {
    ackLostPercent: chance.below(15),
    appendLostPercent: chance.below(15),
    latencyMsMax: 1 + chance.below(30),
  };

  const engine = () => new SimulatedEngine(log, catalogue, (replies) => answers.note(replies), trace);
  const engines = [engine()];
  let sent = 0;
  let doorsDone = 0;
  const total = 60 + chance.below(120);
  const acked = new Set<string>();
  const command = (id: string): CommandEnvelope => {
    const account = accounts[chance.below(accounts.length)]!;
    const roll = chance.below(100);
    const envelope = (type: string, body: Record<string, unknown>): CommandEnvelope => ({
      id,
      to: accountAddress(account),
      type,
      body,
      reply: { inbox: 'i', token: 0 },
      deadline: 0,
      correlation: null,
    });
    if (roll < 45) return envelope('add', { amount: 1 + chance.below(100) });
    if (roll < 75)
      return envelope('transfer', { to: accounts[chance.below(accounts.length)]!, amount: 1 + chance.below(50) });
    if (roll < 85) return envelope('wait', { ms: chance.below(3_000) });
    if (roll < 90) return envelope('add', { amount: 5_000 });
    if (roll < 94) return envelope('explode', {});
    if (roll < 96) return envelope('spoil', {});
    if (roll < 98) return envelope('bloat', { bytes: chance.of(30) ? 1_000_000 : 2_000 });
    return envelope('add', { amount: 'many' });
  };
  for (let d = 0; d < 2; d++) {
    void (async () => {
      const door = new SimulatedDoor(log, `door-${d}`);
      await door.open();
      for (let n = 0; n < total / 2; n++) {
        const one = command(`00000000-${seed}-${d}-${n}`);
        const partition = partitionOf(one.to.key, partitions);
        // Some callers retry what was already stored: the same id twice.
        const batch = chance.of(10) ? [one, one] : [one];
        sent += 1;
        await door.send(batch, partition);
        acked.add(one.id!);
        if (chance.of(30)) await world.clock.delay(chance.below(400));
      }
      doorsDone += 1;
    })();
  }
  const trouble = () => {
    if (doorsDone === 2) return;
    const current = engines.at(-1)!;
    if (chance.of(60)) current.kill();
    // Otherwise the old engine lives on as a zombie until it notices.
    world.plan(chance.below(300), () => {
      engines.push(engine());
    });
    world.plan(600 + chance.below(2_500), trouble);
  };
  world.plan(300 + chance.below(1_500), trouble);

  if (!(await world.run(600_000, () => doorsDone === 2))) problems.push('doors could not finish');
  log.faults = { ackLostPercent: 0, appendLostPercent: 0, latencyMsMax: 5 };
  await world.run(1_000, () => false);
  for (const engine of engines) engine.kill();
  const last = engine();
  engines.push(last);
  await world.run(8_000, () => false);
  if (!(await world.run(5_000, () => last.quiet))) problems.push('the last engine did not come to rest');
  for (const engine of engines) for (const error of engine.errors) problems.push(`an engine failed: ${error.message}`);

  for (const engine of engines) engine.kill();
  // What the last engine still had on the wire arrives.
  await world.run(4_000, () => false);
  const check = await checkLogs(log, catalogue, acked, answers.results, trace);
  return { seed, commands: sent, ...check.figures, problems: [...problems, ...check.problems], log };
}

/** Knows only C and J. */
export async function checkLogs(
  log: MemoryLog,
  catalogue: Catalogue,
  acked: Set<string>,
  answers: Map<string, ReplyResult>,
  trace?: (line: string) => void,
) {
  const problems: string[] = [];
  let epochs = 0;
  let records = 0;
  let snapshots = 0;
  let strays = 0;
  let balance = 0;
  let added = 0;
  let inTransit = 0;
  const outcomes = new Map<string, ReplyResult>();
  for (let p = 0; p < partitions; p++) {
    let hash = genesisHash;
    let epoch = 0;
    let batch = 0;
    let offset = 0;
    let now = 0;
    const versions = new Map<string, number>();
    const fired = new Map<string, number>();
    const journal = log.journals[p]!;
    const valid = new RecordFilter();
    journal.messages.forEach(({ bytes }, i) => {
      const record = decodeRecord(bytes);
      trace?.(
        `${p}:${i + 1} ${record.kind} ${record.owner.slice(0, 4)} e${record.epoch} b${record.batch} o${record.offset}`,
      );
      if (!valid.accepts(record)) {
        strays += 1;
        return;
      }
      if (!verifyChain(bytes, hash)) problems.push(`${p}:${i + 1} breaks the hash chain`);
      if (record.kind === 'epoch' ? record.epoch !== epoch + 1 : record.epoch !== epoch || record.batch !== batch + 1)
        problems.push(`${p}:${i + 1} epoch or batch out of order`);
      if (record.offset < offset || record.now < now) problems.push(`${p}:${i + 1} offset or clock went back`);
      ({ hash, epoch, batch, offset, now } = record);
      records += 1;
      if (record.kind === 'epoch') epochs += 1;
      if (record.kind === 'snapshot') snapshots += 1;
      for (const entity of record.entities) {
        const name = `${entity.kind}/${entity.id}`;
        if (entity.version !== (versions.get(name) ?? 0) + 1)
          problems.push(`${p}:${i + 1} ${name} version ${entity.version}`);
        versions.set(name, entity.version);
      }
      for (const timer of record.timers.fired)
        if (!timer.startsWith('slot|')) fired.set(timer, (fired.get(timer) ?? 0) + 1);
      for (const reply of record.replies) {
        if (reply.commandId === null || !reply.entity) continue;
        if (outcomes.has(reply.commandId)) problems.push(`${reply.commandId} was decided twice`);
        outcomes.set(reply.commandId, reply.result);
      }
    });
    for (const [timer, times] of fired) if (times !== 1) problems.push(`${timer} fired ${times} times`);
    const ports: PartitionPorts = log.ports(
      p,
      () => true,
      () => {},
    );
    let done = false;
    const recovering = recoverState(ports, catalogue, p, partitions, journal.messages.length);
    void recovering.finally(() => {
      done = true;
    });
    await log.world.run(10_000, () => done);
    const { state } = await recovering;
    const replayed = new PartitionState(catalogue, p, partitions);
    const filter = new RecordFilter();
    for (const { bytes } of journal.messages) {
      const record = decodeRecord(bytes);
      if (filter.accepts(record)) replayed.applyRecord(record);
    }
    if (dump(state) !== dump(replayed)) {
      problems.push(`partition ${p}: snapshot and journal differ from the journal alone`);
      trace?.(`snapshot ${dump(state)}`);
      trace?.(`journal  ${dump(replayed)}`);
    }
    for (const [, entity] of replayed.entities.get('account') ?? []) {
      const account = entity.stored.context as unknown as Account;
      balance += account.balance;
      if (account.armed !== account.fired)
        problems.push(`${entity.id}: ${account.armed} timers armed, ${account.fired} fired`);
    }
    for (const list of replayed.outbox.values())
      for (const { command } of list) inTransit += command.type === 'receive' ? 1 : 0;
    // What the commands in C say, decided only where the outcome says ok.
    const counted = new Set<string>();
    for (const { bytes } of log.commands[p]!.messages)
      for (const c of decodeCommands(bytes)) {
        if (c.type === 'add' && c.id !== null && !counted.has(c.id) && outcomes.get(c.id)?.ok)
          added += c.body['amount'] as number;
        if (c.id !== null) counted.add(c.id);
      }
  }
  for (const id of acked) {
    const answer = answers.get(id);
    const outcome = outcomes.get(id);
    if (outcome && answer && JSON.stringify(outcome) !== JSON.stringify(answer))
      problems.push(`${id}: the answer is not the outcome`);
    // A command refused on an absent entity leaves no outcome; everything that was applied does.
    if (!outcome && answer?.ok) problems.push(`${id} was answered ok without an outcome`);
  }
  if (balance !== added) problems.push(`balances sum to ${balance}, added ${added} (relays waiting: ${inTransit})`);
  return { problems, figures: { epochs, records, snapshots, strays } };
}

const decodeCommands = (bytes: Uint8Array) => decodeFrame(bytes).commands;

function dump(state: PartitionState): string {
  const entities = [...state.entities.values()]
    .flatMap((ofKind) => [...ofKind.values()])
    .sort((a, b) => (a.id < b.id ? -1 : 1))
    .map((e) => [e.kind, e.id, e.version, e.stored.value, e.stored.context]);
  return JSON.stringify([
    entities,
    [...state.timers.entries()].sort(),
    [...state.writers].map(([w, m]) => [w, m.seq]).sort(),
    [...state.relaySeq].sort(),
    state.offset,
    state.hash,
  ]);
}
