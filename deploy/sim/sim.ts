/**
 * `npm run sim`: faulty worlds of the partition loop by the thousand, over all cores. A seed that breaks a promise is printed
 * with the command that plays it again alone, step by step.
 */
import { fork, type ChildProcess } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { findMutation, mutations, type Found, type MutationName } from '#engine/simulation/mutations';
import { executeAgain, simulate } from '#engine/simulation/simulation';
import { textTable } from '../lib/text_table.ts';

/** Of so many worlds one is executed again from its commands. */
const againEvery = 10;
const chunkSeeds = 50;
const failuresShown = 10;
const mutationSeeds = 500;

type Task = { from: number; seeds: number; trace: boolean } | { mutation: MutationName; from: number; seeds: number };
interface Broken {
  seed: number;
  problems: string[];
}
type Done = { broken: Broken[]; played: number; totals: Record<string, number> } | { found: Found };

async function playChunk({ from, seeds, trace }: Extract<Task, { trace: boolean }>): Promise<Done> {
  const broken: Broken[] = [];
  const totals: Record<string, number> = { commands: 0 };
  for (let seed = from; seed < from + seeds; seed++) {
    const { problems, figures, commands, log } = await simulate(
      seed,
      trace ? { trace: (line) => console.log(line) } : {},
    );
    const again = trace || seed % againEvery === 0 ? (await executeAgain(log)).problems : [];
    if (problems.length + again.length > 0) broken.push({ seed, problems: [...problems, ...again] });
    totals['commands']! += commands;
    for (const [name, count] of Object.entries<number>({ ...figures })) totals[name] = (totals[name] ?? 0) + count;
  }
  return { broken, played: seeds, totals };
}

const perform = async (task: Task): Promise<Done> =>
  'mutation' in task ? { found: await findMutation(task.mutation, task.from, task.seeds) } : playChunk(task);

/** Tasks over as many processes as there are cores; ends them all. */
async function performAll(next: () => Task | undefined, onDone: (done: Done, task: Task) => void): Promise<void> {
  const workers: ChildProcess[] = [];
  const work = (worker: ChildProcess) =>
    new Promise<void>((resolve, reject) => {
      let task: Task | undefined;
      const give = () => {
        task = next();
        if (task) worker.send(task);
        else resolve();
      };
      worker.on('message', (done: Done) => {
        onDone(done, task!);
        give();
      });
      worker.on('exit', (code) => reject(new Error(`a worker ended (${code})`)));
      give();
    });
  try {
    for (let i = 0; i < availableParallelism(); i++) workers.push(fork(fileURLToPath(import.meta.url), ['--worker']));
    await Promise.all(workers.map(work));
  } finally {
    for (const worker of workers) worker.removeAllListeners('exit').kill();
  }
}

async function worlds(from: number, seeds: number, isJson: boolean): Promise<void> {
  const startedAt = performance.now();
  const broken: Broken[] = [];
  const totals: Record<string, number> = {};
  let given = from;
  let played = 0;
  let saidAt = startedAt;
  const rate = () => Math.round(played / ((performance.now() - startedAt) / 1_000));
  const say = (line: string) => {
    if (!isJson) console.log(line);
  };
  await performAll(
    () => {
      if (given >= from + seeds || broken.length >= failuresShown) return undefined;
      const task = { from: given, seeds: Math.min(chunkSeeds, from + seeds - given), trace: false };
      given += task.seeds;
      return task;
    },
    (done) => {
      if (!('broken' in done)) return;
      played += done.played;
      for (const [name, count] of Object.entries(done.totals)) totals[name] = (totals[name] ?? 0) + count;
      for (const one of done.broken) {
        broken.push(one);
        say(
          `seed ${one.seed}: ${one.problems.join('\n  ')}\n  again: npm run sim -- --from ${one.seed} --seeds 1 --trace`,
        );
      }
      if (performance.now() - saidAt < 5_000) return;
      saidAt = performance.now();
      say(`${played} of ${seeds} worlds, ${rate()}/s, ${broken.length} broken`);
    },
  );
  const seconds = Math.round((performance.now() - startedAt) / 100) / 10;
  if (isJson) console.log(JSON.stringify({ from, seeds, played, seconds, totals, broken }));
  say(
    `\n${textTable([['what', 'in all worlds'], ...Object.entries(totals).map(([name, count]) => [name, String(count)])])}`,
  );
  say(`\n${played} worlds from seed ${from} on in ${seconds} s (${rate()}/s): ${broken.length} broken`);
  if (broken.length > 0) process.exitCode = 1;
}

async function allMutations(from: number, seeds: number, isJson: boolean): Promise<void> {
  const waiting = Object.keys(mutations) as MutationName[];
  const found = new Map<MutationName, Found>();
  await performAll(
    () => {
      const mutation = waiting.shift();
      return mutation && { mutation, from, seeds };
    },
    (done, task) => {
      if ('found' in done && 'mutation' in task) found.set(task.mutation, done.found);
    },
  );
  const rows = (Object.keys(mutations) as MutationName[]).map((name) => ({
    name,
    ...mutations[name],
    ...found.get(name)!,
  }));
  if (isJson) console.log(JSON.stringify(rows));
  else
    console.log(
      textTable([
        ['mutation', 'first red seed', 'what broke'],
        ...rows.map(({ name, seed, problem }) => [name, seed === null ? `none in ${seeds}` : String(seed), problem]),
      ]),
    );
  if (rows.some(({ seed }) => seed === null)) process.exitCode = 1;
}

if (process.argv[2] === '--worker') {
  process.on('message', (task: Task) => void perform(task).then((done) => process.send!(done)));
} else {
  const { values } = parseArgs({
    options: {
      seeds: { type: 'string' },
      from: { type: 'string', default: '1' },
      mutations: { type: 'boolean', default: false },
      trace: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
    },
  });
  const whole = (name: string, text: string) => {
    if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
    console.error(`--${name} takes a whole number from 1 on, not '${text}'`);
    process.exit(2);
  };
  const from = whole('from', values.from);
  const seeds = whole('seeds', values.seeds ?? String(values.mutations ? mutationSeeds : 1_000));
  if (values.trace) {
    const done = await playChunk({ from, seeds, trace: true });
    if ('broken' in done && done.broken.length > 0) {
      console.log(done.broken);
      process.exitCode = 1;
    }
  } else if (values.mutations) await allMutations(from, seeds, values.json);
  else await worlds(from, seeds, values.json);
}
