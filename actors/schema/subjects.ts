/** Public subjects, built in one place. A byte that could break the hierarchy is written `=HH`. */
const utf8 = new TextEncoder();

let [knownIdentity, knownToken] = ['', ''];

/** One subject token for any identity: bytes outside `[A-Za-z0-9_-]` become `=HH`. Refuses the empty string. */
export function token(identity: string): string {
  if (identity === '') throw new Error('a subject token may not be empty');
  if (/^[\w-]+$/.test(identity)) return identity;
  // What one command tells is mostly about one identity.
  if (identity === knownIdentity) return knownToken;
  let out = '';
  for (const byte of utf8.encode(identity)) {
    const plain = (byte >= 48 && byte <= 57) || (byte >= 65 && byte <= 90) || (byte >= 97 && byte <= 122);
    out +=
      plain || byte === 45 || byte === 95
        ? String.fromCharCode(byte)
        : `=${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  [knownIdentity, knownToken] = [identity, out];
  return out;
}

export const subject = {
  price: (station: string) => `price.${token(station)}`,
  load: (site: string, node: string) => `load.${token(site)}.${token(node)}`,
  meter: (charger: string, connector: number) => `meter.${token(charger)}.${connector}`,
  charger: (charger: string, kind: string) => `charger.${token(charger)}.${token(kind)}`,
  session: (charger: string, transaction: number) => `session.${token(charger)}.${transaction}`,
  battery: (customer: string) => `battery.${token(customer)}`,
  trade: (customer: string) => `trade.${token(customer)}`,
  /** System batches without a customer are under `system`, which no customer can be called. */
  ledger: (customer: string | null) => `ledger.${customer === null ? '=system' : token(customer)}`,
  audit: (kind: string) => `audit.${token(kind)}`,
};
