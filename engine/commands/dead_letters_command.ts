/** `gridtick dead-letters`: commands that could not be applied, and what is to become of them. */
import { userInfo } from 'node:os';
import { ConfigError, type Config } from '../config/config.ts';
import { DeadLetters, placeNamed, type Letter } from '../dead_letters.ts';
import { openHistory } from '../history/mod.ts';
import { openDoor } from '../log/mod.ts';
import { Refusal } from '../refusal.ts';
import { withRunning } from '../supervisor/log_access.ts';
import { argumentsOf, isoTime, jsonLine, tableOf, type Screen } from './command.ts';

export const deadLettersUsage = `gridtick dead-letters [list [--all]] [--json]
gridtick dead-letters show | retry | discard <p:seq:i> [--json]
  list     the open ones, with --all also those that were dealt with
  retry    sends the command again, under an id of the letter's own: twice is once
  discard  nothing is to be done about it
  exit code 0 = done, and what was sent again was accepted; 1 = not`;

export async function deadLettersCommand(config: Config, args: readonly string[], { say }: Screen): Promise<0 | 1> {
  const options = { json: { type: 'boolean' }, all: { type: 'boolean' } } as const;
  const { values, words } = argumentsOf(args, options, deadLettersUsage);
  const [verb = 'list', name, ...more] = words;
  const isList = verb === 'list';
  if (more.length > 0 || isList !== (name === undefined) || !['list', 'show', 'retry', 'discard'].includes(verb))
    throw new ConfigError(deadLettersUsage);
  return withRunning(config, 'dead letters', async ({ nc, partitions, clickhouse }) => {
    const history = await openHistory(clickhouse);
    const door = await openDoor(nc, { name: `cli-${process.pid}`, partitions });
    const letters = new DeadLetters({ nc, door, history });
    const by = `cli:${userInfo().username}`;
    try {
      if (isList) {
        const found = await letters.list({ state: values.all ? 'all' : 'open', limit: 1_000 });
        if (values.json) say(jsonLine({ ok: true, letters: found }));
        else if (found.length === 0) say(values.all ? 'there are none' : 'there are no open ones');
        else {
          const rows = found.map((l) => [l.place, isoTime(l.at), l.state, l.entity, l.command, l.reason.slice(0, 60)]);
          for (const line of tableOf(['letter', 'at', 'state', 'entity', 'command', 'reason'], rows)) say(line);
        }
        return 0;
      }
      const place = placeNamed(name!);
      if (verb === 'show') {
        const letter = await letters.show(place);
        if (values.json) say(jsonLine({ ok: true, letter }));
        else for (const line of linesOf(letter)) say(line);
        return 0;
      }
      if (verb === 'discard') {
        await letters.discard(place, by);
        say(values.json ? jsonLine({ ok: true }) : `${name} is discarded`);
        return 0;
      }
      const result = await letters.retry(place, by);
      if (values.json) say(jsonLine(result));
      else if (result.ok) say(`accepted at ${result.at}: ${JSON.stringify(result.value)}`);
      else say(`refused: ${result.code} ${JSON.stringify(result.detail ?? {})}`);
      return result.ok ? 0 : 1;
    } catch (error) {
      if (!(error instanceof Refusal) || !values.json) throw error;
      say(jsonLine({ ok: false, code: error.code, message: error.message, detail: error.detail }));
      return 1;
    } finally {
      await door.close();
      await history.close();
    }
  });
}

function* linesOf({ place, at, entity, command, reason, correlation, detail, state, settled, retained }: Letter) {
  const { unit, writer, build, body, stack, ...more } = detail;
  yield `${place}  ${state}${retained ? '' : ', no longer in the journal'}`;
  const rows: [string, unknown][] = [
    ['at', isoTime(at)],
    ['entity', entity],
    ['command', command],
    ['error', reason],
    ['unit', unit],
    ['writer', writer],
    ['build', build],
    ['correlation', correlation],
    [
      'settled',
      settled && `by ${settled.by}, ${isoTime(settled.at)}${settled.code === null ? '' : `, ${settled.code}`}`,
    ],
    ...Object.entries(more),
  ];
  for (const [label, value] of rows)
    if (value !== undefined && value !== null)
      yield `  ${label.padEnd(12)} ${typeof value === 'string' ? value : JSON.stringify(value)}`;
  if (body !== undefined) for (const line of JSON.stringify(body, null, 2).split('\n')) yield `  ${line}`;
  if (typeof stack === 'string') for (const line of stack.split('\n')) yield `  ${line}`;
}
