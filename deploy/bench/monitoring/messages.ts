/** What a charger of the bench says in either version: one connector with an open session, samples of four values. */
export type Payload = Record<string, unknown>;
export type Call = [action: string, payload: Payload];

/** What a charger must know to say the next thing. */
export interface Facts {
  identity: string;
  tag: string;
  /** As the system named it (1.6), or as the charger did (2.0.1). */
  transaction: number | string;
  /** Event number within the transaction; 2.0.1. */
  seq: number;
  at: number;
  registerWh: number;
}

export interface Words {
  protocol: 'ocpp1.6' | 'ocpp2.0.1';
  boot(facts: Facts): Call;
  status(facts: Facts): Call;
  start(facts: Facts): Call;
  sample(facts: Facts): Call;
  /** The transaction of an answered start, when its tag was accepted. */
  started(answer: Payload, facts: Facts): number | string | undefined;
}

/** One plug of 16 A and three phases. */
export const powerW = 11_040;
const iso = (at: number) => new Date(at).toISOString();
const accepted = (info: unknown) => (info as Payload | undefined)?.['status'] === 'Accepted';

const readings = (registerWh: number) => [
  { measurand: 'Power.Active.Import', unit: 'W', value: powerW },
  { measurand: 'Energy.Active.Import.Register', unit: 'Wh', value: registerWh },
  { measurand: 'Current.Import', unit: 'A', value: 16, phase: 'L1' },
  { measurand: 'Voltage', unit: 'V', value: 230.1, phase: 'L1-N' },
];
export const valuesPerSample = 4;
const context = 'Sample.Periodic';

export const v16: Words = {
  protocol: 'ocpp1.6',
  boot: () => ['BootNotification', { chargePointVendor: 'Bench', chargePointModel: 'Monitoring 16' }],
  status: ({ at }) => [
    'StatusNotification',
    { connectorId: 1, status: 'Charging', errorCode: 'NoError', timestamp: iso(at) },
  ],
  start: ({ tag, at, registerWh }) => [
    'StartTransaction',
    { connectorId: 1, idTag: tag, meterStart: registerWh, timestamp: iso(at) },
  ],
  sample: ({ transaction, at, registerWh }) => [
    'MeterValues',
    {
      connectorId: 1,
      transactionId: transaction,
      meterValue: [
        {
          timestamp: iso(at),
          sampledValue: readings(registerWh).map(({ value, ...rest }) => ({ ...rest, context, value: String(value) })),
        },
      ],
    },
  ],
  started: ({ transactionId, idTagInfo }) => (accepted(idTagInfo) ? Number(transactionId) : undefined),
};

export const v201: Words = {
  protocol: 'ocpp2.0.1',
  boot: () => [
    'BootNotification',
    { reason: 'PowerUp', chargingStation: { vendorName: 'Bench', model: 'Monitoring 201' } },
  ],
  status: ({ at }) => [
    'StatusNotification',
    { timestamp: iso(at), connectorStatus: 'Occupied', evseId: 1, connectorId: 1 },
  ],
  start: (facts) => [
    'TransactionEvent',
    {
      ...eventOf('Started', 'Authorized', facts),
      evse: { id: 1, connectorId: 1 },
      idToken: { idToken: facts.tag, type: 'ISO14443' },
    },
  ],
  sample: (facts) => [
    'TransactionEvent',
    {
      ...eventOf('Updated', 'MeterValuePeriodic', facts),
      meterValue: [
        {
          timestamp: iso(facts.at),
          sampledValue: readings(facts.registerWh).map(({ unit, ...rest }) => ({
            ...rest,
            context,
            unitOfMeasure: { unit },
          })),
        },
      ],
    },
  ],
  started: ({ idTokenInfo }, { transaction }) => (accepted(idTokenInfo) ? transaction : undefined),
};

const eventOf = (eventType: string, triggerReason: string, { seq, at, transaction }: Facts): Payload => ({
  eventType,
  triggerReason,
  timestamp: iso(at),
  seqNo: seq,
  transactionInfo: { transactionId: transaction, chargingState: 'Charging' },
});
