/**
 * Who a charger says it is: the last non-empty segment of the path it connects to.
 *
 * Chargers append slashes, put extra segments before their name or change its case (repair R25), so only the last
 * segment counts and comparisons use {@link foldIdentity}. Nothing here throws: the URL is hostile until proven otherwise.
 */
export type IdentityPath = { ok: true; identity: string } | { ok: false; reason: string };

const urlLengthMax = 2_048;
export const identityLengthMax = 48;

export function identityFromUrl(url: string | undefined): IdentityPath {
  const bad = (reason: string): IdentityPath => ({ ok: false, reason });
  if (url === undefined || url.length > urlLengthMax) return bad('the URL is too long');
  // Anything but printable ASCII must come percent-encoded (RFC 3986 §2).
  if (!/^[\x21-\x7e]*$/.test(url)) return bad('the URL holds characters that must be percent-encoded');
  const path = url.split(/[?#]/, 1)[0] ?? '';
  const segments = path.split('/').filter((segment) => segment !== '');
  const last = segments.at(-1);
  if (last === undefined || (segments.length === 1 && last.toLowerCase() === 'ocpp'))
    return bad('the path names no charger');
  let identity: string;
  try {
    identity = decodeURIComponent(last);
  } catch {
    return bad('the identity is not percent-encoded UTF-8');
  }
  if ([...identity].length > identityLengthMax)
    return bad(`the identity is longer than ${identityLengthMax} characters`);
  if (/[\p{Cc}/:]/u.test(identity)) return bad("the identity holds a control character, '/' or ':'");
  return { ok: true, identity };
}

/** Identities that differ only in case are the same charger. */
export const foldIdentity = (identity: string): string => identity.normalize('NFC').toLowerCase();
