/** What a page shows stands in its address, so that it can be sent to somebody else and survives a reload. */
import { searchParams } from 'sv-router';

/** Read inside a derived or an effect it follows the address. Values are text as typed: `0042` stays `0042`. */
export const address = (): URLSearchParams => searchParams.toURLSearchParams();

/** Replaces the address in place; null or '' takes a name away. */
export function setAddress(values: Record<string, string | null>): void {
  for (const [name, value] of Object.entries(values))
    if (value === null || value === '') searchParams.delete(name, undefined, { replace: true });
    else searchParams.set(name, value, { replace: true });
}
