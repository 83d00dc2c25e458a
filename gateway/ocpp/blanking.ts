/**
 * What a message may not tell whoever reads the message log: keys, passwords and signed addresses become `***`, tags keep
 * their last three characters. Nearly all frames hold none of the words and are passed on after one look.
 */

const blank = '***';

/** Names of properties and of configuration keys whose value is nobody's business. */
const secretName = /authori[sz]ationkey|passw|passphrase|secret|credential|private.?key|^(sim)?pin$/i;
/** Whether a setting of that name, `Component.Variable[Instance]` included, is a password or a key. */
export const isSecret = (setting: string): boolean =>
  setting.split(/[.@[\]]/).some((part) => secretName.test(part.trim()));
const words = 'authori[sz]ationkey|passw|passphrase|secret|credential|private.?key|"(?:sim)?pin"';
/** Whether a frame is worth taking apart. */
const suspicious = new RegExp(words, 'i');
/** Whether it holds anything that is looked at here: one pass, because nearly all frames end with it. */
const remarkable = new RegExp(`${words}|Id(?:Tag|Token)"|:\\\\?\\/`, 'i');
/** Text in which such a name is followed by its value. */
const told = /(?:authori[sz]ationkey|passw\w{0,8}|passphrase|secret|credentials?|private.?key)[\s"'\\]{0,8}[:=]/i;
/** Where a configuration entry has its name, by version: 1.6, and the variable of 2.x. */
const nameFields = ['key', 'name', 'variable'] as const;
const valueFields = ['value', 'attributeValue'] as const;

const tag = /"(idTag|parentIdTag|idToken|additionalIdToken)"(\s*:\s*)(?:"((?:[^"\\]|\\.)*)"|(-?\d[\d.eE+-]*))/g;
const userInfo = /:(?:\\?\/){2}[^/"\s@]*@/g;
const address = /:\\?\/\\?\//;
const parameter = /([?&][^=&"\s]{1,64}=)[^&"\s]+/g;

/** The frame as it may be kept. Never longer than a few characters per tag more than it was. */
export function blanked(text: string): string {
  if (!remarkable.test(text)) return text;
  const masked = text.replace(tag, maskedTag).replace(userInfo, `://${blank}@`);
  const kept = address.test(masked) ? masked.replace(parameter, `$1${blank}`) : masked;
  return suspicious.test(kept) ? withoutSecrets(kept) : kept;
}

function maskedTag(_: string, name: string, colon: string, quoted: string | undefined, digits: string | undefined) {
  let plain = quoted ?? digits ?? '';
  // A cut through an escape would leave no JSON.
  if (plain.includes('\\')) {
    try {
      plain = JSON.parse(`"${plain}"`) as string;
    } catch {
      plain = '';
    }
  }
  return `"${name}"${colon}${JSON.stringify(`…${plain.slice(-3)}`)}`;
}

function withoutSecrets(text: string): string {
  try {
    return JSON.stringify(walked(JSON.parse(text), 0));
  } catch {
    // What cannot be read cannot be searched: only the head of the frame is kept.
    const head = /^\s*\[\s*[234]\s*,\s*"(?:[^"\\]|\\.){0,64}"\s*,\s*(?:"[A-Za-z]{1,64}"\s*,\s*)?/.exec(text)?.[0] ?? '';
    return `${head}"${blank}"`;
  }
}

/** Deeper than any message of OCPP. */
const depthMax = 24;

function walked(value: unknown, depth: number): unknown {
  if (typeof value === 'string') return told.test(value) ? blank : value;
  if (typeof value !== 'object' || value === null) return value;
  if (depth > depthMax) return blank;
  if (Array.isArray(value)) return value.map((item) => walked(item, depth + 1));
  const entry = value as Record<string, unknown>;
  const named = nameFields.some((field) => secretName.test(nameIn(entry[field])));
  // The key of a VPN stands beside its password (OCPP 2.0.1 VPNType).
  const network = Object.keys(entry).some((name) => secretName.test(name));
  return Object.fromEntries(
    Object.entries(entry).map(([name, inner]) => {
      const hidden =
        secretName.test(name) ||
        (named && (valueFields as readonly string[]).includes(name)) ||
        (network && name === 'key');
      return [name, hidden && inner !== null ? blank : walked(inner, depth + 1)];
    }),
  );
}

/** The name of an entry: text, or the `name` of a variable. */
function nameIn(field: unknown): string {
  if (typeof field === 'string') return field;
  if (typeof field !== 'object' || field === null) return '';
  const { name } = field as { name?: unknown };
  return typeof name === 'string' ? name : '';
}
