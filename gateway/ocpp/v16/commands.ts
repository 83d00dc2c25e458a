/** OCPP 1.6: RemoteStartTransaction, RemoteStopTransaction, Reset, ChangeConfiguration, GetConfiguration. */
import type { ConfigValue, DeviceAnswer, DeviceOrder } from '#actors/schema/device_commands';
import { badAnswer, foldStatus, secretProblem, statusAnswer, type Outbound, type OutboundCall } from '../outbound.ts';
import { isValidAnswer, requestCheck } from './validation.ts';

const actions = [
  'RemoteStartTransaction',
  'RemoteStopTransaction',
  'Reset',
  'ChangeConfiguration',
  'GetConfiguration',
] as const;
const checks = new Map(actions.map((action) => [action as string, requestCheck(action)]));

/** Its words for how it takes a command. */
const outcomes: Readonly<Record<string, DeviceAnswer['outcome']>> = {
  Accepted: 'accepted',
  RebootRequired: 'reboot_required',
  Rejected: 'rejected',
  NotSupported: 'not_supported',
};
const statusWords = Object.keys(outcomes);

/** What is asked for the first time, and what is read back of a setting. */
function callOf(order: DeviceOrder, reads: boolean): OutboundCall {
  switch (order.kind) {
    case 'session.requestStart': {
      const { connector, tag } = order.arguments;
      return { action: 'RemoteStartTransaction', payload: { connectorId: connector, idTag: tag } };
    }
    case 'session.requestStop':
      return { action: 'RemoteStopTransaction', payload: { transactionId: order.arguments.transaction } };
    case 'charger.reset':
      return { action: 'Reset', payload: { type: order.arguments.mode === 'hard' ? 'Hard' : 'Soft' } };
    case 'config.set': {
      const { key, value } = order.arguments;
      return reads
        ? { action: 'GetConfiguration', payload: { key: [key] } }
        : { action: 'ChangeConfiguration', payload: { key, value } };
    }
    case 'config.get':
      return { action: 'GetConfiguration', payload: { key: order.arguments.keys } };
    default:
      return order satisfies never;
  }
}

interface Configuration {
  configurationKey?: { key: string; readonly: boolean; value?: string }[];
  unknownKey?: string[];
}

/** Chargers may tell more than was asked for; only that is kept. */
function configuration({ configurationKey = [], unknownKey = [] }: Configuration, keys: readonly string[]) {
  const asked = (key: string) => keys.some((wanted) => wanted.toLowerCase() === key.toLowerCase());
  const values: ConfigValue[] = configurationKey
    .filter(({ key }) => asked(key))
    .slice(0, keys.length)
    .map(({ key, readonly, value }) => ({ key, value: value ?? null, readonly }));
  const told = (key: string) => values.some((value) => value.key.toLowerCase() === key.toLowerCase());
  // What it neither tells nor names as unknown it does not have either.
  return { values, unknown: keys.filter((key) => !told(key) || unknownKey.includes(key)) };
}

export const outbound16: Outbound = {
  call(write) {
    const call = callOf(write as unknown as DeviceOrder, write.call === 'read');
    return checks.get(call.action)?.(call.payload) === null ? call : null;
  },
  answer(write, payload) {
    const order = write as unknown as DeviceOrder;
    const { action } = callOf(order, write.call === 'read');
    const repaired = foldStatus(payload, 'status', statusWords);
    if (!isValidAnswer(action, repaired)) return badAnswer(`the answer to ${action} does not satisfy its schema`);
    if (action === 'GetConfiguration') {
      const keys = order.kind === 'config.get' ? order.arguments.keys : [(order.arguments as { key: string }).key];
      return statusAnswer('accepted', 'Accepted', configuration(repaired as Configuration, keys));
    }
    const { status } = repaired as { status: string };
    return statusAnswer(outcomes[status] ?? 'rejected', status);
  },
  keyProblem: (key) => (key.length > 50 ? 'names of OCPP 1.6 have at most 50 characters' : secretProblem(key)),
  valueMax: 500,
  tagMax: 20,
};
