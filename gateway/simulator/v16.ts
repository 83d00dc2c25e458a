/** A charger in the words of OCPP 1.6. */
import { judge, keyNamed16, keys, keysOf } from './configuration.ts';
import { sessionOf } from './memory.ts';
import { iso, listOf, objectOf, textOf, type Version } from './version.ts';

const value = (measurand: string, unit: string, number: number) => ({
  value: String(number),
  context: 'Sample.Periodic',
  measurand,
  location: 'Outlet',
  unit,
});

export const v16: Version = {
  name: '1.6',
  protocol: 'ocpp1.6',
  eventful: false,
  anyOrder: false,
  connectors: [0, 1],
  statusName: (status) => status,

  boot: (identity) => [
    'BootNotification',
    {
      chargePointVendor: 'Gridtick',
      chargePointModel: 'Virtual 16',
      chargePointSerialNumber: identity.slice(0, 25),
      firmwareVersion: '1.0.0',
    },
  ],

  status: (connectorId, status, at) => [
    'StatusNotification',
    { connectorId, status, errorCode: 'NoError', timestamp: iso(at) },
  ],

  card: (idTag) => ['Authorize', { idTag }],

  message(memory, message) {
    if (message.kind === 'status') return v16.status(message.seq, message.reason, message.at);
    const session = sessionOf(memory, message);
    if (session === undefined) throw new Error(`message ${message.n} belongs to no session`);
    const timestamp = iso(message.at);
    if (message.kind === 'start') {
      return ['StartTransaction', { connectorId: 1, idTag: session.tag, meterStart: message.wh, timestamp }];
    }
    // −1: the start was refused for good, so no id will ever be known (errata: a charger then sends an id of its own).
    const transactionId = session.transaction ?? -1;
    if (message.kind === 'stop') {
      const { wh: meterStop, reason } = message;
      return ['StopTransaction', { transactionId, idTag: session.tag, meterStop, timestamp, reason }];
    }
    const sampledValue = [
      value('Power.Active.Import', 'W', message.w),
      value('Energy.Active.Import.Register', 'Wh', message.wh),
    ];
    return ['MeterValues', { connectorId: 1, transactionId, meterValue: [{ timestamp, sampledValue }] }];
  },

  cardStatus: (answer) => textOf(objectOf(answer.idTagInfo).status),

  orders: {
    RemoteStartTransaction(orders, { connectorId = null, idTag }) {
      const accepted = orders.start(textOf(idTag), connectorId as number | null, null);
      return { status: accepted ? 'Accepted' : 'Rejected' };
    },
    async RemoteStopTransaction(orders, { transactionId }) {
      return { status: (await orders.stop(transactionId)) ? 'Accepted' : 'Rejected' };
    },
    async Reset(orders, { type }) {
      await orders.reset(type === 'Hard' ? 'hard' : 'soft');
      return { status: 'Accepted' };
    },
    async ChangeConfiguration(orders, payload) {
      const key = keyNamed16(textOf(payload.key));
      if (key === undefined) return { status: 'NotSupported' };
      return { status: await orders.set(key, textOf(payload.value)) };
    },
    GetConfiguration(orders, payload) {
      const asked = listOf(payload.key).map(textOf);
      const known = asked.length === 0 ? keysOf('v16').map(([name]) => name) : asked.map(keyNamed16);
      const configurationKey = known
        .filter((name) => name !== undefined)
        .map((name) => ({
          key: keys[name].v16,
          readonly: judge(name, orders.get(name)) === 'Rejected',
          value: orders.get(name),
        }));
      const unknownKey = asked.filter((name) => keyNamed16(name) === undefined);
      return { configurationKey, ...(unknownKey.length > 0 && { unknownKey }) };
    },
    TriggerMessage: (orders, payload) => ({
      status: orders.trigger(textOf(payload.requestedMessage)) ? 'Accepted' : 'NotImplemented',
    }),
  },
};
