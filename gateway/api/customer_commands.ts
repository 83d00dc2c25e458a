/** From what people send to what the customer actor takes: SEK as text becomes integers, the rest passes as it is. */
import Type from 'typebox';
import { Compile } from 'typebox/compile';
import { customerAddress } from '#actors/addresses';
import type { CommandResult } from '#engine/wire';
import { customerCommands, customerCommandTypes, type CustomerCommandType } from '../schema/commands.ts';
import { closed } from '../schema/ref.ts';
import { amountE5Sek } from './amounts.ts';
import type { PersonalCommand } from './command_book.ts';
import { badRequest } from './errors.ts';
import { Refused } from './refused.ts';

type Body = Record<string, unknown>;

/** A command for the caller's own account, of a body that has been checked. Throws {@link Refused} `bad_amount`. */
export function customerCommand(
  customer: string,
  id: string,
  type: CustomerCommandType,
  { amount, ...body }: Body,
): PersonalCommand {
  const inside = amount === undefined ? body : { amountE5Sek: amountE5Sek(amount as string) };
  return { id, to: customerAddress(customer), type, body: inside };
}

const validators = new Map(
  customerCommandTypes.map((type) => [type, Compile(Type.Object(customerCommands[type], closed))]),
);

/** The same for a body that nobody has looked at yet; also throws `bad_request`. */
export function checkedCustomerCommand(
  customer: string,
  id: string,
  type: CustomerCommandType,
  body: Body,
): PersonalCommand {
  const validator = validators.get(type);
  if (!validator?.Check(body)) throw badRequest([...(validator?.Errors(body) ?? [])], 'body');
  return customerCommand(customer, id, type, body);
}

/** The reply of an accepted command; a refused one throws {@link Refused} with the code and detail of the actor. */
export function valueOf<Value>(result: CommandResult): Value {
  if (!result.ok) throw new Refused(result.code, result.detail);
  return result.value as Value;
}
