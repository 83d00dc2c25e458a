/**
 * One seed of the money world: the product's own rules under a faulty log, with engines that are killed and paused. When
 * all is at rest, `money_checks.ts` reads the journals, and every customer must own what the acknowledged commands say.
 */
import { domain, partitionOf } from '#actors/mod';
import type { BoardState } from '#actors/schema/customer_entities';
import type { HeldReply } from '#actors/schema/customer_commands';
import { customerAddress, tagAddress } from '#actors/addresses';
import type { Domain } from '#actors/actor';
import type { TagEntryState } from '#actors/schema/entities';
import { compileDomain, type Catalogue } from '../partition/catalogue.ts';
import type { CommandEnvelope, ReplyOut } from '../wire.ts';
import { MemoryLog } from './memory_log.ts';
import { checkBooks } from './money_checks.ts';
import { Shadow, type Given } from './money_shadow.ts';
import { openPlugs, type Drawn } from './money_plugs.ts';
import { customers, founding, namedTags, partitions, site, stations, wish } from './money_world.ts';
import { Answers, SimulatedDoor, SimulatedEngine } from './processes.ts';
import { World } from './world.ts';

export interface MoneyReport {
  seed: number;
  commands: number;
  epochs: number;
  cuts: number;
  underWayWhMax: number;
  /** What became of orders; `held` = expired. */
  fates: Shadow['fates'];
  refused: number;
  /** Charging sessions by how they ended, and samples that came late. */
  sessions: Record<Drawn['end'], number>;
  lateSamples: number;
  /** Sessions that were settled more than once. */
  settledAnew: number;
  problems: string[];
  /** As it lies at the end, for whoever reads it again. */
  log: MemoryLog;
}

const envelope = (id: string, { to, type, body }: Pick<CommandEnvelope, 'to' | 'type' | 'body'>): CommandEnvelope => ({
  id,
  to,
  type,
  body,
  reply: { inbox: 'i', token: 0 },
  deadline: 0,
  correlation: null,
});

/** Something that somebody does at a door. */
export interface Deed {
  given: Given;
  /** Asked again later, under the same id. */
  again: boolean;
  /** What passes before the next one at that door. */
  waitMs: number;
}
/** What happens in a world, where it is not left to chance. */
export interface MoneyPlan {
  deeds: readonly Deed[];
  /** After so long an engine is killed, or lives on as a zombie, and another one takes over. */
  crashes: readonly { afterMs: number; zombie: boolean }[];
}

/** Compiling the product's rules takes longer than a seed. */
const catalogues = new Map<Domain, Catalogue>();
function compiled(rules: Domain): Catalogue {
  let catalogue = catalogues.get(rules);
  if (!catalogue) catalogues.set(rules, (catalogue = compileDomain(rules)));
  return catalogue;
}

/**
 * @param rules the product's, unless a test shows that other ones are found out
 * @param plan what people do and when engines die; without one, chance decides
 */
export async function simulateMoney(
  seed: number,
  { rules = domain, plan, trace }: { rules?: Domain; plan?: MoneyPlan; trace?: (line: string) => void } = {},
): Promise<MoneyReport> {
  const world = new World(seed);
  const { chance } = world;
  const log = new MemoryLog(world, partitions);
  const catalogue = compiled(rules);
  const problems: string[] = [];
  const answers = new Answers(problems);
  const plugs = openPlugs(log, problems);
  const held: HeldReply[] = [];
  const onReplies = (_at: string, replies: readonly ReplyOut[]) => {
    for (const { commandId, result } of replies) {
      const isNew = commandId !== null && !answers.results.has(commandId);
      const value = result.ok && isNew ? (result.value as Partial<HeldReply> | null) : null;
      if (value?.expiresAt !== undefined) held.push(value as HeldReply);
    }
    answers.note(replies);
    for (const plug of plugs) plug.note(replies);
  };
  const engine = () => new SimulatedEngine(log, { catalogue, onReplies, trace, snapshotEveryBytes: 24_000 });
  const engines = [engine()];

  await found(world, log, engines[0]!, problems);
  log.faults = {
    ackLostPercent: chance.below(12),
    appendLostPercent: chance.below(12),
    latencyMsMax: 1 + chance.below(40),
  };

  const given = new Map<string, Given>();
  const again: CommandEnvelope[] = [];
  const total = plan?.deeds.length ?? 60 + chance.below(80);
  const deed = (n: number): Deed =>
    plan?.deeds[n] ?? {
      given: wish(chance, world.now, held),
      again: chance.of(20),
      waitMs: chance.of(60) ? chance.below(1_200) : 0,
    };
  let doorsDone = 0;
  const tellers = 3 + plugs.length;
  const open = (name: string, work: (send: (command: CommandEnvelope) => Promise<void>) => Promise<void>) =>
    void (async () => {
      const door = new SimulatedDoor(log, name);
      await door.open();
      await work((command) =>
        // Some callers ask twice before they are answered.
        door.send(chance.of(8) ? [command, command] : [command], partitionOf(command.to.key, partitions)),
      );
      doorsDone += 1;
    })();
  for (let d = 0; d < 2; d++) {
    const counts = new Map<string, number>();
    open(`door-${d}`, async (send) => {
      for (let n = d; n < total; n += 2) {
        const { given: next, again: isAgain, waitMs } = deed(n);
        // One door's callers count their commands, the other's draw ids.
        const count = (counts.get(next.customer) ?? 0) + 1;
        counts.set(next.customer, count);
        const id = d === 0 ? `series-${next.customer}:${count}` : `00000000-${seed}-${n}`;
        given.set(id, next);
        const command = envelope(id, { to: customerAddress(next.customer), type: next.type, body: next.body });
        await send(command);
        if (isAgain) again.push(command);
        if (waitMs > 0) await world.clock.delay(waitMs);
      }
    });
  }
  for (const plug of plugs)
    void plug.run(2 + chance.below(3)).then(() => {
      doorsDone += 1;
    });
  open('door-again', async (send) => {
    while (doorsDone < tellers - 1 || again.length > 0) {
      await world.clock.delay(chance.below(2_500));
      const command = again.shift();
      if (command) await send(command);
    }
  });
  let isOver = false;
  const takeOver = (zombie: boolean) => {
    if (isOver) return;
    // Otherwise the old engine lives on as a zombie until it notices.
    if (!zombie) engines.at(-1)!.kill();
    world.plan(chance.below(400), () => {
      if (!isOver) engines.push(engine());
    });
  };
  const trouble = () => {
    if (doorsDone === tellers) return;
    takeOver(!chance.of(60));
    world.plan(800 + chance.below(6_000), trouble);
  };
  if (plan) for (const { afterMs, zombie } of plan.crashes) world.plan(afterMs, () => takeOver(zombie));
  else world.plan(300 + chance.below(3_000), trouble);

  if (!(await world.run(600_000, () => doorsDone === tellers))) problems.push('doors could not finish');
  log.faults = { ackLostPercent: 0, appendLostPercent: 0, latencyMsMax: 5 };
  await world.run(1_000, () => false);
  // What was to befall an engine later than this befalls none.
  isOver = true;
  for (const one of engines) one.kill();
  const last = engine();
  engines.push(last);
  await world.run(4_000, () => false);
  // Holds expire within a minute; whatever was committed flows to its end.
  const idle = () => customers.every((customer) => ordersOf(last, customer) === 0) && last.quiet;
  if (!(await world.run(600_000, idle))) problems.push('the last engine did not come to rest');
  await world.run(13_000, () => false);
  await world.run(5_000, () => last.quiet);
  for (const one of engines) for (const error of one.errors) problems.push(`an engine failed: ${error.message}`);
  for (const one of engines) one.kill();
  await world.run(100, () => false);

  const books = checkBooks(log, catalogue);
  const drawn = plugs.flatMap((plug) => plug.drawn);
  for (const one of drawn) books.meters.check(one, (text) => problems.push(text));
  const shadow = new Shadow();
  let refused = 0;
  for (const [id, one] of given) {
    const outcome = books.outcomes.get(id);
    const answer = answers.results.get(id);
    if (!outcome) problems.push(`${id} (${one.type}) is in the log and was never decided`);
    else if (answer && JSON.stringify(answer) !== JSON.stringify(outcome))
      problems.push(`${id}: the answer is not the outcome`);
    else shadow.acknowledged(one, outcome);
    if (outcome?.ok === false) refused += 1;
  }
  for (const [id, one] of given) if (books.outcomes.has(id)) shadow.decided(one, books.outcomes.get(id)!);
  for (const customer of customers) {
    const state = books.customers.get(customer);
    const is = { e5Sek: state?.sek.available, wh: state?.wh.available };
    const due = shadow.owned(customer);
    // What was paid for charging has been compared with the chargers' own meters.
    due.e5Sek -= books.meters.paidE5Sek.get(customer) ?? 0;
    if (is.e5Sek !== due.e5Sek || is.wh !== due.wh)
      problems.push(`${customer} has ${is.e5Sek} and ${is.wh} Wh, ${due.e5Sek} and ${due.wh} Wh are due`);
  }
  return {
    seed,
    commands: given.size,
    epochs: books.epochs,
    cuts: books.cuts,
    underWayWhMax: books.underWayWhMax,
    fates: shadow.fates,
    refused,
    sessions: countBy(drawn.map(({ end }) => end)),
    lateSamples: drawn.reduce((sum, { late }) => sum + late, 0),
    settledAnew: books.settledAnew,
    problems: [...problems, ...shadow.problems, ...books.problems],
    log,
  };
}

function countBy(ends: readonly Drawn['end'][]): Record<Drawn['end'], number> {
  const counts = { stopped: 0, closed: 0, 'closed, then stopped': 0, 'superseded, then stopped': 0 };
  for (const end of ends) counts[end] += 1;
  return counts;
}

const ordersOf = (engine: SimulatedEngine, customer: string): number => {
  const state = engine.owners[partitionOf(customer, partitions)]?.state;
  return state?.get<{ orders: unknown[] }>('customer', customer)?.context.orders.length ?? Infinity;
};

/** Makes the world, without faults, and waits until every partition knows the prices, and the site whose the tags are. */
async function found(world: World, log: MemoryLog, engine: SimulatedEngine, problems: string[]) {
  let founded = false;
  void (async () => {
    const door = new SimulatedDoor(log, 'founder');
    await door.open();
    for (const [n, command] of founding.entries())
      await door.send([envelope(`founding-${n}`, command)], partitionOf(command.to.key, partitions));
    founded = true;
  })();
  const source = String(partitionOf(site, partitions));
  const priced = () =>
    engine.owners.every(
      ({ state }) => state?.get<BoardState>('board', source)?.context.prices.length === stations.length,
    );
  const listed = () =>
    namedTags.every(({ tag, customer }) => {
      const { id } = tagAddress(Number(source), tag);
      return engine.owners[Number(source)]!.state?.get<TagEntryState>('tag', id)?.context.customer === customer;
    });
  if (!(await world.run(40_000, () => founded && priced() && listed()))) problems.push('no prices came, or no tags');
}
