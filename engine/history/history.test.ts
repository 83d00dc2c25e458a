import { expect, test } from 'vitest';
import { startTestClickHouse } from '../embedded/clickhouse/testing.ts';
import { historyContract } from './contract.ts';
import { customerContract } from './customer_contract.ts';
import { gridContract } from './grid_contract.ts';
import { HistoryUnavailable, openHistory } from './mod.ts';

const embedded = async () => {
  const server = await startTestClickHouse();
  const rss = server.rssMb();
  return {
    url: server.url,
    user: server.user,
    password: server.password,
    close: async () => {
      if (process.env['GRIDTICK_TEST_RSS']) console.log({ rssMb: { atStart: rss, atEnd: server.rssMb() } });
      await server.stop();
    },
  };
};
historyContract('embedded engine', embedded);
customerContract('embedded engine', embedded);
gridContract('embedded engine', embedded);

const url = process.env['GRIDTICK_CLICKHOUSE_URL'];
if (url) {
  const server = async () => ({
    url,
    user: process.env['GRIDTICK_CLICKHOUSE_USER'] ?? 'default',
    password: process.env['GRIDTICK_CLICKHOUSE_PASSWORD'] ?? '',
    close: async () => undefined,
  });
  historyContract('ClickHouse server', server);
  customerContract('ClickHouse server', server);
  gridContract('ClickHouse server', server);
} else {
  test.skip('ClickHouse server: skipped because GRIDTICK_CLICKHOUSE_URL names none');
}

test('a store that is killed is unavailable, and the same client goes on when it is back', async () => {
  const server = await startTestClickHouse();
  const history = await openHistory(server);
  await history.writePositions([[1, 10]]);
  await server.kill9();
  await expect(history.readPositions()).rejects.toBeInstanceOf(HistoryUnavailable);
  await expect(history.writePositions([[1, 20]])).rejects.toBeInstanceOf(HistoryUnavailable);
  await server.restart();
  expect(await history.readPositions()).toEqual(new Map([[1, 10]]));
  await history.close();
  await server.stop();
}, 60_000);
