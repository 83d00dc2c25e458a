/** A charger in the words of OCPP 2.0.1: one EVSE with one connector, transactions from authorisation to plug-out. */
import { keyNamed201, type KeyName } from './configuration.ts';
import { sessionOf, type Message, type SessionMemory } from './memory.ts';
import { iso, listOf, objectOf, textOf, type Payload, type Version } from './version.ts';

const evse = { id: 1, connectorId: 1 };
const idTokenOf = (idToken: string) => ({ idToken, type: 'ISO14443' });

const value = (context: string, measurand: string, unit: string, number: number) => ({
  value: number,
  context,
  measurand,
  location: 'Outlet',
  unitOfMeasure: { unit },
});

/** Why the event is sent: what started or ended the transaction, or what made the sample. */
function triggerOf({ kind, reason }: Message, session: SessionMemory): string {
  if (kind === 'start') return session.remoteStart === null ? 'Authorized' : 'RemoteStart';
  if (kind === 'sample') return reason === 'changed' ? 'ChargingStateChanged' : 'MeterValuePeriodic';
  if (reason === 'Remote') return 'RemoteStop';
  if (reason === 'SoftReset' || reason === 'HardReset') return 'ResetCommand';
  return reason === 'Local' ? 'StopAuthorized' : 'EVCommunicationLost';
}

/** Words of 1.6 for the end of a transaction, in 2.0.1. A soft reset waits for no one either when it is immediate. */
const stoppedReasons: Readonly<Record<string, string>> = { SoftReset: 'ImmediateReset', HardReset: 'ImmediateReset' };

const eventTypes = { start: 'Started', sample: 'Updated', stop: 'Ended', status: '' } as const;
const contexts = {
  start: 'Transaction.Begin',
  sample: 'Sample.Periodic',
  stop: 'Transaction.End',
  status: '',
} as const;

export const v201: Version = {
  name: '2.0.1',
  protocol: 'ocpp2.0.1',
  eventful: true,
  anyOrder: true,
  connectors: [1],
  statusName: (status) => (status === 'Available' ? 'Available' : 'Occupied'),

  boot: (identity, reason) => [
    'BootNotification',
    {
      reason,
      chargingStation: {
        vendorName: 'Gridtick',
        model: 'Virtual 201',
        serialNumber: identity.slice(0, 25),
        firmwareVersion: '1.0.0',
      },
    },
  ],

  status: (connectorId, connectorStatus, at) => [
    'StatusNotification',
    { timestamp: iso(at), connectorStatus, evseId: 1, connectorId },
  ],

  card: (tag) => ['Authorize', { idToken: idTokenOf(tag) }],

  message(memory, message) {
    const { kind, at, w, wh, seq, values, offline, reason } = message;
    if (kind === 'status') return v201.status(seq, reason, at);
    const session = sessionOf(memory, message);
    if (session === undefined) throw new Error(`message ${message.n} belongs to no session`);
    const timestamp = iso(at);
    const context = contexts[kind];
    const power = value(context, 'Power.Active.Import', 'W', w);
    const register = value(context, 'Energy.Active.Import.Register', 'Wh', wh);
    const sampledValue = values > 1 ? [power, register] : [register];
    const chargingState = kind === 'stop' ? 'EVConnected' : w > 0 ? 'Charging' : 'SuspendedEV';
    const payload: Payload = {
      eventType: eventTypes[kind],
      timestamp,
      triggerReason: triggerOf(message, session),
      seqNo: seq,
      ...(offline && { offline }),
      transactionInfo: {
        transactionId: session.transaction,
        chargingState: kind === 'stop' && reason === 'EVDisconnected' ? 'Idle' : chargingState,
        ...(kind === 'stop' && { stoppedReason: stoppedReasons[reason] ?? reason }),
        ...(kind === 'start' && session.remoteStart !== null && { remoteStartId: session.remoteStart }),
      },
      ...(kind === 'start' && { evse, idToken: idTokenOf(session.tag) }),
      meterValue: [{ timestamp, sampledValue }],
    };
    return ['TransactionEvent', payload];
  },

  cardStatus: (answer) => textOf(objectOf(answer.idTokenInfo).status),

  orders: {
    RequestStartTransaction(orders, { idToken, remoteStartId, evseId = null }) {
      const id = typeof remoteStartId === 'number' ? remoteStartId : null;
      const accepted = orders.start(textOf(objectOf(idToken).idToken), evseId as number | null, id);
      return { status: accepted ? 'Accepted' : 'Rejected' };
    },
    async RequestStopTransaction(orders, { transactionId }) {
      return { status: (await orders.stop(transactionId)) ? 'Accepted' : 'Rejected' };
    },
    async Reset(orders, { type, evseId }) {
      if (evseId === undefined || evseId === 0) {
        return { status: await orders.reset(type === 'OnIdle' ? 'idle' : 'hard') };
      }
      if (evseId !== 1 || type === 'OnIdle') return { status: 'Rejected' };
      await orders.resetConnector();
      return { status: 'Accepted' };
    },
    async SetVariables(orders, payload) {
      const setVariableResult = [];
      for (const item of listOf(payload.setVariableData).map(objectOf)) {
        const about = asked(item);
        const status = about.refused ?? (await orders.set(about.key, textOf(item.attributeValue)));
        setVariableResult.push({ attributeStatus: status, component: item.component, variable: item.variable });
      }
      return { setVariableResult };
    },
    GetVariables: (orders, payload) => ({
      getVariableResult: listOf(payload.getVariableData)
        .map(objectOf)
        .map((item) => {
          const about = asked(item);
          const { component, variable } = item;
          if (about.refused !== null) return { attributeStatus: about.refused, component, variable };
          return { attributeStatus: 'Accepted', attributeValue: orders.get(about.key), component, variable };
        }),
    }),
    TriggerMessage: (orders, payload) => ({
      status: orders.trigger(textOf(payload.requestedMessage)) ? 'Accepted' : 'NotImplemented',
    }),
  },
};

/** Which key an item of SetVariables or GetVariables is about, or why there is none. */
function asked(item: Payload): { key: KeyName; refused: null } | { refused: string } {
  if (item.attributeType !== undefined && item.attributeType !== 'Actual') {
    return { refused: 'NotSupportedAttributeType' };
  }
  const key = keyNamed201(textOf(objectOf(item.component).name), textOf(objectOf(item.variable).name));
  if (key === 'component') return { refused: 'UnknownComponent' };
  return key === undefined ? { refused: 'UnknownVariable' } : { key, refused: null };
}
