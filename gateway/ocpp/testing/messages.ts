/** Well-formed requests of a charger. */
export const boot = { chargePointVendor: 'Acme', chargePointModel: 'Wall 11', firmwareVersion: '1.4.2' };

/** Four sampled values, the usual shape of a periodic sample. */
export const meterValues = (timestamp = '2026-03-01T12:00:00.000Z') => ({
  connectorId: 1,
  transactionId: 33_554_433,
  meterValue: [
    {
      timestamp,
      sampledValue: [
        { value: '11040', measurand: 'Power.Active.Import', unit: 'W' },
        { value: '123456', measurand: 'Energy.Active.Import.Register', unit: 'Wh' },
        { value: '16.0', measurand: 'Current.Import', unit: 'A', phase: 'L1' },
        { value: '230.1', measurand: 'Voltage', unit: 'V', phase: 'L1-N' },
      ],
    },
  ],
});

export const status = (value = 'Available', timestamp = '2026-03-01T12:00:00Z') => ({
  connectorId: 1,
  errorCode: 'NoError',
  status: value,
  timestamp,
});
export const start = { connectorId: 1, idTag: 'DEMO0001', meterStart: 1_000, timestamp: '2026-03-01T12:00:00Z' };
export const stop = {
  transactionId: 33_554_433,
  idTag: 'DEMO0001',
  meterStop: 8_000,
  timestamp: '2026-03-01T12:00:04Z',
};
