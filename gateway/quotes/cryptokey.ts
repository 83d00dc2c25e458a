/**
 * The key that a quote carries: base64url(HMAC-SHA256(secret, SYM|price|user|timestampMs|keyId)). It stays with the quote
 * wherever it is kept and goes into the dump; actors know no secret and check nothing.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { ConfigError } from '#engine/config/config';
import { sekOfE5 } from '../sek.ts';

export interface QuoteSecret {
  keyId: string;
  secret: string;
}

/** What a key is made over. */
export interface Sealed {
  symbol: string;
  priceE5Sek: number;
  user: string;
  /** Unix ms. */
  at: number;
}

const keyOf = ({ keyId, secret }: QuoteSecret, { symbol, priceE5Sek, user, at }: Sealed): string =>
  createHmac('sha256', secret)
    .update(`${symbol}|${sekOfE5(priceE5Sek)}|${user}|${at}|${keyId}`)
    .digest('base64url');

/** One key signs, one more may be live: what it signed is good, too. */
export class Cryptokeys {
  #live: readonly [signing: QuoteSecret, other?: QuoteSecret];

  constructor(signing: QuoteSecret, other?: QuoteSecret) {
    this.#live = other ? [signing, other] : [signing];
  }

  sign(quote: Sealed): string {
    return keyOf(this.#live[0], quote);
  }

  verify(quote: Sealed, cryptokey: string): boolean {
    const given = Buffer.from(cryptokey);
    return this.#live.some((key) => {
      const right = Buffer.from(keyOf(key as QuoteSecret, quote));
      return right.length === given.length && timingSafeEqual(right, given);
    });
  }

  /** `next` signs from now on, what signed stays live, and a third one opens nothing any more. */
  rotate(next: QuoteSecret): void {
    if (next.keyId === this.#live[0].keyId) throw new ConfigError(`the key '${next.keyId}' signs already`);
    this.#live = [next, this.#live[0]];
  }
}

const secretCharsMin = 32;

/**
 * `ID:SECRET`, or `SIGNING:SECRET,OTHER:SECRET`. Processes that are restarted one by one learn a new key as the other
 * one first, then it signs, then the old one is left out.
 * @throws {ConfigError} that shows no secret
 */
export function parseSecrets(text: string): Cryptokeys {
  const keys = text.split(',').map((part): QuoteSecret => {
    const [, keyId, secret] = /^([\w-]{1,16}):([\x21-\x2b\x2d-\x7e]+)$/.exec(part.trim()) ?? [];
    if (keyId === undefined || secret === undefined)
      throw new ConfigError('keys of quotes are ID:SECRET, or two of them with a comma, the one that signs first');
    if (secret.length < secretCharsMin)
      throw new ConfigError(`the key '${keyId}' of quotes needs a secret of ${secretCharsMin} characters at least`);
    return { keyId, secret };
  });
  const [signing, other] = keys;
  if (signing === undefined || keys.length > 2) throw new ConfigError('at most two keys of quotes are live');
  if (signing.keyId === other?.keyId) throw new ConfigError(`two keys of quotes are called '${signing.keyId}'`);
  return new Cryptokeys(signing, other);
}
