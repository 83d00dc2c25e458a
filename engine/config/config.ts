/** Settings read once from the environment, checked, and passed down. */
import { isIP } from 'node:net';
import { resolve } from 'node:path';
import Value from 'typebox/value';
import type { ClockKind } from '../wire.ts';
import { about, settingNames, Settings, variable, type SettingName } from './settings.ts';

export interface Config extends Readonly<Settings> {
  /** Named by somebody, not a default: a configured port that is busy refuses, a default one moves. */
  readonly configured: ReadonlySet<SettingName>;
  /** What moves the log's clock: the machine's, or the simulator that plays recorded days. */
  readonly clock: ClockKind;
}

/** How fast recorded days are played; null: in real time. */
export const speedOf = ({ speed }: Pick<Settings, 'speed'>): number | 'max' | null =>
  speed === '' ? null : speed === 'max' ? 'max' : Number(speed);

/** A setting that cannot be, or settings that contradict each other; the message names the fix and holds no secret. */
export class ConfigError extends Error {
  override name = 'ConfigError';
}

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Reads all GRIDTICK_* settings. An empty variable counts as not given.
 * @throws {ConfigError} with every problem, one per line
 */
export function loadConfig(env: Environment): Config {
  const problems: string[] = [];
  const configured = new Set<SettingName>();
  const values: Record<string, unknown> = {};
  for (const name of settingNames) {
    const given = env[variable(name)]?.trim();
    values[name] = about(name).default;
    if (given === undefined || given === '') continue;
    configured.add(name);
    const value = parse(name, given);
    if (Value.Check(Settings.properties[name], value)) values[name] = value;
    else problems.push(`${variable(name)} must be ${expected(name)}, not '${shown(name, given)}'`);
  }
  const settings = values as unknown as Settings;
  if (problems.length === 0) problems.push(...contradictions(settings, configured));
  if (problems.length > 0) throw new ConfigError(problems.join('\n'));
  const clock = settings.speed === '' ? 'wall' : 'driven';
  return { ...settings, dataDir: resolve(settings.dataDir), configured, clock };
}

/** Variables that look like settings and are none: most often a slip of the fingers. */
export function unknownVariables(env: Environment): string[] {
  const known = new Set(settingNames.map(variable));
  return Object.keys(env).filter(
    (key) => key.startsWith('GRIDTICK_') && !key.startsWith('GRIDTICK_TEST_') && !known.has(key),
  );
}

/** A copy that may be logged. */
export function withoutSecrets(config: Config): Record<string, unknown> {
  return Object.fromEntries(settingNames.map((name) => [name, shown(name, String(config[name]))]));
}

/** True for addresses that nobody outside of this machine can reach. */
export const isLoopback = (address: string) => /^127\.\d+\.\d+\.\d+$/.test(address) || address === '::1';

/** The address by which this machine reaches what listens on `bind`, ready for a URL. */
export function reachable(bind: string): string {
  const address = bind === '0.0.0.0' ? '127.0.0.1' : bind === '::' ? '::1' : bind;
  return address.includes(':') ? `[${address}]` : address;
}

const shown = (name: SettingName, value: string) => (about(name).secret && value !== '' ? '<secret>' : value);

function parse(name: SettingName, given: string): unknown {
  const { type } = about(name);
  if (type === 'integer' || type === 'number') return /^-?\d+(\.\d+)?$/.test(given) ? Number(given) : given;
  if (type === 'boolean') return { true: true, 1: true, false: false, 0: false }[given.toLowerCase()] ?? given;
  return given;
}

function expected(name: SettingName): string {
  const { type, unit, minimum, maximum, enum: names } = about(name);
  if (Array.isArray(names)) return `one of ${names.join(', ')}`;
  if (type !== 'integer' && type !== 'number') return `${unit === 'true or false' ? unit : `a ${unit}`}`;
  return `${type === 'integer' ? 'a whole number' : 'a number'} from ${String(minimum)} to ${String(maximum)} (${unit})`;
}

const ports = ['httpPort', 'ocppPort', 'natsPort', 'redisPort', 'clickhousePort', 'metricsPort'] as const;

/** Each can be true alone; together they cannot. */
function contradictions(s: Settings, configured: ReadonlySet<SettingName>): string[] {
  const problems: string[] = [];
  const both = (a: SettingName, b: SettingName) => `${variable(a)} and ${variable(b)}`;
  for (const [i, a] of ports.entries()) {
    for (const b of ports.slice(i + 1)) {
      if (s[a] !== 0 && s[a] === s[b] && configured.has(a) && configured.has(b)) {
        problems.push(`${both(a, b)} are both ${s[a]}: give one of them another port`);
      }
    }
  }
  for (const [url, port] of [
    ['natsUrl', 'natsPort'],
    ['redisUrl', 'redisPort'],
    ['clickhouseUrl', 'clickhousePort'],
  ] as const) {
    if (configured.has(url) && configured.has(port)) {
      problems.push(
        `${both(url, port)} are both set: the port belongs to the embedded server, which the URL replaces; unset one`,
      );
    }
  }
  if (isIP(s.bind) === 0)
    problems.push(
      `${variable('bind')}=${s.bind} is not an IP address: 127.0.0.1, 0.0.0.0 or the address of a network card`,
    );
  else if (!isLoopback(s.bind) && s.demo) {
    problems.push(
      `${variable('bind')}=${s.bind} would show the demo logins to the network: set ${variable('demo')}=false, or leave ${variable('bind')} at 127.0.0.1`,
    );
  }
  if (isIP(s.bind) !== 0 && !isLoopback(s.bind) && s.failpoint !== '') {
    problems.push(
      `${variable('failpoint')} kills processes of what ${variable('bind')}=${s.bind} shows to the network: unset one of them`,
    );
  }
  if (isIP(s.metricsBind) === 0) problems.push(`${variable('metricsBind')}=${s.metricsBind} is not an IP address`);
  else if (!isLoopback(s.metricsBind) && s.metricsToken === '')
    problems.push(
      `${variable('metricsBind')}=${s.metricsBind} would show metrics to the network: set ${variable('metricsToken')}`,
    );
  for (const [name, schemes] of [
    ['natsUrl', ['nats:']],
    ['redisUrl', ['redis:', 'rediss:']],
    ['clickhouseUrl', ['http:', 'https:']],
    ['traces', ['http:', 'https:']],
  ] as const) {
    if (s[name] === '') continue;
    const url = URL.canParse(s[name]) ? new URL(s[name]) : null;
    if (!url || !(schemes as readonly string[]).includes(url.protocol)) {
      problems.push(
        `${variable(name)} is not a URL that starts with ${schemes.map((scheme) => `${scheme}//`).join(' or ')}`,
      );
    } else if (name === 'clickhouseUrl' && (url.username || url.password)) {
      problems.push(
        `${variable(name)} holds credentials: move them to ${both('clickhouseUser', 'clickhousePassword')}`,
      );
    }
  }
  if (s.sessions !== '' && !s.demo)
    problems.push(`${variable('sessions')} (--sessions) is a demo scenario: unset ${variable('demo')}=false`);
  for (const name of ['day', 'from', 'to', 'zone', 'speed'] as const) {
    if (s.sessions === '' && configured.has(name))
      problems.push(`--${name} belongs to --sessions FILE: add the file, or leave --${name} out`);
  }
  if (s.sessions !== '') problems.push(...whatToPlay(s));
  for (const name of ['day', 'from', 'to'] as const) {
    if (s[name].includes('-') && !isDate(s[name])) problems.push(`--${name} ${s[name]} is not a date of the calendar`);
  }
  if (!isZone(s.zone)) problems.push(`--zone ${s.zone} is not an IANA time zone such as America/Los_Angeles`);
  return problems;
}

/** One day by the machine's clock, or a range of days by a clock of its own. */
function whatToPlay(s: Settings): string[] {
  const problems: string[] = [];
  if (s.speed === '') {
    if (s.day === '')
      problems.push(
        `${variable('sessions')} (--sessions) needs a day to play: add --day 2019-05-15, or --speed max for a range of days`,
      );
    if (s.to !== '') problems.push('--to belongs to --speed: add --speed max, or leave --to out');
    if (s.from.includes('-')) problems.push(`--from ${s.from} is a date: give a time of the day, or add --speed max`);
    return problems;
  }
  if (s.speed !== 'max' && Number(s.speed) <= 0) problems.push(`--speed ${s.speed} would never get anywhere`);
  if (s.day !== '') problems.push('--day is played in real time: with --speed say --from DATE --to DATE');
  if (s.from.includes(':')) problems.push(`--from ${s.from} is a time of day: with --speed say the first day`);
  if (s.to !== '' && s.from !== '' && s.to <= s.from) problems.push(`--to ${s.to} is not after --from ${s.from}`);
  return problems;
}

const isDate = (day: string) => {
  const date = new Date(`${day}T00:00:00Z`);
  return !Number.isNaN(date.getTime()) && date.toISOString().startsWith(day);
};

function isZone(zone: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: zone });
    return true;
  } catch {
    return false;
  }
}
