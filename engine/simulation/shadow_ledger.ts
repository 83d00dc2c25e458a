/**
 * What must hold in the tally's world at every moment, checked when something has just been committed, stored or told. Knows
 * the logs and the codec, and nothing of who wrote them.
 *
 * L1 Records chain, epochs and batches are dense, offsets and clocks never go back, an entity's versions count by one.
 * L2 An id is decided once, commands of one entity in the order of the log, and everybody is told what is committed.
 * L3 What was added is on the accounts or on its way between partitions, at every record.
 * L4 A timer that was armed fires once, is replaced, or still waits; an alarm never comes early.
 * L5 A relay is stored only where the record that holds it is committed.
 */
import type { Catalogue } from '../partition/catalogue.ts';
import { genesisHash, verifyChain } from '../partition/record.ts';
import { RecordFilter } from '../partition/record_filter.ts';
import { isRelay, PartitionState, relayWriter } from '../partition/state.ts';
import { decodeFrame, type CommitRecord, type ReplyOut } from '../wire.ts';
import type { MemoryLog } from './memory_log.ts';
import type { Account } from './tally.ts';

const problemsMax = 20;

interface Given {
  /** Where it first stands in its command log. */
  place: number;
  /** 0 unless it adds. */
  amount: number;
}

class ShadowPartition {
  readonly filter = new RecordFilter();
  readonly state: PartitionState;
  readonly versions = new Map<string, number>();
  /** Place in the command log of the newest command that was decided, by entity. */
  readonly decidedPlace = new Map<string, number>();
  readonly fired = new Set<string>();
  /** Amounts on their way to here, by source partition and number. */
  readonly coming = new Map<number, Map<number, number>>();
  hash = genesisHash;
  read = 0;
  /** Who wrote the newest epoch record. */
  owner = '';

  constructor(catalogue: Catalogue, partition: number, partitions: number) {
    this.state = new PartitionState(catalogue, partition, partitions);
  }
}

export class ShadowLedger {
  readonly problems: string[] = [];
  readonly figures = { epochs: 0, records: 0, snapshots: 0, strays: 0, doubled: 0 };
  readonly partitions: ShadowPartition[];
  readonly #log: MemoryLog;
  /** By command id. */
  readonly #given = new Map<string, Given>();
  /** First decisions by command id, as text. */
  readonly #decided = new Map<string, string>();
  readonly #answered = new Set<string>();
  #balance = 0;
  #added = 0;
  #coming = 0;

  /** Watches the log from its beginning on. */
  constructor(log: MemoryLog, catalogue: Catalogue) {
    this.#log = log;
    this.partitions = log.journals.map((_, p) => new ShadowPartition(catalogue, p, log.journals.length));
    for (const [p, stream] of log.journals.entries()) stream.listen((sequence) => this.#committed(p, sequence));
    for (const [p, stream] of log.commands.entries()) stream.listen((sequence) => this.#stored(p, sequence));
  }

  #problem(text: string) {
    if (this.problems.length < problemsMax) this.problems.push(text);
  }

  #stored(p: number, sequence: number) {
    const frame = decodeFrame(this.#log.commands[p]!.messages[sequence - 1]!.bytes);
    if (isRelay(frame.writer)) {
      const source = this.partitions.findIndex((_, q) => relayWriter(q) === frame.writer);
      const committed = this.partitions[source]!.state.relaySeq.get(p) ?? 0;
      const last = frame.first + frame.commands.length - 1;
      if (last > committed)
        this.#problem(`C_${p}:${sequence} holds relay ${source}.${last}, committed are ${committed}`);
    }
    for (const [i, { id, type, body }] of frame.commands.entries()) {
      if (id === null) continue;
      if (this.#given.has(id)) this.figures.doubled += 1;
      else this.#given.set(id, { place: sequence * 64 + i, amount: type === 'add' ? Number(body['amount']) : 0 });
    }
  }

  #committed(p: number, sequence: number) {
    const shadow = this.partitions[p]!;
    const at = `${p}:${sequence}`;
    const record = this.#log.journals[p]!.record(sequence);
    if (sequence !== shadow.read + 1) this.#problem(`${at} follows ${shadow.read}`);
    shadow.read = sequence;
    if (!shadow.filter.accepts(record)) {
      this.figures.strays += 1;
      return;
    }
    const { state } = shadow;
    if (!verifyChain(this.#log.journals[p]!.messages[sequence - 1]!.bytes, shadow.hash))
      this.#problem(`${at} breaks the hash chain`);
    shadow.hash = record.hash;
    if (record.offset < state.offset || record.now < state.now) this.#problem(`${at} offset or clock went back`);
    this.figures.records += 1;
    if (record.kind === 'epoch') {
      this.figures.epochs += 1;
      shadow.owner = record.owner;
    }
    if (record.kind === 'snapshot') this.figures.snapshots += 1;
    this.#balances(shadow, record, at);
    this.#decisions(shadow, record, at);
    for (const timer of record.timers.fired) {
      // Only these have a name of their own each time.
      if (!timer.includes('|w')) continue;
      if (shadow.fired.has(timer)) this.#problem(`${at} ${timer} fired twice`);
      shadow.fired.add(timer);
    }
    if (this.#balance + this.#coming !== this.#added)
      this.#problem(`${at} balances ${this.#balance} and ${this.#coming} on the way, added were ${this.#added}`);
  }

  #balances(shadow: ShadowPartition, record: CommitRecord, at: string) {
    const { state } = shadow;
    const balanceOf = (id: string) => state.get<Account>('account', id)?.context.balance ?? 0;
    for (const { kind, id, version } of record.entities) {
      if (version !== (shadow.versions.get(id) ?? 0) + 1) this.#problem(`${at} ${kind}/${id} version ${version}`);
      shadow.versions.set(id, version);
      this.#balance -= balanceOf(id);
    }
    state.applyRecord(record);
    for (const { id } of record.entities) {
      this.#balance += balanceOf(id);
      const early = state.get<Account>('account', id)?.context.early ?? 0;
      if (early > 0) this.#problem(`${at} an alarm of ${id} came early`);
    }
    for (const { to, seq, command } of record.relays) {
      const { coming } = this.partitions[to]!;
      const amounts = coming.get(state.partition) ?? new Map<number, number>();
      coming.set(state.partition, amounts);
      amounts.set(seq, command.body['amount'] as number);
      this.#coming += amounts.get(seq)!;
    }
    for (const [source, amounts] of shadow.coming) {
      const taken = record.writers[relayWriter(source)] ?? 0;
      for (const [seq, amount] of amounts) {
        if (seq > taken) break;
        amounts.delete(seq);
        this.#coming -= amount;
      }
    }
  }

  #decisions(shadow: ShadowPartition, record: CommitRecord, at: string) {
    for (const { commandId: id, entity, result } of record.replies) {
      if (id === null) continue;
      this.#answered.add(id);
      if (!entity) continue;
      if (this.#decided.has(id)) this.#problem(`${at} ${id} was decided twice`);
      this.#decided.set(id, JSON.stringify(result));
      const given = this.#given.get(id);
      if (!given) {
        this.#problem(`${at} ${id} was decided, and nobody gave it`);
        continue;
      }
      if (result.ok) this.#added += given.amount;
      if (given.place < (shadow.decidedPlace.get(entity[1]) ?? 0))
        this.#problem(`${at} ${id} was decided out of order`);
      shadow.decidedPlace.set(entity[1], given.place);
    }
  }

  /** Somebody is told. */
  released(at: string, replies: readonly ReplyOut[]) {
    const [p, sequence] = at.split(':').map(Number) as [number, number];
    const journal = this.#log.journals[p]!;
    if (sequence > journal.synced) {
      if (replies.length > 0) this.#problem(`${at} was told before it was committed`);
      return;
    }
    const record = journal.record(sequence);
    for (const { commandId, result } of replies) {
      if (commandId === null) continue;
      const text = JSON.stringify(result);
      if (!record.replies.some((reply) => reply.commandId === commandId && JSON.stringify(reply.result) === text))
        this.#problem(`${at} ${commandId} was told ${text}, which that record does not say`);
    }
  }

  /** When nothing is under way any more: everything that was acknowledged is decided, every timer has come. */
  atRest(acknowledged: ReadonlySet<string>) {
    for (const id of acknowledged)
      if (!this.#answered.has(id)) this.#problem(`${id} was acknowledged and never decided`);
    if (this.#coming !== 0) this.#problem(`${this.#coming} are still on the way`);
    for (const { state } of this.partitions) {
      const waiting = new Map<string, number>();
      for (const [timer, dueAt] of state.timers.entries()) {
        if (timer.startsWith('slot|')) continue;
        const id = timer.split('|')[1]!;
        waiting.set(id, (waiting.get(id) ?? 0) + 1);
        if (dueAt <= state.now) this.#problem(`${timer} is overdue since ${state.now - dueAt} ms`);
      }
      for (const { id, stored } of state.entities.get('account')?.values() ?? []) {
        const { armed, fired, replaced } = stored.context as unknown as Account;
        if (armed !== fired + replaced + (waiting.get(id) ?? 0))
          this.#problem(
            `${id}: ${armed} timers armed, ${fired} fired, ${replaced} replaced, ${waiting.get(id) ?? 0} wait`,
          );
      }
    }
  }
}
