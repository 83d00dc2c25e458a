/**
 * Stored verifiers of charger passwords, as self-describing strings.
 *
 * - `$hmac-sha256$<salt>$<mac>`: machine-made secrets of at least 128 bit, keyed with the server's pepper. Cheap, so that
 *   ten thousand chargers may come back at once.
 * - `$scrypt$n=<N>,r=<r>,p=<p>$<salt>$<hash>`: passwords that people typed.
 *
 * Salts and hashes are base64. Passwords are raw bytes: they may hold colons and need not be UTF-8.
 */
import { createHmac, randomBytes, scrypt, timingSafeEqual } from 'node:crypto';

const cost = { N: 2 ** 15, r: 8, p: 3 };
const hashBytes = 32;

export function hmacVerifier(password: Uint8Array, pepper: Uint8Array): string {
  const salt = randomBytes(16);
  return `$hmac-sha256$${salt.toString('base64')}$${peppered(password, salt, pepper).toString('base64')}`;
}

export async function scryptVerifier(password: Uint8Array): Promise<string> {
  const salt = randomBytes(16);
  const hash = await derive(password, salt, cost, hashBytes);
  return `$scrypt$n=${cost.N},r=${cost.r},p=${cost.p}$${salt.toString('base64')}$${hash.toString('base64')}`;
}

/** Whether the password is the one behind the verifier; constant time once the form is known. An unknown form is false. */
export async function verifyPassword(verifier: string, password: Uint8Array, pepper: Uint8Array): Promise<boolean> {
  const [, scheme, ...parts] = verifier.split('$');
  if (scheme === 'hmac-sha256' && parts.length === 2) {
    return same(peppered(password, bytes(parts[0]), pepper), bytes(parts[1]));
  }
  const parameters = scheme === 'scrypt' && parts.length === 3 && /^n=(\d+),r=(\d+),p=(\d+)$/.exec(parts[0] ?? '');
  if (!parameters) return false;
  const [N, r, p] = [Number(parameters[1]), Number(parameters[2]), Number(parameters[3])];
  // A verifier from a foreign hand may not buy more work than our own.
  if (N > cost.N || r > cost.r || p > cost.p) return false;
  const expected = bytes(parts[2]);
  return same(await derive(password, bytes(parts[1]), { N, r, p }, expected.length), expected);
}

/** True when checking this verifier takes real computing time. */
export const isExpensive = (verifier: string): boolean => verifier.startsWith('$scrypt$');

const bytes = (base64: string | undefined): Buffer => Buffer.from(base64 ?? '', 'base64');
const same = (a: Buffer, b: Buffer): boolean => a.length === b.length && a.length > 0 && timingSafeEqual(a, b);
const peppered = (password: Uint8Array, salt: Uint8Array, pepper: Uint8Array): Buffer =>
  createHmac('sha256', pepper).update(salt).update(password).digest();

const derive = (password: Uint8Array, salt: Uint8Array, { N, r, p }: typeof cost, length: number): Promise<Buffer> =>
  new Promise((resolve, reject) => {
    scrypt(password, salt, length, { N, r, p, maxmem: 64 * 1024 * 1024 }, (error, key) =>
      error ? reject(error) : resolve(key),
    );
  });
