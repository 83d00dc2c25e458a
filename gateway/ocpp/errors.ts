/**
 * Error codes on the wire, made by ourselves: ocpp-rpc swaps the two spellings of "occurrence" between the versions and
 * echoes the whole payload in its details.
 */

/** Codes of OCPP-J 1.6, spelled as that version does. */
export type ErrorCode =
  | 'NotImplemented'
  | 'NotSupported'
  | 'InternalError'
  | 'ProtocolError'
  | 'SecurityError'
  | 'FormationViolation'
  | 'PropertyConstraintViolation'
  | 'OccurenceConstraintViolation'
  | 'TypeConstraintViolation'
  | 'GenericError';

export interface CallError {
  code: ErrorCode;
  /** At most 255 characters on the wire. */
  description: string;
  /** Where and which rule, never what the charger sent. */
  details?: { path: string; rule: string };
}

/** The frame of a CALLERROR; `idText` is the message id as JSON. */
export const callErrorText = (idText: string, { code, description, details }: CallError): string =>
  `[4,${idText},"${code}",${JSON.stringify(description.slice(0, 255))},${details ? JSON.stringify(details) : '{}'}]`;
