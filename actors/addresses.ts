/** Where the entities live: the key decides the partition, so doors and actors build addresses here only. */
import type { EntityAddress } from './actor.ts';

export type NameKind = 'identity' | 'tag' | 'email';

/** Names are unique whatever their case: OCPP identifiers and e-mail addresses are compared without it. */
export const foldName = (name: string): string => name.toLowerCase();

export const nameId = (kind: NameKind, name: string): string => `${kind}:${foldName(name)}`;

/** The directory entry of a charger identity, a tag or an e-mail address. */
export function nameAddress(kind: NameKind, name: string): EntityAddress {
  const id = nameId(kind, name);
  return { kind: 'name', key: id, id };
}

export const siteAddress = (site: string): EntityAddress => ({ kind: 'site', key: site, id: site });
export const stationAddress = (site: string, station: string): EntityAddress => ({
  kind: 'station',
  key: site,
  id: station,
});
export const chargerAddress = (site: string, charger: string): EntityAddress => ({
  kind: 'charger',
  key: site,
  id: charger,
});
export const sessionAddress = (site: string, transaction: number): EntityAddress => ({
  kind: 'session',
  key: site,
  id: String(transaction),
});
/** A command to a charger; its id is made by who asks for it. */
export const deviceCommandAddress = (site: string, command: string): EntityAddress => ({
  kind: 'device_command',
  key: site,
  id: command,
});
export const userAddress = (user: string): EntityAddress => ({ kind: 'user', key: user, id: user });

/** A customer is who signs in: it has the user's id. */
export const customerAddress = (customer: string): EntityAddress => ({
  kind: 'customer',
  key: customer,
  id: customer,
});

/** Key of what every partition holds one of. */
export const partitionKey = (partition: number): string => `@${partition}`;
export const rosterAddress = (partition: number): EntityAddress => ({
  kind: 'roster',
  key: partitionKey(partition),
  id: partitionKey(partition),
});
export const gatewayAddress = (partition: number, gateway: string): EntityAddress => ({
  kind: 'gateway',
  key: partitionKey(partition),
  id: gateway,
});
/** One entry of a partition's tag table; found by the folded tag. */
export const tagAddress = (partition: number, tag: string): EntityAddress => ({
  kind: 'tag',
  key: partitionKey(partition),
  id: foldName(tag),
});

/** A dead letter of a partition; the id is its place in the journal. */
export const letterAddress = (partition: number, place: string): EntityAddress => ({
  kind: 'letter',
  key: partitionKey(partition),
  id: place,
});

/** A system account of a ledger, one per partition. */
export const accountAddress = (partition: number, ledger: string, name: string): EntityAddress => ({
  kind: 'account',
  key: partitionKey(partition),
  id: `${ledger}:${name}`,
});
/** What the stations of partition `source` cost, as `partition` knows it. */
export const boardAddress = (partition: number, source: number): EntityAddress => ({
  kind: 'board',
  key: partitionKey(partition),
  id: String(source),
});
export const exchangeAddress = (partition: number): EntityAddress => ({
  kind: 'exchange',
  key: partitionKey(partition),
  id: `exchange${partitionKey(partition)}`,
});
/** Where the quotes of a symbol are handed in; `feed` '' = the installation's own. */
export function tickerAddress(feed: string, symbol: string): EntityAddress {
  const id = `${feed}:${symbol}`;
  return { kind: 'ticker', key: id, id };
}
/** The price of an instrument as one partition knows it. */
export const watchAddress = (partition: number, feed: string, instrument: string): EntityAddress => ({
  kind: 'watch',
  key: partitionKey(partition),
  id: `${feed}:${instrument}`,
});
