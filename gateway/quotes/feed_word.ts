/** The word that names a feed, as settings and the script tool take it. */
import { ConfigError } from '#engine/config/config';
import { e5OfSek } from '../sek.ts';
import { constFeed, type QuoteFeed } from './feed.ts';
import { tcpFeed, type TcpLimits } from './tcp_feed.ts';
import { walkFeed } from './walk.ts';

export type FeedWord =
  { kind: 'const'; priceE5Sek: number } | { kind: 'walk'; seed: string } | { kind: 'tcp'; host: string; port: number };

const refused = (word: string, reason: string) =>
  new ConfigError(
    `'${word}' is no quote feed (${reason}): const:PRICE in SEK as const:0.01, walk:SEED, or tcp:HOST:PORT`,
  );

/** @throws {ConfigError} which names what is allowed */
export function parseFeed(word: string): FeedWord {
  const [, kind, rest = ''] = /^(const|walk|tcp):(.*)$/.exec(word) ?? [];
  switch (kind) {
    case 'const': {
      const priceE5Sek = e5OfSek(rest, 5);
      if (priceE5Sek === null || priceE5Sek === 0) throw refused(word, 'the price is above 0, at most five decimals');
      return { kind, priceE5Sek };
    }
    case 'walk':
      if (!/^[\w-]{1,64}$/.test(rest)) throw refused(word, 'the seed is 1 to 64 letters, digits, _ and -');
      return { kind, seed: rest };
    case 'tcp': {
      const [, six, host = six, digits] = /^(?:\[([0-9a-fA-F:]+)\]|([\w.-]+)):(\d{1,5})$/.exec(rest) ?? [];
      const port = Number(digits);
      if (host === undefined || !(port >= 1 && port <= 65_535)) throw refused(word, 'host and port from 1 to 65535');
      return { kind, host, port };
    }
    default:
      throw refused(word, 'it begins with const:, walk: or tcp:');
  }
}

/** @param now unix ms of the log's clock: what a walking price walks by */
export function openFeed(word: string, now: () => number, limits?: TcpLimits): QuoteFeed {
  const feed = parseFeed(word);
  switch (feed.kind) {
    case 'const':
      return constFeed(feed.priceE5Sek, word);
    case 'walk':
      return walkFeed({ seed: feed.seed, now });
    case 'tcp':
      return tcpFeed({ ...feed, ...limits });
  }
}
