import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { ConfigError } from '#engine/config/config';
import type { QuoteFeed } from './feed.ts';
import { openFeed, parseFeed } from './feed_word.ts';
import { tcpFeed } from './tcp_feed.ts';
import { startQuoteServer, type Question } from './testing.ts';
import { walkPrice } from './walk.ts';

describe('the word of a feed', () => {
  test.each([
    ['const:0.01', { kind: 'const', priceE5Sek: 1_000 }],
    ['const:12', { kind: 'const', priceE5Sek: 1_200_000 }],
    ['walk:7', { kind: 'walk', seed: '7' }],
    ['tcp:quotes.example:4444', { kind: 'tcp', host: 'quotes.example', port: 4444 }],
    ['tcp:[::1]:4444', { kind: 'tcp', host: '::1', port: 4444 }],
  ])('%s is understood', (word, feed) => {
    expect(parseFeed(word)).toEqual(feed);
  });

  test.each(['', 'const', 'const:', 'const:0', 'const:-1', 'const:1e3', 'const:0.000001', 'walk:', 'walk:a b'])(
    "'%s' is refused with what is allowed",
    (word) => {
      expect(() => parseFeed(word)).toThrow(ConfigError);
      expect(() => parseFeed(word)).toThrow('const:PRICE');
    },
  );
  test.each(['tcp:host', 'tcp:host:0', 'tcp:host:65536', 'tcp::4444', 'tcp:::1:4444', 'udp:h:1', 'http://h:1'])(
    "'%s' is refused",
    (word) => expect(() => parseFeed(word)).toThrow(ConfigError),
  );
});

describe('a price that walks', () => {
  const ticks = 2_000;

  test('never moves more than 15 % in a tick, never falls below 0.01 SEK, and moves', () => {
    for (const seed of ['1', 'other']) {
      for (const symbol of ['S', 'ABC']) {
        let moved = 0;
        let before = walkPrice(seed, symbol, 0);
        expect(before).toBeGreaterThanOrEqual(2_000_000);
        expect(before).toBeLessThanOrEqual(5_000_000);
        for (let tick = 1; tick < ticks; tick += 1) {
          const price = walkPrice(seed, symbol, tick);
          if (!Number.isSafeInteger(price) || price < 1_000 || 100 * price > 115 * before || 100 * price < 85 * before)
            throw new Error(`seed ${seed}, ${symbol}, tick ${tick}: ${before} → ${price}`);
          if (price !== before) moved += 1;
          before = price;
        }
        expect(moved).toBeGreaterThan(ticks * 0.95);
      }
    }
  });

  test('is the same for the same seed, symbol and tick, and another for any other', () => {
    const tick = 148_000_123;
    expect(walkPrice('1', 'ABC', tick)).toBe(walkPrice('1', 'ABC', tick));
    const others = [walkPrice('2', 'ABC', tick), walkPrice('1', 'ABD', tick), walkPrice('1', 'ABC', tick + 1)];
    expect(others).not.toContain(walkPrice('1', 'ABC', tick));
    // Written down: prices of an old seed must not change with the program.
    expect([0, 1, 63, 64, 65].map((t) => walkPrice('1', 'ABC', t))).toMatchInlineSnapshot(`
      [
        3400914,
        3765767,
        3733264,
        4293253,
        3694414,
      ]
    `);
  });

  test('is what the feed says at that time of the log, in any process', async () => {
    let now = 148_000_123 * 12_000;
    const [one, two] = [openFeed('walk:1', () => now), openFeed('walk:1', () => now)];
    const first = await one.ask('ABC', 'a');
    expect(first).toEqual({
      ...{ symbol: 'ABC', user: 'a', serverAt: null, serverKey: null },
      priceE5Sek: walkPrice('1', 'ABC', 148_000_123),
    });
    expect((await two.ask('ABC', 'b')).priceE5Sek).toBe(first.priceE5Sek);
    now += 12_000;
    expect((await two.ask('ABC', 'b')).priceE5Sek).toBe(walkPrice('1', 'ABC', 148_000_124));
  });
});

describe('a quote server over TCP', () => {
  const closers: (() => Promise<unknown>)[] = [];
  afterEach(async () => {
    for (const close of closers.splice(0).reverse()) await close();
  });
  /** Long enough for a machine that is busy with others; tests of silence have less. */
  const limits = { connectMs: 10_000, answerMs: 10_000, tries: 3, backoffMs: 10, sockets: 4 };
  async function between(reply: (question: Question) => unknown, answerMs = limits.answerMs) {
    const server = await startQuoteServer(reply);
    const feed: QuoteFeed = tcpFeed({ host: '127.0.0.1', port: server.port, ...limits, answerMs });
    closers.push(() => server.close());
    closers.push(() => feed.close());
    return { server, feed };
  }
  const right = { symbol: 'ABC', user: 'anna', priceE5Sek: 1_234_000 };

  test('answers with price, time and key; a server that leaves the connection open keeps it', async () => {
    const { server, feed } = await between(({ socket, answer }) => socket.write(answer()));
    expect(await feed.ask('ABC', 'anna')).toEqual({ ...right, serverAt: 1_700_000_000_001, serverKey: 'key1=' });
    expect(await feed.ask('ABC', 'anna')).toEqual({ ...right, serverAt: 1_700_000_000_002, serverKey: 'key2=' });
    expect(server.connections()).toBe(1);
    expect(feed.name).toBe(`tcp:127.0.0.1:${server.port}`);
  });

  test('one that closes after each answer is connected to each time, and that costs no try', async () => {
    const { server, feed } = await between(({ socket, answer }) => socket.end(answer()));
    for (let n = 1; n <= 5; n += 1) expect((await feed.ask('ABC', 'anna')).serverKey).toBe(`key${n}=`);
    expect([server.asked(), server.connections()]).toEqual([5, 5]);
  });

  test('an answer in pieces is one answer', async () => {
    const { feed } = await between(async ({ socket, answer }) => {
      for (const character of answer('7.5').replace('\n', '\r\n')) {
        socket.write(character);
        await sleep(1);
      }
    });
    expect((await feed.ask('ABC', 'anna')).priceE5Sek).toBe(750_000);
  });

  test('an answer given twice is one answer, also when its copy comes with the next question', async () => {
    const former = new Map<unknown, string>();
    const { server, feed } = await between(({ n, socket, answer }) => {
      // First: both at once. Then: the copy arrives in front of the next answer.
      socket.write(n === 1 ? answer() + answer() : (former.get(socket) ?? '') + answer());
      former.set(socket, answer());
    });
    for (let n = 1; n <= 4; n += 1) expect((await feed.ask('ABC', `u${n}`)).serverKey).toBe(`key${n}=`);
    expect([server.asked(), server.connections()]).toEqual([4, 2]);
    // The same question: the copy could be taken for its answer, so another connection is asked.
    expect((await feed.ask('ABC', 'u4')).serverKey).toBe('key6=');
    expect([server.asked(), server.connections()]).toEqual([6, 3]);
  });

  test('a wrong answer is asked again on a new connection, and three are enough', async () => {
    const wrongs = ['', '0.00', '-3', '1e5', 'nan', '12.3456789', 'x'.repeat(2_000)];
    for (const wrong of wrongs) {
      const { server, feed } = await between(({ n, socket, answer }) => socket.write(n < 3 ? answer(wrong) : answer()));
      expect(await feed.ask('ABC', 'anna')).toMatchObject(right);
      expect([server.asked(), server.connections()]).toEqual([3, 3]);
    }
    const { server, feed } = await between(({ socket, answer }) => socket.write(answer('free')));
    await expect(feed.ask('ABC', 'anna')).rejects.toMatchObject({ name: 'FeedFailed', how: 'wrong' });
    expect(server.asked()).toBe(3);
  });

  test("another's answer is not taken", async () => {
    const { feed } = await between(({ n, socket, answer }) =>
      socket.write(n === 1 ? answer().replace('ABC', 'ABD') : n === 2 ? answer().replace('anna', 'bert') : answer()),
    );
    expect((await feed.ask('ABC', 'anna')).serverKey).toBe('key3=');
  });

  test('an answer that is late goes to nobody', async () => {
    const late: (() => void)[] = [];
    const { feed } = await between(({ n, socket, answer }) => {
      if (n === 1) return late.push(() => socket.write(answer('99')));
      for (const write of late) write();
      return socket.write(answer());
    }, 1_000);
    expect(await feed.ask('ABC', 'anna')).toMatchObject(right);
    expect(await feed.ask('ABC', 'anna')).toMatchObject(right);
  });

  test('silence, a closed door and a closed connection end in a failure after three tries', async () => {
    const silent = await between(() => undefined, 100);
    await expect(silent.feed.ask('ABC', 'anna')).rejects.toMatchObject({ how: 'silent' });
    expect(silent.server.asked()).toBe(3);
    const closing = await between(({ socket }) => socket.destroy());
    await expect(closing.feed.ask('ABC', 'anna')).rejects.toMatchObject({ how: 'silent' });
    expect(closing.server.asked()).toBe(3);
    await closing.server.close();
    await expect(closing.feed.ask('ABC', 'anna')).rejects.toThrow('ECONNREFUSED');
  });

  test('no more sockets than allowed, however many ask at once', async () => {
    let [busy, busiest] = [0, 0];
    const { server, feed } = await between(async ({ socket, answer }) => {
      busiest = Math.max(busiest, (busy += 1));
      await sleep(5);
      busy -= 1;
      socket.write(answer());
    });
    const answers = await Promise.all(Array.from({ length: 40 }, (_, i) => feed.ask('ABC', `u${i}`)));
    expect(answers.map(({ user }) => user)).toEqual(Array.from({ length: 40 }, (_, i) => `u${i}`));
    expect([busiest, server.connections()]).toEqual([4, 4]);
  });
});
