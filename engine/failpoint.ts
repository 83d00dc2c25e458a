/**
 * Named places at which a process kills itself (SIGKILL, nothing is saved), or stops (SIGSTOP) so that another one can be
 * killed while this one is just there: to show that nothing is lost or doubled. Armed once by the role's settings; while it is
 * not, passing a place costs one comparison.
 */
export const failpoints = {
  'engine.frame_decided': 'a frame of commands is decided in memory, its record not yet made',
  'engine.record_appended': 'a record is acknowledged, nothing of it released',
  'engine.released': 'replies and effects of a record have left, its relays not yet',
  'engine.relay_sent': 'a frame of relays is under way to the log of another partition',
  'engine.relay_acked': 'it is stored there, which is not yet noted here',
  'door.frame_sent': 'a frame of commands is under way to the log',
  'door.frame_stored': 'it is stored, which the caller does not yet know',
  'door.replied': 'the replies of a record have come, the callers do not yet know them',
  'history.inserted': 'rows are in ClickHouse, the positions of the sink are not',
  'history.published': 'a public event is in its stream, which is not yet noted',
} as const;
export type Failpoint = keyof typeof failpoints;

/** `<name>:<n>`: at the n-th passing, n ≥ 1; `<name>:<n>:stop` stops instead. */
export const failpointPattern = `^((${Object.keys(failpoints).join('|').replaceAll('.', '\\.')}):[1-9]\\d{0,8}(:stop)?)?$`;

/** What is sent leaves the process at the end of the turn; dying before that would be dying before the sending. */
const onTheWay: ReadonlySet<Failpoint> = new Set<Failpoint>([
  'engine.released',
  'engine.relay_sent',
  'door.frame_sent',
]);

let armed: Failpoint | null = null;
let left = 0;
let signal: 'SIGKILL' | 'SIGSTOP' = 'SIGKILL';

/** Arms what the setting says; '' disarms. */
export function armFailpoint(setting: string): void {
  const [name, passings, how] = setting.split(':');
  armed = setting === '' ? null : (name as Failpoint);
  left = Number(passings);
  signal = how === 'stop' ? 'SIGSTOP' : 'SIGKILL';
}

/** Passes a place. */
export function failpoint(name: Failpoint): void {
  if (armed !== name || --left !== 0) return;
  const end = () => process.kill(process.pid, signal);
  if (onTheWay.has(name)) setImmediate(end);
  else end();
}
