/**
 * What an operator may read and set at a charger. One table for both versions: a configuration key of OCPP 1.6 and the
 * component and variable of 2.0.1 that say the same.
 */
export interface Key {
  v16: string | null;
  v201: readonly [component: string, variable: string] | null;
  initial: string;
  /** True for values that may be set; absent: it is read-only. */
  valid?: (value: string) => boolean;
  /** A new value counts after the next boot. */
  atBoot?: true;
}

const whole = (least: number, most: number) => (value: string) =>
  /^\d{1,9}$/.test(value) && Number(value) >= least && Number(value) <= most;

export const keys = {
  heartbeat: {
    v16: 'HeartbeatInterval',
    v201: ['OCPPCommCtrlr', 'HeartbeatInterval'],
    initial: '300',
    valid: whole(1, 86_400),
  },
  sampling: {
    v16: 'MeterValueSampleInterval',
    v201: ['SampledDataCtrlr', 'TxUpdatedInterval'],
    initial: '10',
    valid: whole(1, 3_600),
  },
  connectionTimeOut: {
    v16: 'ConnectionTimeOut',
    v201: ['TxCtrlr', 'EVConnectionTimeOut'],
    initial: '60',
    valid: whole(1, 3_600),
  },
  pings: {
    v16: 'WebSocketPingInterval',
    v201: ['OCPPCommCtrlr', 'WebSocketPingInterval'],
    initial: '0',
    valid: whole(0, 3_600),
    atBoot: true,
  },
  authorizeRemote: {
    v16: 'AuthorizeRemoteTxRequests',
    v201: ['AuthCtrlr', 'AuthorizeRemoteStart'],
    initial: 'false',
  },
  measurands: {
    v16: 'MeterValuesSampledData',
    v201: ['SampledDataCtrlr', 'TxUpdatedMeasurands'],
    initial: 'Power.Active.Import,Energy.Active.Import.Register',
  },
  connectors: { v16: 'NumberOfConnectors', v201: null, initial: '1' },
  profiles: { v16: 'SupportedFeatureProfiles', v201: null, initial: 'Core,RemoteTrigger' },
  keysMax: { v16: 'GetConfigurationMaxKeys', v201: null, initial: '50' },
} as const satisfies Record<string, Key>;

export type KeyName = keyof typeof keys;
const named = Object.entries(keys) as [KeyName, Key][];

/** Keys that a version has, in the order of the table. */
export const keysOf = (version: 'v16' | 'v201'): [KeyName, Key][] => named.filter(([, key]) => key[version] !== null);

const same = (a: string, b: string) => a.toLowerCase() === b.toLowerCase();

/** OCPP 1.6 §5.2: keys are compared without regard to case. */
export const keyNamed16 = (name: string): KeyName | undefined =>
  named.find(([, { v16 }]) => v16 !== null && same(v16, name))?.[0];

export const keyNamed201 = (component: string, variable: string): KeyName | 'component' | undefined => {
  const ofComponent = named.filter(([, { v201 }]) => v201 !== null && same(v201[0], component));
  if (ofComponent.length === 0) return 'component';
  return ofComponent.find(([, { v201 }]) => v201 !== null && same(v201[1], variable))?.[0];
};

/** What becomes of a wish to set a key. */
export type SetOutcome = 'Accepted' | 'RebootRequired' | 'Rejected';

export const waitsForBoot = (name: KeyName): boolean => (keys[name] as Key).atBoot === true;

export function judge(name: KeyName, value: string): SetOutcome {
  const key: Key = keys[name];
  if (key.valid?.(value) !== true) return 'Rejected';
  return waitsForBoot(name) ? 'RebootRequired' : 'Accepted';
}
