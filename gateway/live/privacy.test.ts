/** Two customers at one station: whatever either asks for, nothing of the other reaches its socket. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { PublicEvent } from '#actors/schema/events';
import { startTestApi, TestScreen, type TestApi } from '../api/testing.ts';
import type { ServerFrame, StationData, TreeData } from '../schema/live.ts';
import { topicKinds } from './source.ts';
import { aCharger, aConnector, aSession, Recorder } from './testing.ts';

let api: TestApi;
const screens: TestScreen[] = [];
beforeAll(async () => {
  api = await startTestApi({ limits: { flushEveryMs: 20, inbound: { burst: 512, perSecond: 512 } } });
});
afterAll(async () => {
  for (const screen of screens) screen.ws.terminate();
  await api.close();
});

async function signedIn(user: string) {
  const cookie = await api.cookieOf(user);
  const screen = await TestScreen.open(api.base, cookie);
  screens.push(screen);
  const post = async (url: string, payload: object) => {
    const answer = await api.app.inject({ method: 'POST', url, payload, headers: { cookie } });
    expect(answer.statusCode, answer.body).toBe(200);
    return answer.json<Record<string, unknown>>();
  };
  return { user, screen, recorder: new Recorder(screen.ws), post };
}
type Someone = Awaited<ReturnType<typeof signedIn>>;

const told = { trade: 0, battery: 0 };
/** Brings the events that the domain has emitted since to the replica, as the journal would. */
function tellEvents(): void {
  for (const kind of ['trade', 'battery'] as const) {
    const payloads = api.door.world.payloads(kind);
    for (const payload of payloads.slice(told[kind]))
      api.replica.commit(payload.customer, [], [{ kind, subject: '', payload } as PublicEvent]);
    told[kind] = payloads.length;
  }
}

/** A charging session under a tag of that customer. */
const charge = (customer: string, tag: string, charger: string, powerW: number) =>
  api.replica.commit(
    'demo',
    [
      {
        kind: 'charger',
        id: charger,
        value: 'accepted',
        context: aCharger({ connectors: [aConnector({ status: 'Charging', transaction: 7, powerW })] }),
      },
      { kind: 'session', id: '7', value: 'energising', context: aSession({ tag, customer, charger }) },
    ],
    [
      {
        kind: 'meter',
        subject: '',
        payload: { site: 'demo', station: 'nord-1', charger, connector: 1, transaction: 7, receivedAt: 1, samples: [] },
      },
    ],
  );

async function trade(who: Someone, amount: string, energyWh: number): Promise<{ commands: string[]; order: string }> {
  const commands = Array.from({ length: 3 }, () => randomUUID());
  const [deposit, buy, commit] = commands as [string, string, string];
  await who.post('/api/account/deposit', { id: deposit, amount });
  const held = await who.post('/api/orders', { id: buy, side: 'buy', station: 'nord-1', slot: null, energyWh });
  tellEvents();
  await who.post('/api/orders/commit', { id: commit, side: 'buy', order: null });
  tellEvents();
  return { commands, order: held['order'] as string };
}

test('two customers never see each other’s data on any topic', async () => {
  await api.putUser('anna-7f3a', { roles: ['customer'] });
  await api.putUser('bert-9c1d', { roles: ['customer'] });
  const anna = await signedIn('anna-7f3a');
  const bert = await signedIn('bert-9c1d');
  // What an earlier day left behind is no secret less.
  const before = await trade(anna, '123.45', 2_345);
  await trade(bert, '67.89', 1_789);

  const askFor = (other: Someone, commandsOfOther: string[]): string[] => [
    ...['me', `me:${other.user}`, `me/${other.user}`, 'me:', 'health', 'tree:demo', 'station:nord-1'],
    ...['charger:CP-0001', 'charger:CP-0002', 'frames:CP-0001', 'channel:1', `customer:${other.user}`],
    ...[`wallet:${other.user}`, `battery:${other.user}`, `trade:${other.user}`, 'user:admin', '*', 'me:*', '>'],
    ...commandsOfOther.flatMap((id) => [
      `command:${id}`,
      `command:${other.user}\n${id}`,
      `command:${other.user}:${id}`,
    ]),
    ...[`session:7`, `tag:ANNA-TAG-1`, `order:${before.order}`],
  ];
  const walk = (who: Someone, topics: string[]) =>
    topics.forEach((topic, i) => who.screen.send({ op: 'sub', id: i, topic }));
  const topics = askFor(anna, before.commands);
  // Whoever adds a kind of topic adds it here.
  for (const kind of topicKinds) expect(topics.some((topic) => topic.split(':')[0] === kind)).toBe(true);
  walk(bert, topics);
  walk(anna, askFor(bert, []));
  await bert.recorder.until((f) => 'id' in f && f.id === topics.length - 1);

  // Everything moves while both look.
  const during = await trade(anna, '123.45', 2_345);
  charge(anna.user, 'ANNA-TAG-1', 'CP-0001', 7_117);
  charge(bert.user, 'BERT-TAG-2', 'CP-0002', 3_993);
  api.door.advance(60_000);
  tellEvents();
  await trade(bert, '67.89', 1_789);
  const isTrade = (user: string) => (f: ServerFrame) =>
    f.op === 'event' && f.event.kind === 'trade' && f.event.customer === user && f.event.state === 'delivering';
  await anna.recorder.until(isTrade(anna.user));
  await bert.recorder.until(isTrade(bert.user));
  await bert.recorder.until((f) => f.op === 'delta' && 'station:nord-1' in f.set);
  await anna.screen.settled();
  await bert.screen.settled();

  /** Own numbers as they stand in frames; no other number looks like them. */
  const secretsOf = ({ user, recorder }: Someone, energyWh: number, tag: string, commands: string[]) => [
    ...[user, `"energyWh":${energyWh},`, `"amountE5Sek":${energyWh * 100}`, tag],
    ...recorder.texts.flatMap((text) => text.match(/"availableE5Sek":\d+/g) ?? []),
    ...commands,
  ];
  const ofAnna = secretsOf(anna, 2_345, 'ANNA', [...before.commands, ...during.commands]);
  const ofBert = secretsOf(bert, 1_789, 'BERT', []);
  const textOf = ({ recorder }: Someone) =>
    recorder.texts.filter((text) => !text.startsWith('{"op":"refuse"')).join('\n');
  for (const [mine, own, others] of [
    [textOf(anna), ofAnna, ofBert],
    [textOf(bert), ofBert, ofAnna],
  ] as const) {
    // The test would see them if they were there.
    for (const secret of own.slice(0, 3)) expect(mine).toContain(secret);
    expect(others.filter((secret) => mine.includes(secret))).toEqual([]);
    expect(mine).not.toMatch(/CP-000|"tag"|…/);
  }
  // A refusal repeats what was asked for and says nothing more, the same for what is there and what is not.
  const refusals = bert.recorder.frames.flatMap((f) => (f.op === 'refuse' && f.id !== null ? [f] : []));
  for (const { id, code, detail } of refusals) {
    if (code === 'role_missing') expect(Object.keys(detail ?? {})).toEqual(['right']);
    else expect([code, detail]).toEqual(['unknown_topic', { topic: topics[id as number] }]);
  }
  const answered = new Set(bert.recorder.frames.flatMap((f) => (f.op === 'snap' ? [topics[f.id]] : [])));
  expect([...answered]).toEqual([
    ...['me', 'tree:demo', 'station:nord-1'],
    ...before.commands.flatMap((id) => [`command:${id}`, `command:${anna.user}:${id}`]),
  ]);
});

test('a customer sees what a station draws and costs, and none of its chargers', async () => {
  const { screen, recorder } = await signedIn('customer');
  screen.send({ op: 'sub', id: 1, topic: 'station:nord-1' });
  screen.send({ op: 'sub', id: 2, topic: 'tree:demo' });
  screen.send({ op: 'sub', id: 3, topic: 'charger:CP-0001' });
  screen.send({ op: 'sub', id: 4, topic: 'charger:none' });
  const station = (await screen.next('snap')).data as StationData;
  const tree = (await screen.next('snap')).data as TreeData;
  expect(Object.keys(station)).toEqual(['station']);
  expect(station.station.liveW).toBeGreaterThan(0);
  expect(Object.keys(tree)).toEqual(['site:demo', 'station:nord-1']);
  for (const id of [3, 4]) {
    expect(await screen.next('refuse')).toMatchObject({ id, code: 'role_missing', detail: { right: 'view_charger' } });
  }
  api.replica.commit('demo', [
    {
      kind: 'charger',
      id: 'CP-0002',
      value: 'accepted',
      context: aCharger({ connectors: [aConnector({ status: 'Faulted' })] }),
    },
  ]);
  const delta = await recorder.until((f) => f.op === 'delta' && f.id === 2);
  // That something is wrong is seen, and not with which.
  expect(delta).toMatchObject({ set: { 'station:nord-1': { health: 'fault', worst: null, counts: { Faulted: 1 } } } });
  expect(recorder.texts.join()).not.toContain('CP-0002');
});

test('a customer who becomes an operator sees the chargers, and not after it has ended', async () => {
  await api.putUser('climber', { roles: ['customer'] });
  const { screen, recorder } = await signedIn('climber');
  screen.send({ op: 'sub', id: 1, topic: 'station:nord-1' });
  await screen.next('snap');
  await api.putUser('climber', { roles: ['operator', 'customer'] });
  await recorder.until((f) => f.op === 'snap' && 'CP-0001/1' in f.data);
  // The right to the topic stays; what it showed cannot be taken back from the screen.
  await api.putUser('climber', { roles: ['customer'] });
  expect((await screen.closed).code).toBe(4403);
});
