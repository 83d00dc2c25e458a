/** What would let somebody in is shown to nobody, admins included. */

const secretField = /password|secret|verifier|privatekey/i;
const blank = '<blanked>';

/** A copy without what would let somebody in, wherever it stands; that something is there is told. */
export function blanked(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(blanked);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, part]) => [
      name,
      secretField.test(name) && part !== '' && part !== null ? blank : blanked(part),
    ]),
  );
}
