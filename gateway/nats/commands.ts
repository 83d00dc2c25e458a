/** What an integrator may send to a customer, and the checks of one command before it goes into the log. */
import Type, { type TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import {
  CustomerDeposit,
  CustomerWithdraw,
  OrderBuy,
  OrderCancel,
  OrderCommit,
  OrderQuote,
  OrderSell,
  OrderStop,
} from '#actors/schema/customer_commands';
import { tradeCommands, tradeSchemas, type TradeCommand } from '#actors/customer_trading';
import type { IntegratorCommand, IntegratorScope } from '#engine/log/mod';
import type { Limits } from './limits.ts';
import { isFields } from './payload.ts';
import { refusal, type Refusal } from './refusal.ts';

interface Definition {
  body: TSchema;
  /** Changes nothing, so it needs no id and keeps no result. */
  read?: true;
  /** The door adds a quote, null when there is none. */
  quoted?: true;
}

const tradeReads: readonly TradeCommand[] = ['trade.quote', 'trade.displaySummary'];
/** Quotes and the rules of a book are the door's: nobody names a price of their own. */
const doorFields = ['quote', 'rules'];

function tradeDefinition(type: TradeCommand): Definition {
  const properties: Record<string, TSchema> = tradeSchemas[type].properties;
  const asked = Object.entries(properties).filter(([name]) => !doorFields.includes(name));
  return {
    body: Type.Object(Object.fromEntries(asked), { additionalProperties: false }),
    ...(tradeReads.includes(type) && { read: true }),
    ...('quote' in properties && { quoted: true }),
  };
}
const tradeDefinitions = Object.fromEntries(tradeCommands.map((type) => [type, tradeDefinition(type)])) as Record<
  TradeCommand,
  Definition
>;

export const definitions: Record<IntegratorCommand, Definition> = {
  'customer.deposit': { body: CustomerDeposit },
  'customer.withdraw': { body: CustomerWithdraw },
  'order.quote': { body: OrderQuote, read: true },
  'order.buy': { body: OrderBuy },
  'order.sell': { body: OrderSell },
  'order.commit': { body: OrderCommit },
  'order.cancel': { body: OrderCancel },
  'order.stop': { body: OrderStop },
  ...tradeDefinitions,
};

const table = new Map(
  Object.entries(definitions).map(([type, { body, read = false, quoted = false }]) => [
    type,
    { validator: Compile(body), read, quoted },
  ]),
);

export interface Checked {
  ok: true;
  /** As in the log: the integrator's own ids never meet those of others. Null for reads. */
  id: string | null;
  type: string;
  body: Record<string, unknown>;
  timeoutMs: number;
  isQuoted: boolean;
}

const uuid = /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/i;
const series = /^[\w-]{1,64}:[1-9]\d{0,14}$/;
/** Engines know a series by its first 64 characters at most. */
const seriesNameMax = 64;

/** An id as it stands in the log: `<integrator>/<id>`; undefined when it has neither form. */
export function logId(user: string, id: string): string | undefined {
  if (uuid.test(id)) return `${user}/${id.toLowerCase()}`;
  if (!series.test(id) || user.length + 1 + id.lastIndexOf(':') > seriesNameMax) return undefined;
  return `${user}/${id}`;
}

export const idRule =
  'a UUID, or <series>:<n> with n dense from 1; integrator and series together at most 63 characters';

/** Amounts are whole öre, as everywhere that money comes in. */
const öreE5Sek = 1_000;

export function checkCommand(given: unknown, scope: IntegratorScope, limits: Limits): Checked | Refusal {
  const wrong = (field: string, reason: string) => refusal('bad_request', { in: 'command', field, reason });
  if (!isFields(given)) return wrong('', 'must be an object');
  const { id = null, type, body, timeoutMs = limits.timeoutMs, ...more } = given;
  const [unknown] = Object.keys(more);
  if (unknown !== undefined) return wrong(`/${unknown.slice(0, 64)}`, 'is unknown');
  if (typeof type !== 'string') return wrong('/type', 'must be a string');
  const definition = table.get(type);
  if (definition === undefined) return refusal('unknown_command', { type: type.slice(0, 64) });
  if (!(scope.commands as readonly string[]).includes(type)) return refusal('scope_missing', { command: type });
  if (!Number.isSafeInteger(timeoutMs) || (timeoutMs as number) < 1 || (timeoutMs as number) > limits.timeoutMsMax)
    return wrong('/timeoutMs', `must be an integer from 1 to ${limits.timeoutMsMax}`);
  if (!(typeof id === 'string' || (id === null && definition.read))) return wrong('/id', `must be ${idRule}`);
  const inLog = id === null ? null : logId(scope.user, id);
  if (inLog === undefined) return wrong('/id', `must be ${idRule}`);
  if (!isFields(body)) return wrong('/body', 'must be an object');
  if (!definition.validator.Check(body)) {
    const [first] = definition.validator.Errors(body);
    const field = first?.instancePath ?? '';
    if (field === '/amountE5Sek') return refusal('bad_amount', { field, reason: first?.message });
    return refusal('bad_request', { in: 'body', field, reason: first?.message ?? 'invalid', ...first?.params });
  }
  const amount = body['amountE5Sek'];
  if (typeof amount === 'number' && amount % öreE5Sek !== 0)
    return refusal('bad_amount', { field: '/amountE5Sek', reason: `must be a multiple of ${öreE5Sek}` });
  // The log of everybody is nobody's own.
  if (body['all'] === true && scope.customers !== 'all') return refusal('scope_missing', { command: type });
  return {
    ok: true,
    id: definition.read ? null : inLog,
    type,
    body,
    timeoutMs: timeoutMs as number,
    isQuoted: definition.quoted,
  };
}
