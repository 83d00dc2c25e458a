import { expect, test } from 'vitest';
import type { Msg, MsgCallback, NatsConnection } from '@nats-io/transport-node';
import type { CommitPositions } from '#engine/log/mod';
import { packr } from '#engine/wire';
import { EngineWatch } from './engine_watch.ts';

let now = 0;
let tell: MsgCallback<Msg> = () => undefined;
const nats = {
  subscribe(_subject: string, { callback }: { callback: MsgCallback<Msg> }) {
    tell = callback;
    return { unsubscribe() {} };
  },
} as unknown as NatsConnection;
const say = (partitions: CommitPositions['partitions']) =>
  void tell(null, { data: packr.pack({ engine: 'e', partitions }) } as unknown as Msg);

test('several engines serve all partitions together; one that is heard by nobody is named', async () => {
  const watch = new EngineWatch(nats, 3, () => now);
  await expect(watch.check()).rejects.toThrow('no engine is heard for partitions 0, 1, 2');
  say([[0, 5, 5, 0, 1]]);
  say([[2, 5, 5, 0, 1]]);
  await expect(watch.check()).rejects.toThrow('no engine is heard for partitions 1');
  say([[1, 5, 5, 0, 7]]);
  await watch.check();
});

test('an engine that has lost a partition and does not know it keeps nobody from seeing that it is not served', async () => {
  const watch = new EngineWatch(nats, 1, () => now);
  say([[0, 5, 5, 0, 2]]);
  now += 4_000;
  say([[0, 5, 5, 0, 1]]);
  await expect(watch.check()).rejects.toThrow('no engine is heard for partitions 0');
  say([[0, 5, 9, 2_500, 3]]);
  await expect(watch.check()).rejects.toThrow('partitions 0 are 2000 ms or more behind');
});
