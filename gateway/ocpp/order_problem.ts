/** What can be told of a command before it is taken in: whether the charger's version has words for it. */
import type { DeviceOrder } from '#actors/schema/device_commands';
import type { Outbound } from './outbound.ts';
import { outbound16 } from './v16/commands.ts';
import { outbound201 } from './v201/commands.ts';

export interface OrderProblem {
  code: 'bad_key' | 'bad_request';
  field: string;
  reason: string;
}

const outbounds: Readonly<Record<string, Outbound>> = { 'ocpp1.6': outbound16, 'ocpp2.0.1': outbound201 };

function problemIn(outbound: Outbound, order: DeviceOrder): OrderProblem | null {
  switch (order.kind) {
    case 'session.requestStart':
      if (order.arguments.tag.length <= outbound.tagMax) return null;
      return {
        code: 'bad_request',
        field: '/tag',
        reason: `tags of this charger have at most ${outbound.tagMax} characters`,
      };
    case 'config.set': {
      const reason = outbound.keyProblem(order.arguments.key);
      if (reason !== null) return { code: 'bad_key', field: '/key', reason };
      if (order.arguments.value.length <= outbound.valueMax) return null;
      return { code: 'bad_request', field: '/value', reason: `values have at most ${outbound.valueMax} characters` };
    }
    case 'config.get':
      for (const [i, key] of order.arguments.keys.entries()) {
        const reason = outbound.keyProblem(key);
        if (reason !== null) return { code: 'bad_key', field: `/keys/${i}`, reason };
      }
      return null;
    default:
      return null;
  }
}

/** `protocol` null: nobody knows how the charger will speak, so only what no version can say is a problem. */
export function orderProblem(protocol: string | null, order: DeviceOrder): OrderProblem | null {
  const known = protocol === null ? undefined : outbounds[protocol];
  const problems = (known ? [known] : Object.values(outbounds)).map((outbound) => problemIn(outbound, order));
  return problems.includes(null) ? null : (problems[0] ?? null);
}
