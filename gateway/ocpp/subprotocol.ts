/**
 * Choice of the OCPP version, made before the library sees the upgrade: it would compare case-sensitively, accept a
 * missing subprotocol and then switch its strict mode off.
 */

/** Versions that are implemented, the preferred one first. Other known versions have nothing in common with us. */
export const offeredVersions = ['ocpp2.0.1', 'ocpp1.6'] as const;
export type Version = (typeof offeredVersions)[number];

export interface Choice {
  version: Version;
  /** The charger's own spelling, echoed in the handshake. */
  spelling: string;
}

/** First version of `preferred` that the charger offers; null when there is none, or no header. */
export function chooseVersion(
  header: string | undefined,
  preferred: readonly Version[] = offeredVersions,
): Choice | null {
  if (header === undefined) return null;
  const offers = header.split(',').map((offer) => offer.trim());
  for (const version of preferred) {
    const spelling = offers.find((offer) => offer.toLowerCase() === version);
    if (spelling !== undefined) return { version, spelling };
  }
  return null;
}

/** Compression of messages: no context is kept between them, so that an idle charger costs no zlib memory. */
export const deflate = {
  serverNoContextTakeover: true,
  clientNoContextTakeover: true,
  serverMaxWindowBits: 10,
  clientMaxWindowBits: 10,
  zlibDeflateOptions: { memLevel: 4 },
  threshold: 1_024,
  concurrencyLimit: 4,
} as const;

/**
 * The extensions header that the WebSocket library may see: an offer of permessage-deflate that fits {@link deflate}, or
 * undefined. The library refuses the whole upgrade when no offer fits; a charger is better served without compression.
 */
export function acceptableExtensions(header: string | undefined): string | undefined {
  if (header === undefined || header.length > 1_024) return undefined;
  for (const offer of header.split(',')) {
    const [name, ...parameters] = offer.split(';').map((part) => part.trim().toLowerCase());
    if (name !== 'permessage-deflate') continue;
    const accepted = new Map<string, string>();
    for (const parameter of parameters) {
      const [key = '', value = ''] = parameter.split('=').map((part) => part.trim().replace(/^"(.*)"$/, '$1'));
      accepted.set(key, value);
    }
    const clientBits = accepted.get('client_max_window_bits');
    const serverBits = accepted.get('server_max_window_bits');
    // Without the parameter the charger cannot be asked for a small window, which it would then make us pay for.
    if (clientBits === undefined || (clientBits !== '' && !within(clientBits))) continue;
    if (serverBits !== undefined && !within(serverBits)) continue;
    const known = [
      'client_max_window_bits',
      'server_max_window_bits',
      'client_no_context_takeover',
      'server_no_context_takeover',
    ];
    if (![...accepted.keys()].every((key) => known.includes(key))) continue;
    return `permessage-deflate; client_max_window_bits${serverBits === undefined ? '' : `; server_max_window_bits=${serverBits}`}`;
  }
  return undefined;
}

const within = (bits: string): boolean => /^1[0-5]$/.test(bits);
