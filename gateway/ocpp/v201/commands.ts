/** OCPP 2.0.1: RequestStartTransaction, RequestStopTransaction, Reset, SetVariables, GetVariables. */
import { remoteStartIdOf } from '#actors/device_command_rules';
import type { CommandWrite, DeviceAnswer, DeviceOrder } from '#actors/schema/device_commands';
import { badAnswer, foldStatus, secretProblem, statusAnswer, type Outbound, type OutboundCall } from '../outbound.ts';
import { isValidAnswer, requestCheck } from './validation.ts';
import { variableOf, type Variable } from './variable.ts';

const actions = ['RequestStartTransaction', 'RequestStopTransaction', 'Reset', 'SetVariables', 'GetVariables'] as const;
const checks = new Map(actions.map((action) => [action as string, requestCheck(action)]));

/** Its words for how it takes a command or a setting. `Scheduled`: it resets once its transactions have ended. */
const outcomes: Readonly<Record<string, DeviceAnswer['outcome']>> = {
  Accepted: 'accepted',
  Scheduled: 'accepted',
  RebootRequired: 'reboot_required',
  Rejected: 'rejected',
  UnknownComponent: 'rejected',
  UnknownVariable: 'rejected',
  NotSupportedAttributeType: 'not_supported',
};
const statusWords = Object.keys(outcomes);

/** Its own name for the connectors that OCPP 1.6 numbers: EVSE n. */
function callOf(write: CommandWrite): OutboundCall | null {
  const order = write as unknown as DeviceOrder;
  switch (order.kind) {
    case 'session.requestStart': {
      const { connector, tag } = order.arguments;
      const idToken = { idToken: tag, type: 'Central' };
      const remoteStartId = remoteStartIdOf(write.command);
      return { action: 'RequestStartTransaction', payload: { evseId: connector, remoteStartId, idToken } };
    }
    case 'session.requestStop': {
      const transactionId = write.transactionId ?? String(order.arguments.transaction);
      return { action: 'RequestStopTransaction', payload: { transactionId } };
    }
    case 'charger.reset':
      return { action: 'Reset', payload: { type: order.arguments.mode === 'hard' ? 'Immediate' : 'OnIdle' } };
    case 'config.set': {
      const variable = variableOf(order.arguments.key);
      if (variable === null) return null;
      if (write.call === 'read') return reading([variable]);
      const setVariableData = [{ attributeValue: order.arguments.value, ...variable }];
      return { action: 'SetVariables', payload: { setVariableData } };
    }
    case 'config.get': {
      const variables = order.arguments.keys.map(variableOf);
      return variables.some((variable) => variable === null) ? null : reading(variables as Variable[]);
    }
    default:
      return order satisfies never;
  }
}

const reading = (getVariableData: Variable[]): OutboundCall => ({
  action: 'GetVariables',
  payload: { getVariableData },
});

interface Status {
  status: string;
  statusInfo?: { reasonCode: string; additionalInfo?: string };
}
interface VariableResult {
  attributeStatus: string;
  attributeValue?: string;
  attributeStatusInfo?: Status['statusInfo'];
}

const why = (info: Status['statusInfo']) =>
  info ? { description: [info.reasonCode, info.additionalInfo ?? ''].join(' ').trim().slice(0, 255) } : {};

/** The results of `list`, each with the status in its right spelling. */
function results(payload: unknown, list: string): unknown {
  if (typeof payload !== 'object' || payload === null || !(list in payload)) return payload;
  const items = (payload as Record<string, unknown>)[list];
  if (!Array.isArray(items)) return payload;
  return { ...payload, [list]: items.map((item) => foldStatus(item, 'attributeStatus', statusWords)) };
}

export const outbound201: Outbound = {
  call(write) {
    const call = callOf(write);
    return call && checks.get(call.action)?.(call.payload) === null ? call : null;
  },
  answer(write, payload) {
    const { action } = callOf(write)!;
    const list = action === 'SetVariables' ? 'setVariableResult' : 'getVariableResult';
    const repaired = results(foldStatus(payload, 'status', statusWords), list);
    if (!isValidAnswer(action, repaired)) return badAnswer(`the answer to ${action} does not satisfy its schema`);
    if (action !== 'SetVariables' && action !== 'GetVariables') {
      const { status, statusInfo } = repaired as Status;
      return statusAnswer(outcomes[status] ?? 'rejected', status, why(statusInfo));
    }
    const found = (repaired as Record<string, VariableResult[]>)[list]!;
    const keys = keysOf(write);
    if (found.length !== keys.length) return badAnswer(`${found.length} results for ${keys.length} variables`);
    if (action === 'SetVariables') {
      const [{ attributeStatus, attributeStatusInfo } = found[0]!] = found;
      return statusAnswer(outcomes[attributeStatus] ?? 'rejected', attributeStatus, why(attributeStatusInfo));
    }
    // In the order in which they were asked for (OCPP 2.0.1 part 2, B06.FR.15).
    const told = keys.map((key, i) => ({ key, result: found[i]! }));
    return statusAnswer('accepted', 'Accepted', {
      values: told
        .filter(({ result }) => result.attributeStatus === 'Accepted')
        .map(({ key, result }) => ({ key, value: result.attributeValue ?? null, readonly: null })),
      unknown: told.filter(({ result }) => result.attributeStatus !== 'Accepted').map(({ key }) => key),
    });
  },
  keyProblem: (key) =>
    secretProblem(key) ?? (variableOf(key) === null ? 'settings of OCPP 2.0.1 are called Component.Variable' : null),
  valueMax: 1_000,
  tagMax: 36,
};

const keysOf = ({ kind, arguments: args }: CommandWrite): string[] =>
  kind === 'config.get' ? (args['keys'] as string[]) : [args['key'] as string];
