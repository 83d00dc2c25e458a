import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { FakeSocket } from './fake_server.ts';
import { LiveClient, type LiveStatus, type TopicSink } from './live.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

class Sink implements TopicSink {
  readonly log: string[] = [];
  snapshot = (data: Record<string, unknown>) => void this.log.push(`snap ${JSON.stringify(data)}`);
  delta = (set: Record<string, unknown>, del: readonly string[]) =>
    void this.log.push(`set ${JSON.stringify(set)} del ${del.join()}`);
  event = () => void this.log.push('event');
  refused = (code: string) => void this.log.push(`refused ${code}`);
}

function connected() {
  const sockets: FakeSocket[] = [];
  const statuses: LiveStatus[] = [];
  const client = new LiveClient({
    open: () => {
      const socket = new FakeSocket();
      sockets.push(socket);
      return socket;
    },
    onStatus: (status) => statuses.push(status),
    random: () => 0.5,
  });
  client.connect();
  const first = sockets[0] as FakeSocket;
  first.accept();
  return { client, sockets, first, statuses, last: () => sockets.at(-1) as FakeSocket };
}

test('a topic is followed from a snapshot on, change by change', () => {
  const { client, first } = connected();
  const sink = new Sink();
  client.follow('station:nord-1', sink);
  expect(first.got).toEqual([{ op: 'sub', id: 1, topic: 'station:nord-1' }]);
  expect(client.status.state).toBe('catching_up');
  first.snap(1, 'a', { w: 1 });
  first.delta(1, 'a', 'b', { w: 2 }, ['gone']);
  expect(sink.log).toEqual(['snap {"w":1}', 'set {"w":2} del gone']);
  expect(client.status.state).toBe('live');
});

test('a delta that was lost is noticed at the next one, and the topic resumes from the cursor held', () => {
  const { client, first } = connected();
  const sink = new Sink();
  client.follow('station:nord-1', sink);
  first.snap(1, 'a');
  first.delta(1, 'b', 'c', { w: 3 });
  expect(first.got.at(-1)).toEqual({ op: 'sub', id: 1, topic: 'station:nord-1', cursor: 'a' });
  expect(client.status.state).toBe('catching_up');

  // Frames of the former subscription, still on their way, ask for nothing more.
  first.delta(1, 'c', 'd', { w: 4 });
  expect(first.got).toHaveLength(2);
  first.delta(1, 'a', 'd', { w: 4 });
  expect(sink.log).toEqual(['snap {}', 'set {"w":4} del ']);
  expect(client.status.state).toBe('live');
});

test('a frame that comes twice is applied once and asks for nothing', () => {
  const { client, first } = connected();
  const sink = new Sink();
  client.follow('station:nord-1', sink);
  first.snap(1, 'a');
  first.delta(1, 'a', 'b', { w: 2 });
  first.delta(1, 'a', 'b', { w: 2 });
  first.delta(1, 'b', 'c', { w: 3 });
  expect(sink.log).toEqual(['snap {}', 'set {"w":2} del ', 'set {"w":3} del ']);
  expect(first.got).toHaveLength(1);
});

test('history is joined from its cursor', () => {
  const { client, first } = connected();
  const sink = new Sink();
  client.follow('station:nord-1', sink, 'h');
  expect(first.got[0]).toMatchObject({ cursor: 'h' });
  first.delta(1, 'h', 'i', { w: 5 });
  expect(sink.log).toEqual(['set {"w":5} del ']);
});

test('a cursor that the server does not know is given up for a snapshot', () => {
  const { client, first } = connected();
  client.follow('station:nord-1', new Sink(), 'old');
  first.say({ op: 'refuse', id: 1, code: 'bad_request', detail: { field: '/cursor' }, now: 0 });
  expect(first.got.at(-1)).toEqual({ op: 'sub', id: 1, topic: 'station:nord-1' });
});

test('after a loss it comes back by itself and resumes every topic from where it was', () => {
  const { client, first, last, sockets } = connected();
  const sink = new Sink();
  client.follow('station:nord-1', sink);
  client.follow('tree:demo', new Sink());
  first.snap(1, 'a');
  first.snap(2, 'x');
  first.drop();
  expect(client.status).toMatchObject({ state: 'offline', reason: null });

  // 0.5 s at least, 1 s at most after the first loss; the middle of it here.
  vi.advanceTimersByTime(749);
  expect(sockets).toHaveLength(1);
  vi.advanceTimersByTime(1);
  expect(sockets).toHaveLength(2);
  last().accept();
  expect(last().got).toEqual([
    { op: 'sub', id: 1, topic: 'station:nord-1', cursor: 'a' },
    { op: 'sub', id: 2, topic: 'tree:demo', cursor: 'x' },
  ]);
  last().delta(1, 'a', 'b', { w: 9 });
  expect(client.status.state).toBe('catching_up');
  last().delta(2, 'x', 'x', {});
  expect(client.status.state).toBe('live');
  expect(sink.log.at(-1)).toBe('set {"w":9} del ');
});

test('waits grow to 15 s while the server stays away, and the network coming back ends them', () => {
  const { client, first, last, sockets } = connected();
  first.drop();
  const waits: number[] = [];
  for (let i = 0; i < 8; i++) {
    const { status } = client;
    if (status.state !== 'offline' || status.retryAt === null) throw new Error('not waiting');
    waits.push(status.retryAt - Date.now());
    vi.advanceTimersByTime(waits.at(-1) as number);
    last().drop();
  }
  expect(waits).toEqual([750, 1_250, 2_250, 4_250, 7_750, 7_750, 7_750, 7_750]);
  const tried = sockets.length;
  client.retryNow();
  expect(sockets).toHaveLength(tried + 1);
});

test.each([
  [4401, 'signed_out'],
  [4403, 'right_withdrawn'],
  [4429, 'too_many_topics'],
] as const)('close code %i ends it: %s', (code, reason) => {
  const { client, first, sockets } = connected();
  first.drop(code);
  expect(client.status).toEqual({ state: 'ended', reason });
  vi.advanceTimersByTime(60_000);
  expect(sockets).toHaveLength(1);
});

test.each([
  ['a screen that was too slow', 4408, 'too_slow'],
  ['a screen whose server is restarted', 4409, 'new_version'],
] as const)('%s comes back, and says why it was away', (_who, code, reason) => {
  const { client, first, sockets } = connected();
  first.drop(code);
  expect(client.status).toMatchObject({ state: 'offline', reason });
  vi.advanceTimersByTime(1_000);
  expect(sockets).toHaveLength(2);
});

test('a line that is silent after pings is given up', () => {
  const { client, first } = connected();
  vi.advanceTimersByTime(15_000);
  expect(first.pings).toBeGreaterThan(2);
  expect(client.status.state).not.toBe('offline');
  vi.advanceTimersByTime(5_000);
  expect(client.status.state).toBe('offline');
});

test('a hidden page says so, also after a reconnect, and looks at once when it is seen again', () => {
  const { client, first, last, sockets } = connected();
  client.hide(true);
  expect(first.got.at(-1)).toEqual({ op: 'hidden', hidden: true });
  first.drop();
  vi.advanceTimersByTime(1_000);
  last().accept();
  expect(last().got).toEqual([{ op: 'hidden', hidden: true }]);
  last().drop();
  client.hide(false);
  expect(sockets).toHaveLength(3);
});

test('a topic nobody reads any more is left, and its late frames change nothing', () => {
  const { client, first } = connected();
  const sink = new Sink();
  const stop = client.follow('station:nord-1', sink);
  first.snap(1, 'a');
  stop();
  stop();
  first.delta(1, 'a', 'b', { w: 1 });
  expect(first.got.filter(({ op }) => op === 'unsub')).toHaveLength(1);
  expect(sink.log).toEqual(['snap {}']);
});

test('a refused topic is told once and does not hold up the others', () => {
  const { client, first } = connected();
  const sink = new Sink();
  client.follow('tree:elsewhere', sink);
  first.say({ op: 'refuse', id: 1, code: 'role_missing', detail: { right: 'view_site' }, now: 0 });
  expect(sink.log).toEqual(['refused role_missing']);
  expect(client.status.state).toBe('live');
});
