/**
 * Every setting of an installation: one schema gives types, checks and the table in deploy/docs/settings.md.
 * A setting `httpPort` is the environment variable GRIDTICK_HTTP_PORT.
 */
import Type, { type Static } from 'typebox';
import { failpointPattern } from '../failpoint.ts';

/** `unit` and `why` end up in the docs table; `secret` values never reach a log, a screen or a child's arguments. */
interface About<T> {
  default: T;
  unit: string;
  why: string;
  secret?: true;
}

const port = (about: About<number>) => Type.Integer({ minimum: 0, maximum: 65_535, ...about });
const text = (about: About<string>) => Type.String({ maxLength: 4_096, ...about });
const secret = (why: string) => text({ default: '', unit: 'text', why, secret: true });

export const Settings = Type.Object(
  {
    dataDir: text({
      default: '.data',
      unit: 'path',
      why: 'Everything that outlives a stop: log, sign-ins, history, secrets, logs. One installation, one scenario.',
    }),
    bind: text({
      default: '127.0.0.1',
      unit: 'IP address',
      why: 'Where the doors listen. Loopback unless somebody decides otherwise; demo logins refuse to start on anything else.',
    }),
    httpPort: port({ default: 8080, unit: 'TCP port', why: 'Dashboard and HTTP API. 0 takes any free one.' }),
    ocppPort: port({ default: 9220, unit: 'TCP port', why: 'WebSocket door of the chargers. 0 takes any free one.' }),
    natsPort: port({ default: 4222, unit: 'TCP port', why: 'Embedded NATS, for integrators. 0 takes any free one.' }),
    redisPort: port({ default: 6379, unit: 'TCP port', why: 'Embedded Redis. 0 takes any free one.' }),
    clickhousePort: port({
      default: 8123,
      unit: 'TCP port',
      why: 'HTTP interface of the embedded ClickHouse, for analysts. 0 takes any free one.',
    }),
    metricsPort: port({
      default: 9464,
      unit: 'TCP port',
      why: '`/metrics`, `/health/live` and `/health/ready`: of all processes under `gridtick up`, else of this one. 0 takes any free one.',
    }),
    metricsBind: text({
      default: '127.0.0.1',
      unit: 'IP address',
      why: 'Where that port listens; anything but loopback needs the token.',
    }),
    metricsToken: secret(
      'Who reads `/metrics` must send it (`Authorization: Bearer …`). Empty: nobody needs one, on loopback alone.',
    ),
    traces: text({
      default: '',
      unit: 'URL',
      why: 'OTLP/HTTP collector that gets spans of single frames (http://host:4318/v1/traces). Empty: none are made.',
    }),
    tracesRatio: Type.Number({
      minimum: 0,
      maximum: 1,
      default: 0.01,
      unit: 'share',
      why: 'How many frames are followed, each from its door to the history.',
    }),
    natsUrl: secret(
      'NATS of your own, user and password inside (nats://user:password@host:4222). Empty starts the embedded one.',
    ),
    redisUrl: secret(
      'Redis of your own, password inside (redis://:password@host:6379). Empty starts the embedded one.',
    ),
    clickhouseUrl: text({
      default: '',
      unit: 'URL',
      why: 'ClickHouse of your own (http://host:8123), without credentials. Empty starts the embedded one.',
    }),
    clickhouseUser: text({ default: 'gridtick', unit: 'text', why: 'The user that writes and reads the history.' }),
    clickhousePassword: secret('Its password. The embedded server gets a generated one.'),
    quoteFeed: text({
      default: 'walk:1',
      unit: 'feed',
      why: 'Where prices of symbols come from: const:PRICE in SEK, walk:SEED, or a quote server at tcp:HOST:PORT.',
    }),
    quoteSecrets: secret(
      'What quotes are signed with: ID:SECRET, or two of them with a comma, the one that signs first. One is generated when empty.',
    ),
    analystPassword: secret('Password of the read-only user `analyst` of the embedded server; generated when empty.'),
    partitions: Type.Integer({
      minimum: 1,
      maximum: 64,
      default: 16,
      unit: 'count',
      why: 'How many independent orders of events there are; fixed when a data directory is created. 64 for production.',
    }),
    engines: Type.Integer({
      minimum: 1,
      maximum: 16,
      default: 1,
      unit: 'count',
      why: 'Engine processes that share the partitions; more may join and leave while it runs (also: --engines 3).',
    }),
    logScale: Type.Number({
      minimum: 0.001,
      maximum: 16,
      default: 1,
      unit: 'factor',
      why: 'Multiplies the room of every stream (128 MiB commands, 4 GiB journal, 512 MiB snapshots per partition); below 1 for small disks.',
    }),
    archiveHolds: Type.Boolean({
      default: false,
      unit: 'true or false',
      why:
        'Nothing is purged from command logs and journals that `gridtick archive` has not copied. When it does not run for too ' +
        'long, the log fills up and doors refuse.',
    }),
    stopMs: Type.Integer({
      minimum: 500,
      maximum: 60_000,
      default: 8_000,
      unit: 'ms',
      why: 'What all processes together get to end by themselves before they are killed; 8 s keeps a stop within 10 s.',
    }),
    messageLog: Type.Enum(['on', 'off'], {
      default: 'on',
      unit: 'switch',
      why: 'Keeps what goes over the chargers’ sockets for 90 days, keys and passwords blanked, tags masked. Nothing else depends on it.',
    }),
    logLevel: Type.Enum(['trace', 'debug', 'info', 'warn', 'error'], {
      default: 'info',
      unit: 'pino level',
      why: 'What roles write into <data>/logs; warnings always come to the screen too.',
    }),
    demo: Type.Boolean({
      default: true,
      unit: 'true or false',
      why: 'Seeds the demo site with its logins. false starts an empty installation.',
    }),
    simulator: Type.Boolean({
      default: true,
      unit: 'true or false',
      why: 'Starts the simulated chargers of the demo site (also: --no-simulator).',
    }),
    seed: Type.Integer({
      minimum: 0,
      maximum: 4_294_967_295,
      default: 1,
      unit: 'number',
      why: 'The generated days of the simulated chargers: the same number gives the same days.',
    }),
    sessions: text({
      default: '',
      unit: 'path of a CSV, plain or gzip',
      why: 'Plays recorded sessions instead of generated ones: one day in real time, or with a speed a range of days (also: --sessions FILE).',
    }),
    day: Type.String({
      pattern: '^(\\d{4}-\\d{2}-\\d{2})?$',
      default: '',
      unit: 'date',
      why: 'The day to play in real time, in the zone (also: --day 2019-05-15).',
    }),
    from: Type.String({
      pattern: '^(([01]\\d|2[0-3]):[0-5]\\d|\\d{4}-\\d{2}-\\d{2})?$',
      default: '',
      unit: 'time of day, or date',
      why:
        'The moment of that day which is now when the scenario starts; empty = 00:00 (also: --from 07:00). ' +
        'With a speed: the first day to play; empty = the first of the file.',
    }),
    to: Type.String({
      pattern: '^(\\d{4}-\\d{2}-\\d{2})?$',
      default: '',
      unit: 'date',
      why: 'With a speed: the day before which it ends; empty = after the last of the file (also: --to 2019-05-20).',
    }),
    speed: Type.String({
      pattern: '^(max|\\d{1,6}(\\.\\d{1,3})?)?$',
      default: '',
      unit: 'factor, or max',
      why:
        'Plays recorded days on a clock of their own, so many times as fast as it was, or as fast as it goes; the clock is ' +
        'fixed when a data directory is created. Empty: the clock of the machine (also: --speed max).',
    }),
    zone: text({
      default: 'America/Los_Angeles',
      unit: 'IANA time zone',
      why: 'Zone of day and from (also: --zone); the default is where the sessions with this header were recorded.',
    }),
    simulatorVersions: Type.Enum(['1.6', '2.0.1', 'both'], {
      default: 'both',
      unit: 'OCPP version, or both',
      why: 'What the simulated chargers speak; both: every second one 2.0.1. Fixed with the first start in a data directory.',
    }),
    simulatorDoubles: Type.String({
      pattern: '^\\d{0,9}$',
      default: '',
      unit: 'number, or empty',
      why: 'Tests: simulated chargers say every transaction message twice, over two sockets and out of order, as this number draws it.',
    }),
    stuckMs: Type.Integer({
      minimum: 500,
      maximum: 600_000,
      default: 15_000,
      unit: 'ms',
      why: 'An engine whose event loop stands still for so long is killed and started again; a command that takes so long alone is put aside.',
    }),
    failpoint: Type.String({
      pattern: failpointPattern,
      default: '',
      unit: '<failpoint>:<n>',
      why: 'Chaos tests only, on loopback only: a process kills itself at the n-th passing of that place; operations.md lists them.',
    }),
  },
  { additionalProperties: false },
);

/** Checked settings as the roles read them. */
export type Settings = Static<typeof Settings>;
export type SettingName = keyof Settings;

interface Described extends About<string | number | boolean> {
  type?: 'string' | 'integer' | 'number' | 'boolean';
  minimum?: number;
  maximum?: number;
  enum?: string[];
}

/** What the schema says about one setting. */
export const about = (name: SettingName) => Settings.properties[name] as unknown as Described;

export const settingNames = Object.keys(Settings.properties) as SettingName[];

/** httpPort → GRIDTICK_HTTP_PORT */
export const variable = (name: SettingName) => `GRIDTICK_${name.replace(/[A-Z]/g, (c) => `_${c}`).toUpperCase()}`;
