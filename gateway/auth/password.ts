/**
 * Passwords as self-describing scrypt strings: `scrypt$<log2 N>$<r>$<p>$<salt>$<hash>`, salt and hash in base64url.
 * A hash takes 32 MiB and some 100 ms of one thread, so only a few run at a time and the line behind them is bounded.
 */
import { randomBytes, scrypt, timingSafeEqual, type ScryptOptions } from 'node:crypto';

const cost = { logN: 15, r: 8, p: 3 } as const;
const hashBytes = 32;
const parallelMax = 2;
const waitingMax = 16;

/** Thrown when more than 16 hashes are waiting; nothing was checked. */
export class HashingOverloaded extends Error {
  override readonly name = 'HashingOverloaded';
  constructor() {
    super(`more than ${waitingMax} passwords are waiting to be hashed`);
  }
}

let running = 0;
const waiting: (() => void)[] = [];

async function inTurn<T>(work: () => Promise<T>): Promise<T> {
  if (running >= parallelMax) {
    if (waiting.length >= waitingMax) throw new HashingOverloaded();
    await new Promise<void>((go) => waiting.push(go));
  } else {
    running++;
  }
  try {
    return await work();
  } finally {
    const next = waiting.shift();
    if (next) next();
    else running--;
  }
}

const derive = (
  password: string,
  salt: Buffer,
  length: number,
  { logN, r, p }: { logN: number; r: number; p: number },
) =>
  inTurn(
    () =>
      new Promise<Buffer>((resolve, reject) => {
        const options: ScryptOptions = { N: 2 ** logN, r, p, maxmem: 256 * 2 ** logN * r };
        scrypt(password.normalize('NFKC'), salt, length, options, (error, key) =>
          error ? reject(error) : resolve(key),
        );
      }),
  );

function written(salt: Buffer, hash: Buffer): string {
  return ['scrypt', cost.logN, cost.r, cost.p, salt.toString('base64url'), hash.toString('base64url')].join('$');
}

/** A new string for `password`, different each time. Throws {@link HashingOverloaded}. */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(16);
  const hash = await derive(password, salt, hashBytes, cost);
  return written(salt, hash);
}

const form = /^scrypt\$(\d{1,2})\$(\d{1,2})\$(\d{1,2})\$([\w-]{16,86})\$([\w-]{22,86})$/;
/** Of no known password; verified against for unknown users, so that the answer takes as long as for known ones. */
const dummy = written(randomBytes(16), randomBytes(hashBytes));

/**
 * Whether `password` is the one behind `stored`; null for an unknown user costs the same and is always false.
 * Throws {@link HashingOverloaded}, and an Error when `stored` is no such string.
 */
export async function verifyPassword(password: string, stored: string | null): Promise<boolean> {
  const match = form.exec(stored ?? dummy);
  const [logN, r, p] = [Number(match?.[1]), Number(match?.[2]), Number(match?.[3])];
  if (!match || logN < 14 || logN > 17 || r < 1 || r > 16 || p < 1 || p > 8) throw new Error('not a stored password');
  const expected = Buffer.from(match[5] as string, 'base64url');
  const actual = await derive(password, Buffer.from(match[4] as string, 'base64url'), expected.length, { logN, r, p });
  return timingSafeEqual(actual, expected) && stored !== null;
}
