/** What is different from one OCPP version to the other, in one table. */
import type { Action } from './action.ts';
import type { ErrorNames } from './errors.ts';
import type { Outbound } from './outbound.ts';
import type { Version } from './subprotocol.ts';
import * as v16 from './v16/actions.ts';
import { outbound16 } from './v16/commands.ts';
import { validator as validator16 } from './v16/validation.ts';
import * as v201 from './v201/actions.ts';
import { outbound201 } from './v201/commands.ts';
import { validator as validator201 } from './v201/validation.ts';
import type { Validator } from './validation.ts';

export interface OcppVersion {
  /** As people write it. */
  label: string;
  actions: ReadonlyMap<string, Action>;
  /** Commands to chargers. */
  outbound: Outbound;
  /** Actions of the version whose feature is off: another answer than for a name nobody knows. */
  unsupported: ReadonlySet<string>;
  /** Error codes that it spells in its own way. */
  errorNames: ErrorNames;
  /** Whether frames that are no CALL of any kind are answered by an error, with the id -1 where they have none. */
  answersOddFrames: boolean;
  /** Strict schemas for our calls. */
  validator: Validator;
}

export const versions: Readonly<Record<Version, OcppVersion>> = {
  'ocpp1.6': {
    label: 'OCPP 1.6',
    actions: v16.actions,
    outbound: outbound16,
    unsupported: v16.unsupported,
    errorNames: {
      FormatViolation: 'FormationViolation',
      // So misspelt in OCPP-J 1.6, table 7.
      OccurrenceConstraintViolation: 'OccurenceConstraintViolation',
    },
    answersOddFrames: false,
    validator: validator16,
  },
  'ocpp2.0.1': {
    label: 'OCPP 2.0.1',
    actions: v201.actions,
    outbound: outbound201,
    unsupported: v201.unsupported,
    errorNames: {},
    answersOddFrames: true,
    validator: validator201,
  },
};
