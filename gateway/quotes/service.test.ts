import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { startTestRedis, type TestRedis } from '#engine/projections/testing';
import { Cryptokeys } from './cryptokey.ts';
import { FeedFailed, type QuoteFeed } from './feed.ts';
import { quoteText, type Quote } from './quote.ts';
import { QuoteService, maxAgeMs, type QuoteServiceDeps } from './service.ts';
import { tcpFeed } from './tcp_feed.ts';
import { startQuoteServer } from './testing.ts';

const keys = new Cryptokeys({ keyId: 'k1', secret: 'a secret of the tests' });
const start = 1_800_000_000_000;
let now = start;
let server: TestRedis;
const clients: Redis[] = [];
beforeEach(async () => {
  now = start;
  server = await startTestRedis();
});
afterEach(async () => {
  for (const client of clients.splice(0)) client.disconnect();
  await server.stop();
});

/** A process as far as quotes go: a service with a connection of its own. */
function aProcess(feed: QuoteFeed, more: Partial<QuoteServiceDeps> = {}) {
  const redis = new Redis(server.url, { maxRetriesPerRequest: 1 });
  redis.on('error', () => undefined);
  clients.push(redis);
  const hits: Quote[] = [];
  const invalid: unknown[] = [];
  const service = new QuoteService({
    ...{ feed, keys, redis, now: () => now },
    // The machine of a test may be busy with others.
    redisAnswerMs: 20_000,
    onHit: (quote) => void hits.push(quote),
    onInvalid: (about) => void invalid.push(about),
    ...more,
  });
  return { service, redis, hits, invalid };
}

/** A feed whose price rises by 0.01 SEK a hit, and which takes as long as it is told. */
function risingFeed(takes: (n: number) => Promise<unknown> = async () => {}) {
  const asked: string[] = [];
  const feed: QuoteFeed = {
    name: 'rising',
    async ask(symbol, user) {
      const n = asked.push(`${symbol},${user}`);
      await takes(n);
      return { symbol, user, priceE5Sek: 1_000_000 + n * 1_000, serverAt: null, serverKey: null };
    },
    async close() {},
  };
  return { feed, asked };
}
const order = { symbol: 'ABC', user: 'anna', maxAgeMs: maxAgeMs.order };
const look = { ...order, maxAgeMs: maxAgeMs.look };

test('a hit is signed, kept for others for 120 s, and told once; a cached quote is no hit', async () => {
  const { feed, asked } = risingFeed();
  const [one, two] = [aProcess(feed), aProcess(feed)];
  const { quote, isHit } = await one.service.quote(order);
  expect(isHit).toBe(true);
  expect(quote).toEqual({
    ...{ symbol: 'ABC', user: 'anna', priceE5Sek: 1_001_000, at: start, serverAt: start },
    cryptokey: keys.sign({ symbol: 'ABC', user: 'anna', priceE5Sek: 1_001_000, at: start }),
    serverKey: quote.cryptokey,
  });
  expect(await two.service.quote({ ...order, user: 'bert' })).toEqual({ quote, isHit: false });
  expect(await one.service.quote({ ...order, user: 'bert' })).toEqual({ quote, isHit: false });
  expect(asked).toEqual(['ABC,anna']);
  expect(one.hits).toEqual([quote]);
  expect(two.hits).toEqual([]);
  expect(one.service.stats()).toMatchObject({ hits: 1, costE5Sek: 5_000, cacheHits: 1, failures: 0 });
  expect(two.service.stats()).toMatchObject({ hits: 0, costE5Sek: 0, cacheHits: 1 });
  const ttl = await one.redis.pttl('q:ABC');
  expect(ttl).toBeGreaterThan(110_000);
  expect(ttl).toBeLessThanOrEqual(120_000);
  expect(await one.redis.exists('ql:ABC')).toBe(0);
});

test('an order takes a quote of 60 s and not of 60.001 s; a look takes one of 120 s', async () => {
  const { feed } = risingFeed();
  const { service } = aProcess(feed);
  await service.quote(order);
  now += 60_000;
  expect((await service.quote(order)).isHit).toBe(false);
  now += 1;
  expect((await service.quote(look)).isHit).toBe(false);
  const second = await service.quote(order);
  expect(second).toMatchObject({ isHit: true, quote: { at: now } });
  now += 120_000;
  expect(await service.quote(look)).toEqual({ ...second, isHit: false });
  now += 1;
  expect((await service.quote({ ...look, maxAgeMs: 999_999 })).isHit).toBe(true);
});

test('many askers in two processes cost one hit a symbol', async () => {
  const { feed, asked } = risingFeed(() => sleep(60));
  const processes = [aProcess(feed), aProcess(feed)];
  const symbols = ['A', 'B', 'C', 'D', 'E'];
  const answers = await Promise.all(
    symbols.flatMap((symbol) =>
      Array.from({ length: 40 }, (_, i) => processes[i % 2]!.service.quote({ ...order, symbol, user: `u${i}` })),
    ),
  );
  expect(asked.map((line) => line[0]).sort()).toEqual(symbols);
  expect(new Set(answers.map(({ quote }) => `${quote.symbol} ${quote.priceE5Sek}`)).size).toBe(5);
  expect(answers.filter(({ isHit }) => isHit)).toHaveLength(5);
  expect(processes.flatMap(({ hits }) => hits)).toHaveLength(5);
});

test('who looks and who orders share a flight only when its quote is young enough for both', async () => {
  const { feed, asked } = risingFeed();
  const [one, two] = [aProcess(feed), aProcess(feed)];
  await one.service.quote(order);
  now += 90_000;
  // The look finds the quote of 90 s in Redis while the order waits for that answer.
  const [looked, ordered] = await Promise.all([two.service.quote(look), two.service.quote(order)]);
  expect([looked.isHit, ordered.isHit]).toEqual([false, true]);
  expect(looked.quote.at).toBe(start);
  expect(ordered.quote.at).toBe(now);
  expect(asked).toHaveLength(2);
});

test('a process that dies while it asks costs one hit more, and the others do not wait for it for long', async () => {
  let dead = true;
  const { feed, asked } = risingFeed(() => (dead ? new Promise(() => {}) : sleep(30)));
  const [one, two, three] = [aProcess(feed), aProcess(feed), aProcess(feed)];
  void one.service.quote(order);
  await expect.poll(() => asked.length).toBe(1);
  // kill -9: its lock is not renewed any more.
  one.redis.disconnect();
  dead = false;
  const [a, b] = await Promise.all([two.service.quote(order), three.service.quote(order)]);
  expect(asked).toHaveLength(2);
  expect(a.quote).toEqual(b.quote);
  expect([a.isHit, b.isHit].sort()).toEqual([false, true]);
});

test('a lock taken over meanwhile: the older quote replaces no newer one, and the other lock stays', async () => {
  let go = () => {};
  const { feed } = risingFeed((n) => (n === 1 ? new Promise<void>((resolve) => (go = resolve)) : sleep(0)));
  const slow = aProcess(feed);
  const answer = slow.service.quote(order);
  await expect.poll(() => slow.redis.exists('ql:ABC')).toBe(1);
  const newer = { ...order, priceE5Sek: 5, at: start + 10 };
  const kept = quoteText({ ...newer, cryptokey: keys.sign(newer), serverAt: 1, serverKey: 'x' });
  await slow.redis.mset({ 'q:ABC': kept, 'ql:ABC': 'of another' });
  go();
  expect((await answer).quote.at).toBe(start);
  expect(await slow.redis.mget('q:ABC', 'ql:ABC')).toEqual([kept, 'of another']);
});

test('a feed that fails is quote_unavailable for all who waited, and asked once for them', async () => {
  let up = false;
  const { feed, asked } = risingFeed(async () => {
    await sleep(40);
    if (!up) throw new FeedFailed('silent', 'nobody there');
  });
  const [one, two] = [aProcess(feed), aProcess(feed)];
  const answers = await Promise.allSettled([one, two, one, two, two].map(({ service }) => service.quote(order)));
  for (const answer of answers)
    expect(answer).toMatchObject({ status: 'rejected', reason: { code: 'quote_unavailable' } });
  expect(asked).toHaveLength(1);
  up = true;
  await expect
    .poll(() => one.service.quote(order).catch(() => null), { timeout: 5_000 })
    .toMatchObject({ isHit: true });
  expect(one.service.stats().failures + two.service.stats().failures).toBe(1);
});

test('kill -9 of Redis in the middle: nobody fails, a process asks once, and known quotes stay good', async () => {
  let go = () => {};
  const waits = new Promise<void>((resolve) => (go = resolve));
  const { feed, asked } = risingFeed((n) => (n === 3 ? waits : sleep(10)));
  const [one, two] = [aProcess(feed), aProcess(feed)];
  const known = await one.service.quote({ ...order, symbol: 'K' });
  await two.service.quote({ ...order, symbol: 'L' });
  const holder = one.service.quote(order);
  await expect.poll(() => asked.length).toBe(3);
  const other = server.client();
  const scriptsRun = async () => Number(/cmdstat_eval:calls=(\d+)/.exec(await other.info('commandstats'))?.[1]);
  const before = await scriptsRun();
  const waiter = two.service.quote(order);
  await expect.poll(scriptsRun).toBeGreaterThan(before + 1);
  await server.stop();
  // The waiter looks after itself; the holder's answer comes later and is not asked for again.
  expect((await waiter).quote.symbol).toBe('ABC');
  go();
  expect((await holder).isHit).toBe(true);
  expect(asked).toEqual(['K,anna', 'L,anna', 'ABC,anna', 'ABC,anna']);
  now += 60_000;
  expect(await one.service.quote({ ...order, symbol: 'K' })).toEqual({ ...known, isHit: false });
  const many = await Promise.all(Array.from({ length: 20 }, () => one.service.quote({ ...order, symbol: 'M' })));
  expect(many.filter(({ isHit }) => isHit)).toHaveLength(1);
  now += 1;
  expect((await one.service.quote({ ...order, symbol: 'K' })).isHit).toBe(true);
  now += 120_000;
  expect((await one.service.quote({ ...look, symbol: 'M' })).isHit).toBe(true);
});

test('a Redis that hangs holds nobody up, and is used again when it goes on', async () => {
  const { feed } = risingFeed();
  const { service, redis } = aProcess(feed, { redisAnswerMs: 300 });
  const pid = Number(/process_id:(\d+)/.exec(await server.client().info('server'))?.[1]);
  process.kill(pid, 'SIGSTOP');
  try {
    expect((await service.quote(order)).isHit).toBe(true);
    expect(service.stats().withoutRedis).toBe(1);
    expect((await service.quote({ ...order, symbol: 'B' })).isHit).toBe(true);
  } finally {
    process.kill(pid, 'SIGCONT');
  }
  let n = 0;
  const isShared = async () => {
    const symbol = `C${String.fromCharCode(65 + n++)}`;
    await service.quote({ ...order, symbol });
    return redis.exists(`q:${symbol}`);
  };
  await expect.poll(isShared, { timeout: 20_000, interval: 200 }).toBe(1);
});

test.each([
  ['another price', (q: Quote) => quoteText({ ...q, priceE5Sek: 1 })],
  ['a later time', (q: Quote) => quoteText({ ...q, at: q.at + 30_000 })],
  ['a key of nobody', (q: Quote) => quoteText({ ...q, cryptokey: 'A'.repeat(43) })],
  ["another symbol's quote", (q: Quote) => quoteText({ ...q, symbol: 'XYZ' })],
  ['rubbish', () => `${start} {`],
])('a cache with %s is quote_invalid, told, thrown away, and no trade', async (_, forge) => {
  const { feed, asked } = risingFeed();
  const [one, two] = [aProcess(feed), aProcess(feed)];
  const { quote } = await one.service.quote(order);
  await one.redis.set('q:ABC', forge(quote));
  await expect(two.service.quote(order)).rejects.toMatchObject({ name: 'QuoteError', code: 'quote_invalid' });
  expect(two.invalid).toEqual([{ symbol: 'ABC', from: 'cache' }]);
  expect(asked).toHaveLength(1);
  expect((await two.service.quote(order)).isHit).toBe(true);
  expect(two.service.stats()).toMatchObject({ invalid: 1, hits: 1 });
});

test("a quote server's key and time are kept; keys that can be checked must be right", async () => {
  const shared = new Cryptokeys({ keyId: 's', secret: 'of the quote server' });
  let forge = '';
  const quotes = await startQuoteServer(({ symbol, user, socket }) => {
    const key = shared.sign({ symbol, user, priceE5Sek: 4_200_000, at: 17 });
    socket.write(`42.00,${symbol},${user},17,${forge}${key}\n`);
  });
  const feed = tcpFeed({ host: '127.0.0.1', port: quotes.port });
  try {
    const unchecked = aProcess(feed, { feedName: 'tcp' });
    const checked = aProcess(feed, { serverKeys: shared });
    const { quote } = await unchecked.service.quote(order);
    expect(quote).toMatchObject({ priceE5Sek: 4_200_000, at: start, serverAt: 17 });
    expect(quote.serverKey).toBe(shared.sign({ ...quote, at: 17 }));
    expect(keys.verify(quote, quote.cryptokey)).toBe(true);
    // Feeds of different names share nothing.
    expect((await checked.service.quote(order)).isHit).toBe(true);
    forge = 'x';
    await expect(checked.service.quote({ ...order, symbol: 'B' })).rejects.toMatchObject({ code: 'quote_invalid' });
    expect(checked.invalid).toEqual([{ symbol: 'B', from: 'feed' }]);
    expect((await unchecked.service.quote({ ...order, symbol: 'B' })).isHit).toBe(true);
  } finally {
    await feed.close();
    await quotes.close();
  }
});
