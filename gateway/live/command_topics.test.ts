import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { Static } from 'typebox';
import type { Trade } from '#actors/schema/events';
import { startTestApi, TestScreen, type TestApi } from '../api/testing.ts';
import type { CommandData, Delta } from '../schema/live.ts';
import { CommandTopics } from './command_topics.ts';
import { aTrade, MemoryReplica, Recorder, tradeEvent } from './testing.ts';

type DeltaFrame = Static<typeof Delta>;

let api: TestApi;
const screens: TestScreen[] = [];
beforeAll(async () => {
  api = await startTestApi({ limits: { flushEveryMs: 20 } });
});
afterAll(() => api.close());
afterEach(() => {
  for (const screen of screens.splice(0)) screen.ws.terminate();
});

async function look(user: string) {
  const cookie = await api.cookieOf(user);
  const screen = await TestScreen.open(api.base, cookie);
  screens.push(screen);
  const post = (url: string, payload: object) =>
    api.app.inject({
      method: 'POST',
      url,
      payload,
      headers: { cookie, origin: api.base, host: new URL(api.base).host },
    });
  return { screen, post };
}
/** The topic's id of a command of `anna`, and the words for its steps. */
const topic = { kind: 'command' as const, id: 'anna\nc-1', name: 'command:c-1' };
const words = (commands: CommandTopics, of = topic) => commands.valueOf(of).map(({ step }) => step);

/** The words of all steps that a topic was told, by event and in its state. */
const toldBy = ({ frames }: Recorder) => ({
  events: frames.flatMap((f) => (f.op === 'event' && f.event.kind === 'step' ? [f.event.step] : [])),
  state: frames
    .flatMap((f) => (f.op === 'delta' ? [f.set as CommandData] : []))
    .at(-1)
    ?.steps.map(({ step }) => step),
});

test('who sent a command sees it go in, decided, and what followed', async () => {
  const { screen, post } = await look('customer');
  await post('/api/account/deposit', { id: randomUUID(), amount: '100' });
  const id = randomUUID();
  const recorder = new Recorder(screen.ws);
  screen.send({ op: 'sub', id: 3, topic: `command:${id}` });
  expect((await screen.next('snap')).data).toEqual({ steps: [] });
  const held = await post('/api/orders', { id, side: 'buy', station: 'nord-1', slot: null, energyWh: 1_000 });
  expect(held.statusCode).toBe(200);
  const { order } = held.json<{ order: string }>();
  const told = (state: Trade['state'], at: number) =>
    api.replica.commit('customer', [], [tradeEvent(aTrade('customer', order, { state, at }))]);
  told('delivering', 77);
  // Every 12 s while it flows; the word is said once.
  told('delivering', 78);
  told('completed', 79);
  await recorder.until((f) => f.op === 'delta' && (f.set as CommandData).steps.length === 4);
  const words = ['sent', 'accepted', 'delivering', 'completed'];
  expect(toldBy(recorder)).toEqual({ events: words, state: words });
});

test('a refusal is a step, with its code', async () => {
  const { screen, post } = await look('customer');
  const id = randomUUID();
  const recorder = new Recorder(screen.ws);
  screen.send({ op: 'sub', id: 3, topic: `command:${id}` });
  await post('/api/orders/stop', { id, order: 'customer-999' });
  const { set } = await recorder.until<DeltaFrame>(
    (f) => f.op === 'delta' && (f.set as CommandData).steps.length === 2,
  );
  expect((set as CommandData).steps[1]).toMatchObject({ step: 'refused', code: 'unknown_order' });
});

test('whoever comes too late sees the steps so far; a resume brings those that were missed', async () => {
  const { screen, post } = await look('customer');
  const id = randomUUID();
  screen.send({ op: 'sub', id: 3, topic: `command:${id}` });
  const { cursor } = await screen.next('snap');
  screen.send({ op: 'unsub', id: 3 });
  await screen.next('unsub');
  await post('/api/account/deposit', { id, amount: '1' });
  screen.send({ op: 'sub', id: 3, topic: `command:${id}`, cursor });
  expect((await screen.next('event')).event).toMatchObject({ step: 'sent' });
  expect((await screen.next('event')).event).toMatchObject({ step: 'accepted' });
  expect((await screen.next('delta')).set).toMatchObject({ steps: [{ step: 'sent' }, { step: 'accepted' }] });
  screen.send({ op: 'sub', id: 4, topic: `command:${id}` });
  expect((await screen.next('snap')).data).toMatchObject({ steps: [{ step: 'sent' }, { step: 'accepted' }] });
});

test('the same id of another user is another command', async () => {
  const { screen, post } = await look('customer');
  const stranger = await look('trader');
  const id = randomUUID();
  for (const who of [screen, stranger.screen]) {
    who.send({ op: 'sub', id: 3, topic: `command:${id}` });
    await who.next('snap');
  }
  await post('/api/account/deposit', { id, amount: '1' });
  await screen.next('event');
  stranger.screen.send({ op: 'sub', id: 4, topic: `command:${id}` });
  expect((await stranger.screen.next('snap')).data).toEqual({ steps: [] });
  // A user's id in the name leads nowhere else.
  for (const name of [`command:customer\n${id}`, 'command:', 'command']) {
    stranger.screen.send({ op: 'sub', id: 5, topic: name });
    expect(await stranger.screen.next('refuse')).toMatchObject({ code: 'unknown_topic' });
  }
});

test('what another process did is looked up when somebody asks for it, once', async () => {
  let asked = 0;
  const outcome = async (user: string, command: string) => {
    asked += 1;
    return user === 'anna' && command === 'c-1' ? ({ ok: true, value: { order: 'anna-1' } } as const) : undefined;
  };
  const commands = new CommandTopics(new MemoryReplica(), { outcome });
  const told = new Promise<void>((resolve) => {
    commands.listen({ touched: () => resolve(), event: () => {} });
  });
  commands.watched(topic, true);
  await told;
  expect(words(commands)).toEqual(['accepted']);
  commands.watched(topic, false);
  commands.watched(topic, true);
  expect(asked).toBe(1);
});

test('a retry adds nothing, and a late answer to a command that was given up counts', () => {
  const commands = new CommandTopics(new MemoryReplica());
  commands.sent('anna', 'c-1');
  commands.answered('anna', 'c-1', { ok: false, code: 'unavailable' });
  commands.sent('anna', 'c-1');
  commands.answered('anna', 'c-1', { ok: false, code: 'unavailable' });
  commands.answered('anna', 'c-1', { ok: true, value: {} });
  commands.answered('anna', 'c-1', { ok: true, value: {} });
  expect(words(commands)).toEqual(['sent', 'refused', 'accepted']);
});

test('only the newest commands of each user are kept, whatever others send', () => {
  const commands = new CommandTopics(new MemoryReplica());
  commands.sent('anna', 'c-1');
  for (let n = 0; n < 1_000; n++) commands.sent('bert', `c-${n}`);
  const of = (user: string, command: string) => ({ ...topic, id: `${user}\n${command}` });
  expect(words(commands)).toEqual(['sent']);
  expect(words(commands, of('bert', 'c-871'))).toEqual([]);
  expect(words(commands, of('bert', 'c-872'))).toEqual(['sent']);
  for (let n = 0; n < 3_000; n++) commands.sent(`user-${n}`, 'c-1');
  expect(words(commands)).toEqual([]);
});
