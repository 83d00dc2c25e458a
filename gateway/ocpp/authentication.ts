/**
 * Who may open a socket, decided before the handshake is finished (101).
 *
 * Profile 0: nobody proves anything, but the source network must be listed. Profile 1: HTTP Basic, the user is the
 * identity. Higher profiles need TLS, which this door does not speak; they are refused rather than lowered.
 */
import { createHmac, randomBytes } from 'node:crypto';
import { BlockList, isIPv4, isIPv6 } from 'node:net';
import { foldIdentity } from './identity.ts';
import { isExpensive, verifyPassword } from './password.ts';

export interface Credentials {
  charger: string;
  securityProfile: number;
  passwordHash: string;
  profile0Networks: readonly string[];
}

export type Verdict =
  | { allowed: true }
  | {
      allowed: false;
      status: 401 | 403 | 429 | 503;
      code: 'wrong_password' | 'bad_origin' | 'locked_out' | 'overloaded';
      reason: string;
    };

const windowMs = 60_000;
/** Failures per minute: by one charger from one address, by one address (many chargers may share it behind a proxy). */
const failuresPerPair = 10;
const failuresPerAddress = 100;
const countersMax = 10_000;
const knownPasswordsMax = 20_000;
/** Password hashes computed at once, and waiting for it. */
const hashesAtOnce = 2;
const hashesWaiting = 64;

export class Authenticator {
  readonly #pepper: Uint8Array;
  /** Key of the in-memory verifiers, gone with the process. */
  readonly #sessionKey = randomBytes(32);
  /** charger → HMAC of the password that was right last time, so that a reconnect storm costs no scrypt. */
  readonly #known = new Map<string, string>();
  readonly #failures = new Map<string, { count: number; since: number }>();
  #hashing = 0;
  readonly #queue: (() => void)[] = [];

  /** Without a pepper, machine-made secrets (`$hmac-sha256$`) match nothing that was made with one. */
  constructor(pepper: Uint8Array = new Uint8Array()) {
    this.#pepper = pepper;
  }

  async verdict(
    credentials: Credentials,
    authorization: string | undefined,
    address: string,
    now: number,
  ): Promise<Verdict> {
    if (credentials.securityProfile === 0) {
      if (inNetworks(address, credentials.profile0Networks)) return { allowed: true };
      return {
        allowed: false,
        status: 403,
        code: 'bad_origin',
        reason: 'security profile 0 is not allowed from this network',
      };
    }
    if (credentials.securityProfile !== 1) {
      return {
        allowed: false,
        status: 403,
        code: 'bad_origin',
        reason: 'the security profile of this charger needs TLS',
      };
    }
    const basic = parseBasic(authorization);
    const isUser = basic !== null && foldIdentity(basic.user) === foldIdentity(credentials.charger);
    const memory = basic ? this.#fingerprint(credentials, basic.password) : '';
    // The right password gets in even while somebody else guesses.
    if (isUser && this.#known.get(credentials.charger) === memory) return { allowed: true };

    const keys = [`a ${address}`, `c ${address} ${credentials.charger}`] as const;
    if (this.#count(keys[0], now) >= failuresPerAddress || this.#count(keys[1], now) >= failuresPerPair) {
      return { allowed: false, status: 429, code: 'locked_out', reason: 'too many failed attempts; wait a minute' };
    }
    if (isUser) {
      const right = await this.#verify(credentials.passwordHash, basic.password);
      if (right === 'busy')
        return { allowed: false, status: 503, code: 'overloaded', reason: 'too many passwords to check' };
      if (right) {
        bounded(this.#known, credentials.charger, memory, knownPasswordsMax);
        return { allowed: true };
      }
    }
    for (const key of keys) this.#failed(key, now);
    return { allowed: false, status: 401, code: 'wrong_password', reason: 'user or password is wrong' };
  }

  async #verify(verifier: string, password: Buffer): Promise<boolean | 'busy'> {
    const candidates = [password];
    // OCPP 1.6 keys are up to 40 hex digits (security whitepaper, A00.FR.205); some chargers send the digits, not the bytes.
    const text = password.toString('latin1');
    if (/^(?:[0-9a-fA-F]{2}){16,20}$/.test(text)) candidates.push(Buffer.from(text, 'hex'));
    const expensive = isExpensive(verifier);
    if (expensive) {
      if (this.#queue.length >= hashesWaiting) return 'busy';
      if (this.#hashing >= hashesAtOnce) await new Promise<void>((turn) => this.#queue.push(turn));
      this.#hashing += 1;
    }
    try {
      let right = false;
      for (const candidate of candidates) right = (await verifyPassword(verifier, candidate, this.#pepper)) || right;
      return right;
    } finally {
      if (expensive) {
        this.#hashing -= 1;
        this.#queue.shift()?.();
      }
    }
  }

  /** Bound to the stored verifier, so that a changed password is asked for again. */
  #fingerprint(credentials: Credentials, password: Buffer): string {
    return createHmac('sha256', this.#sessionKey)
      .update(credentials.passwordHash)
      .update('\0')
      .update(password)
      .digest('base64');
  }

  #count(key: string, now: number): number {
    const entry = this.#failures.get(key);
    return entry && now - entry.since < windowMs ? entry.count : 0;
  }

  #failed(key: string, now: number): void {
    const entry = this.#failures.get(key);
    if (entry && now - entry.since < windowMs) entry.count += 1;
    else bounded(this.#failures, key, { count: 1, since: now }, countersMax);
  }
}

/** Splits at the first colon: identities hold none, passwords may. */
export function parseBasic(header: string | undefined): { user: string; password: Buffer } | null {
  const encoded = header !== undefined && header.length <= 1_024 && /^ *basic +([\w+/-]+=*) *$/i.exec(header)?.[1];
  if (!encoded) return null;
  const bytes = Buffer.from(encoded, 'base64');
  const colon = bytes.indexOf(0x3a);
  if (colon < 0) return null;
  return { user: bytes.subarray(0, colon).toString('utf8'), password: bytes.subarray(colon + 1) };
}

/** Whether the address lies in one of the networks (CIDR or single addresses); a network that is none matches nothing. */
export function inNetworks(address: string, networks: readonly string[]): boolean {
  const plain = address.replace(/^::ffff:(?=\d+\.)/i, '');
  const family = isIPv4(plain) ? 'ipv4' : isIPv6(plain) ? 'ipv6' : null;
  if (family === null) return false;
  const list = new BlockList();
  for (const network of networks) {
    const [base = '', bits] = network.split('/');
    const baseFamily = isIPv4(base) ? 'ipv4' : isIPv6(base) ? 'ipv6' : null;
    const widest = baseFamily === 'ipv4' ? 32 : 128;
    const prefix = bits === undefined ? widest : /^\d{1,3}$/.test(bits) ? Number(bits) : -1;
    if (baseFamily === null || prefix < 0 || prefix > widest) continue;
    list.addSubnet(base, prefix, baseFamily);
  }
  return list.check(plain, family);
}

function bounded<Value>(map: Map<string, Value>, key: string, value: Value, max: number): void {
  map.delete(key);
  map.set(key, value);
  if (map.size > max) map.delete(map.keys().next().value as string);
}
