/** `gridtick inspect`: any entity as it is, or as it was at a moment of the retained window. */
import { domain } from '#actors/mod';
import { ConfigError, type Config } from '../config/config.ts';
import { momentOf, TimeTravel, type EntityThen } from '../partition/time_travel.ts';
import { definitionsOf } from '../projections/entities.ts';
import { Refusal } from '../refusal.ts';
import { withLog } from '../supervisor/log_access.ts';
import { argumentsOf, isoTime, jsonLine, type Screen } from './command.ts';
import { Progress } from './progress.ts';

export const inspectUsage = `gridtick inspect <id> [--at <time|p:seq>] [--json]
  <id> is <kind>:<id>, or an id alone, which is looked up in all kinds; what every partition has one of is <id>@<p>
  --at p:seq    after record seq of partition p
  --at <time>   after all that was decided by 2026-01-31T12:00:00Z (or unix ms) of the log's clock
  exit code 1 = there is, or was, nothing of that name, or it lies outside of what is kept`;

export async function inspectCommand(config: Config, args: readonly string[], { say, tell }: Screen): Promise<0 | 1> {
  const { values, words } = argumentsOf(args, { json: { type: 'boolean' }, at: { type: 'string' } }, inspectUsage);
  const [name] = words;
  if (name === undefined || words.length > 1) throw new ConfigError(inspectUsage);
  return withLog(config, 'inspect', async ({ nc, partitions }) => {
    const definitions = definitionsOf(domain);
    const progress = new Progress(tell);
    try {
      const at = momentOf(values.at, partitions);
      const found = await new TimeTravel(nc, partitions, definitions).find(
        { ...named(name, definitions), at },
        { onProgress: (done, of, p) => progress.at(done, of, `records of partition ${p}`) },
      );
      if (values.json) say(jsonLine({ ok: true, entities: found }));
      else for (const one of found) for (const line of linesOf(one)) say(line);
      return 0;
    } catch (error) {
      if (!(error instanceof Refusal) || !values.json) throw error;
      say(jsonLine({ ok: false, code: error.code, message: error.message, detail: error.detail }));
      return 1;
    }
  });
}

/** `kind:id` where that is a kind; ids hold colons, too. */
function named(name: string, kinds: { has(kind: string): boolean }): { kind: string | null; id: string } {
  const colon = name.indexOf(':');
  const kind = name.slice(0, Math.max(0, colon));
  return kinds.has(kind) ? { kind, id: name.slice(colon + 1) } : { kind: null, id: name };
}

function* linesOf({ kind, id, key, partition, at, changed, version, removed, value, state }: EntityThen) {
  yield `${kind} ${id}   partition ${partition}${key === id ? '' : `, key ${key}`}`;
  yield `  as of        ${partition}:${at.sequence}  ${isoTime(at.time)}`;
  yield changed
    ? `  last change  ${partition}:${changed.sequence}  ${isoTime(changed.time)}  version ${version}`
    : `  last change  before what is kept of the journal, version ${version}`;
  if (removed) yield '  removed';
  if (value !== null) yield `  state        ${value}`;
  if (state !== null) for (const line of JSON.stringify(state, null, 2).split('\n')) yield `  ${line}`;
}
