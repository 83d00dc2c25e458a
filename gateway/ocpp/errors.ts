/**
 * Error codes on the wire, made by ourselves: ocpp-rpc swaps the two spellings of "occurrence" between the versions and
 * echoes the whole payload in its details.
 */

/** Codes of OCPP-J in the spelling of 2.0.1; a version may spell some of them differently. */
export type ErrorCode =
  | 'NotImplemented'
  | 'NotSupported'
  | 'InternalError'
  | 'ProtocolError'
  | 'SecurityError'
  | 'FormatViolation'
  | 'PropertyConstraintViolation'
  | 'OccurrenceConstraintViolation'
  | 'TypeConstraintViolation'
  | 'GenericError'
  /** Since 2.0.1 only. */
  | 'MessageTypeNotSupported'
  | 'RpcFrameworkError';

export type ErrorNames = Readonly<Partial<Record<ErrorCode, string>>>;

export interface CallError {
  code: ErrorCode;
  /** At most 255 characters on the wire. */
  description: string;
  /** Where and which rule, never what the charger sent. */
  details?: { path: string; rule: string };
}

/** The frame of a CALLERROR; `idText` is the message id as JSON, `names` how the version spells the codes. */
export const callErrorText = (idText: string, { code, description, details }: CallError, names: ErrorNames): string =>
  `[4,${idText},"${names[code] ?? code}",${JSON.stringify(description.slice(0, 255))},${details ? JSON.stringify(details) : '{}'}]`;
