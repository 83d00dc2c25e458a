import { expect, test } from 'vitest';
import { Authenticator, inNetworks, parseBasic, type Credentials } from './authentication.ts';
import { hmacVerifier, scryptVerifier, verifyPassword } from './password.ts';

const pepper = Buffer.from('pepper');
const secret = Buffer.from('00112233445566778899aabbccddeeff', 'hex');
const basic = (user: string, password: Buffer) =>
  `Basic ${Buffer.concat([Buffer.from(`${user}:`), password]).toString('base64')}`;
const charger = (change: Partial<Credentials> = {}): Credentials => ({
  charger: 'CP-1',
  securityProfile: 1,
  passwordHash: hmacVerifier(secret, pepper),
  profile0Networks: [],
  ...change,
});
const status = async (...call: Parameters<Authenticator['verdict']>) => {
  const verdict = await new Authenticator(pepper).verdict(...call);
  return verdict.allowed ? 'allowed' : verdict.status;
};

test('the right password of the right charger opens the door', async () => {
  expect(await status(charger(), basic('CP-1', secret), '10.0.0.1', 0)).toBe('allowed');
  expect(await status(charger(), basic('cp-1', secret), '10.0.0.1', 0)).toBe('allowed');
  expect(await status(charger(), basic('CP-2', secret), '10.0.0.1', 0)).toBe(401);
  expect(await status(charger(), basic('CP-1', Buffer.from('x')), '10.0.0.1', 0)).toBe(401);
  expect(await status(charger(), undefined, '10.0.0.1', 0)).toBe(401);
});

test('a key that is sent as its hex digits is the same key', async () => {
  expect(await status(charger(), basic('CP-1', Buffer.from(secret.toString('hex'))), '10.0.0.1', 0)).toBe('allowed');
});

test('passwords are bytes: colons and what is not UTF-8 count', async () => {
  const odd = Buffer.from([0xff, 0x3a, 0x00, 0x3a, 0xfe]);
  expect(parseBasic(basic('CP-1', odd))).toEqual({ user: 'CP-1', password: odd });
  expect(await status(charger({ passwordHash: hmacVerifier(odd, pepper) }), basic('CP-1', odd), '10.0.0.1', 0)).toBe(
    'allowed',
  );
});

test('a machine-made secret is worth nothing without the pepper', async () => {
  const verifier = hmacVerifier(secret, pepper);
  expect(await verifyPassword(verifier, secret, pepper)).toBe(true);
  expect(await verifyPassword(verifier, secret, Buffer.from('other'))).toBe(false);
  expect(verifier).not.toContain(secret.toString('hex'));
});

test('a typed password is verified by scrypt once and from memory afterwards', async () => {
  const typed = Buffer.from('correct horse battery');
  const credentials = charger({ passwordHash: await scryptVerifier(typed) });
  const authenticator = new Authenticator();
  expect((await authenticator.verdict(credentials, basic('CP-1', typed), 'a', 0)).allowed).toBe(true);
  const started = process.cpuUsage();
  for (let i = 0; i < 200; i++) await authenticator.verdict(credentials, basic('CP-1', typed), 'a', 0);
  // 200 runs of scrypt take 10 s of computing.
  expect(process.cpuUsage(started).user).toBeLessThan(1_000_000);
  const changed = { ...credentials, passwordHash: await scryptVerifier(Buffer.from('another password')) };
  expect((await authenticator.verdict(changed, basic('CP-1', typed), 'a', 0)).allowed).toBe(false);
});

test.each([
  '',
  '$scrypt$',
  '$md5$x$y',
  'plain',
  '$scrypt$n=1048576,r=8,p=1$c2FsdA==$aGFzaA==',
  '$hmac-sha256$c2FsdA==$',
])('the verifier %j lets nobody in', async (verifier) => {
  expect(await verifyPassword(verifier, Buffer.from('plain'), pepper)).toBe(false);
  expect(await verifyPassword(verifier, Buffer.alloc(0), pepper)).toBe(false);
});

test('who guesses is locked out for a minute; who knows the password is not', async () => {
  const authenticator = new Authenticator(pepper);
  const credentials = charger();
  expect((await authenticator.verdict(credentials, basic('CP-1', secret), 'home', 0)).allowed).toBe(true);
  const guess = async (now: number) => {
    const verdict = await authenticator.verdict(credentials, basic('CP-1', Buffer.from('guess')), 'evil', now);
    return verdict.allowed ? 200 : verdict.status;
  };
  for (let i = 0; i < 10; i++) expect(await guess(i)).toBe(401);
  expect(await guess(20)).toBe(429);
  expect((await authenticator.verdict(credentials, basic('CP-1', secret), 'evil', 30)).allowed).toBe(true);
  expect(await guess(61_000)).toBe(401);
});

test('profile 0 is allowed from listed networks only, whatever is in the header', async () => {
  const open = charger({ securityProfile: 0, profile0Networks: ['10.1.0.0/16', '::1', '192.0.2.7'] });
  expect(await status(open, undefined, '10.1.2.3', 0)).toBe('allowed');
  expect(await status(open, undefined, '::ffff:10.1.2.3', 0)).toBe('allowed');
  expect(await status(open, undefined, '::1', 0)).toBe('allowed');
  expect(await status(open, basic('CP-1', secret), '10.2.0.1', 0)).toBe(403);
  expect(await status({ ...open, profile0Networks: [] }, undefined, '127.0.0.1', 0)).toBe(403);
});

test('a network that is none matches nothing', () => {
  for (const network of ['', '/', '10.0.0.0/33', '10.0.0.0/-1', '10.0.0.0/x', 'all']) {
    expect(inNetworks('10.0.0.1', [network])).toBe(false);
  }
  expect(inNetworks('not an address', ['0.0.0.0/0'])).toBe(false);
});

test('a charger of a higher profile is not let in lower', async () => {
  expect(await status(charger({ securityProfile: 2 }), basic('CP-1', secret), '127.0.0.1', 0)).toBe(403);
  expect(await status(charger({ securityProfile: 3 }), undefined, '127.0.0.1', 0)).toBe(403);
});
