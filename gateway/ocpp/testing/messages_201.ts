/** Well-formed requests of a charger of OCPP 2.0.1. */
export const boot201 = {
  reason: 'PowerUp',
  chargingStation: { vendorName: 'Acme', model: 'Wall 22', serialNumber: 'S-1', firmwareVersion: '2.0.0' },
};
export const status201 = (connectorStatus = 'Available', timestamp = '2026-03-01T12:00:00Z') => ({
  ...{ timestamp, connectorStatus, evseId: 1, connectorId: 1 },
});
export const token201 = { idToken: 'DEMO0001', type: 'ISO14443' };

/** The register of a meter, Wh. */
export const register201 = (value: number, timestamp = '2026-03-01T12:00:00Z', context = 'Sample.Periodic') => ({
  timestamp,
  sampledValue: [
    { value, context, measurand: 'Energy.Active.Import.Register', unitOfMeasure: { unit: 'Wh', multiplier: 0 } },
  ],
});

type EventType = 'Started' | 'Updated' | 'Ended';
const triggers: Record<EventType, string> = {
  Started: 'CablePluggedIn',
  Updated: 'MeterValuePeriodic',
  Ended: 'EVDeparted',
};
export const event201 = (eventType: EventType, seqNo = 0, more: object = {}) => ({
  eventType,
  seqNo,
  timestamp: '2026-03-01T12:00:00Z',
  triggerReason: triggers[eventType],
  transactionInfo: { transactionId: 'tx-1' },
  ...(eventType === 'Started' ? { evse: { id: 1, connectorId: 1 } } : {}),
  ...more,
});
