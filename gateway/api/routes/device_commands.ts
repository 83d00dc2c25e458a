/** Commands to a charger: ask for one, look at what became of the last ones, take one back that was not sent yet. */
import { Compile } from 'typebox/compile';
import { deviceCommandAddress } from '#actors/addresses';
import { DeviceCommandView, type DeviceCommandState, type DeviceOrder } from '#actors/schema/device_commands';
import type { Grid } from '../../live/grid.ts';
import { deviceCommandView } from '../../live/device_commands.ts';
import { orderProblem } from '../../ocpp/mod.ts';
import {
  DeviceCommandCancel,
  DeviceCommandParams,
  DeviceCommandRequest,
  deviceCommandRequests,
  DeviceCommandsQuery,
  DeviceCommandsReply,
} from '../../schema/device_commands.ts';
import { ChargerParams } from '../../schema/history.ts';
import { ref } from '../../schema/ref.ts';
import { principalOf } from '../access.ts';
import { valueOf } from '../customer_commands.ts';
import { Refused } from '../refused.ts';
import { failures, type ApiScope } from '../scope.ts';
import { validatorCompiler } from '../validation.ts';
import { positionHeader, writing, type CommandDeps } from '../writing.ts';

const validators = new Map<unknown, ReturnType<typeof Compile>>(
  Object.entries(deviceCommandRequests).map(([kind, schema]) => [kind, Compile(schema)]),
);
const noKind = [{ instancePath: '/kind', message: 'no such kind of command', params: {} }];

/** A request by the schema of its own kind, so that a refusal names the field that is wrong. */
const requestValidator: typeof validatorCompiler = (route) => {
  if (route.httpPart !== 'body') return validatorCompiler(route);
  return (value: unknown) => {
    const kind = typeof value === 'object' && value !== null ? (value as { kind?: unknown }).kind : undefined;
    const validator = validators.get(kind);
    if (validator?.Check(value)) return { value };
    const errors = validator ? validator.Errors(value) : noKind;
    return {
      error: errors.map(({ instancePath, message, params }) => ({
        ...{ instancePath, message, params, keyword: '', schemaPath: '' },
      })),
    };
  };
};

export function deviceCommandRoutes(app: ApiScope, grid: Grid, deps: CommandDeps): void {
  const chargerOf = (charger: string) => {
    const found = grid.charger(charger);
    if (found === undefined) throw new Refused('unknown_charger', { charger });
    return found;
  };

  app.post(
    '/api/chargers/:id/commands',
    {
      ...writing(deps, 'control_charger'),
      validatorCompiler: requestValidator,
      schema: {
        tags: ['chargers'],
        summary: 'Ask a charger for something; one that is offline gets it when it is back, if that is soon enough',
        params: ChargerParams,
        body: DeviceCommandRequest,
        response: { 202: ref(DeviceCommandView), ...failures },
      },
    },
    async (request, reply) => {
      const { id: given, kind, ...args } = request.body;
      const id = given.toLowerCase();
      const { user } = principalOf(request);
      const { id: charger, context } = chargerOf(request.params.id);
      const order = { kind, arguments: args } as unknown as DeviceOrder;
      const problem = orderProblem(context.connection?.protocol ?? null, order);
      if (problem) throw new Refused(problem.code, { in: 'body', field: problem.field, reason: problem.reason });
      const taken = grid.replica.get<DeviceCommandState>('device_command', id)?.context.charger;
      if (taken !== undefined && taken !== charger) throw new Refused('id_conflict', { id });
      const command = {
        ...{ id, to: deviceCommandAddress(context.site, id), type: 'command.request' },
        body: { charger, requestedBy: user, ...order },
      };
      const result = await deps.book.send(user, command, request.id);
      positionHeader(reply, result);
      const view = valueOf<DeviceCommandView>(result);
      // The result that is stored under the id may be that of somebody else's command.
      if (view.requestedBy !== user || view.charger !== charger) throw new Refused('id_conflict', { id });
      return reply.code(202).send(view);
    },
  );

  app.get(
    '/api/chargers/:id/commands',
    {
      config: { access: 'view_charger' },
      schema: {
        tags: ['chargers'],
        summary: 'Commands to a charger of the last week, newest first',
        params: ChargerParams,
        querystring: DeviceCommandsQuery,
        response: { 200: ref(DeviceCommandsReply), ...failures },
      },
    },
    async (request) => {
      const { id } = chargerOf(request.params.id);
      const rows = grid.commandsOf(id).slice(0, request.query.limit ?? 50);
      return { rows: rows.map(deviceCommandView) };
    },
  );

  app.post(
    '/api/chargers/:id/commands/:command/cancel',
    {
      ...writing(deps, 'control_charger'),
      schema: {
        tags: ['chargers'],
        summary: 'Take back a command that was not sent yet',
        params: DeviceCommandParams,
        body: DeviceCommandCancel,
        response: { 200: ref(DeviceCommandView), ...failures },
      },
    },
    async (request, reply) => {
      const { id: charger, context } = chargerOf(request.params.id);
      const to = deviceCommandAddress(context.site, request.params.command.toLowerCase());
      const command = { id: request.body.id, to, type: 'command.cancel', body: { charger } };
      const result = await deps.book.send(principalOf(request).user, command, request.id);
      positionHeader(reply, result);
      return valueOf<DeviceCommandView>(result);
    },
  );
}
