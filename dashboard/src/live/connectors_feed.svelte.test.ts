import { expect, test, vi } from 'vitest';
import type { Connector } from '#gateway/schema/mod';
import { FakeSocket } from './fake_server.ts';
import { LiveClient } from './live.ts';

// The page's own socket is made when the module is read; these tests bring theirs.
vi.mock('./connection.svelte.ts', () => ({ live: null }));
const { ConnectorsFeed } = await import('./connectors_feed.svelte.ts');

const connector = (charger: string, station: string, w = 0) => ({ charger, connector: 1, station, w }) as Connector;
function opened() {
  const socket = new FakeSocket();
  const client = new LiveClient({ open: () => socket });
  client.connect();
  socket.accept();
  const feed = new ConnectorsFeed(client);
  feed.want(['nord', 'sued']);
  return { feed, socket };
}
const ids = (feed: InstanceType<typeof ConnectorsFeed>) => feed.list.map(({ charger, w }) => `${charger} ${w}`);

test('connectors of several stations are one list, CP-2 before CP-10, and values move in place', () => {
  const { feed, socket } = opened();
  socket.snap(1, 'a', { station: {}, 'CP-10/1': connector('CP-10', 'nord') });
  expect(feed.ready).toBe(false);
  socket.snap(2, 'b', { station: {}, 'CP-2/1': connector('CP-2', 'sued') });
  expect(feed.ready).toBe(true);
  socket.delta(1, 'a', 'c', { 'CP-10/1': connector('CP-10', 'nord', 7_400) });
  expect(ids(feed)).toEqual(['CP-2 0', 'CP-10 7400']);
});

test('a charger that moves to another station is there once, whichever station tells first', () => {
  const { feed, socket } = opened();
  socket.snap(1, 'a', { station: {}, 'CP-1/1': connector('CP-1', 'nord') });
  socket.snap(2, 'b', { station: {} });
  socket.delta(2, 'b', 'c', { 'CP-1/1': connector('CP-1', 'sued') });
  socket.delta(1, 'a', 'd', {}, ['CP-1/1']);
  expect(feed.list.map(({ station }) => station)).toEqual(['sued']);
});

test('a station that is no longer wanted goes with its connectors, and is not followed any more', () => {
  const { feed, socket } = opened();
  socket.snap(1, 'a', { station: {}, 'CP-1/1': connector('CP-1', 'nord') });
  socket.snap(2, 'b', { station: {}, 'CP-2/1': connector('CP-2', 'sued') });
  feed.want(['sued']);
  expect(ids(feed)).toEqual(['CP-2 0']);
  expect(socket.got.at(-1)).toEqual({ op: 'unsub', id: 1 });
});
