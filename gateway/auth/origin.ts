/**
 * Cross-site protection for writes and socket upgrades: browsers always name the page's origin on these. It must be the
 * host that was asked, or listed. A request without Origin comes from a program, which has no cookie it did not choose.
 */
export function originAllowed(
  origin: string | undefined,
  host: string | undefined,
  allowed: readonly string[],
): boolean {
  if (origin === undefined) return true;
  if (allowed.includes(origin)) return true;
  if (!/^https?:\/\//.test(origin) || !URL.canParse(origin)) return false;
  return new URL(origin).host === host;
}
