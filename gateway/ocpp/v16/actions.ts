/**
 * OCPP 1.6: each action of a charger, the fact it becomes in the domain, and the answer the charger gets.
 *
 * Nothing is decided here. `here` answers from the clock, `appended` once the log holds the fact, `decided` with what
 * the charger's actor committed.
 */
import type {
  BootedReply,
  ConnectorStatusBody,
  EndedReply,
  MeterSampledBody,
  SessionEndedBody,
  SessionStartedBody,
  StartedReply,
  TokenReply,
} from '#actors/schema/commands';
import type { Sample } from '#actors/schema/events';
import { bootOf, defineBy, fact, fields, heartbeat, iso, text, time, type Action } from '../action.ts';
import { contentKey } from '../content_key.ts';
import { repairMeterValues } from '../repairs/meter_values.ts';
import type { Notes } from '../repairs/notes.ts';
import { repairInteger, repairOptionalInteger, repairOptionalString, repairString } from '../repairs/numbers.ts';
import { repairTime } from '../repairs/time.ts';
import { requestCheck } from './validation.ts';

interface MeterEntry {
  timestamp: string;
  sampledValue: { value: string; measurand: string; phase?: string; location: string; context: string; unit: string }[];
}

/** Flattens meter values; `lines` collects what their content key is made of. */
function samplesOf(entries: unknown, notes: Notes, message: string): { samples: Sample[]; lines: string } {
  const samples: Sample[] = [];
  let lines = '';
  (entries as MeterEntry[]).forEach((entry, i) => {
    const { at, raw } = notes.sampleTimes[i] ?? notes.time;
    for (const { measurand, phase = '', location, context, unit, value } of entry.sampledValue) {
      samples.push({ at, measurand, phase, location, context, unit, value });
      lines += `${raw || message}\t${measurand}\t${phase}\t${location}\t${context}\t${unit}\t${value}\n`;
    }
  });
  return { samples, lines };
}

/** OCPP 1.6 has no words for these two. */
const words: Partial<Record<TokenReply['status'], string>> = { Unknown: 'Invalid', NoCredit: 'Blocked' };

const idTagInfo = (token: TokenReply): Record<string, string> => ({
  status: words[token.status] ?? token.status,
  ...(token.expiresAt === null ? {} : { expiryDate: iso(token.expiresAt) }),
  ...(token.group === null ? {} : { parentIdTag: token.group }),
});

const define = defineBy(requestCheck);

export const actions: ReadonlyMap<string, Action> = new Map([
  define('BootNotification', {
    answered: 'decided',
    type: 'charger.booted',
    repair: fields((p, notes) => {
      for (const field of ['chargePointVendor', 'chargePointModel']) repairString(p, field, notes);
      for (const field of [
        'chargePointSerialNumber',
        'chargeBoxSerialNumber',
        'firmwareVersion',
        'iccid',
        'imsi',
        'meterType',
        'meterSerialNumber',
      ])
        repairOptionalString(p, field, notes);
    }),
    body(p, notes, o) {
      const [vendor, model] = [text(p['chargePointVendor']), text(p['chargePointModel'])];
      const serial = text(p['chargePointSerialNumber'] ?? p['chargeBoxSerialNumber']);
      const firmware = text(p['firmwareVersion']);
      return bootOf({ vendor, model, serial, firmware }, notes, o);
    },
    answer(value, now) {
      const { status, intervalS } = value as BootedReply;
      return JSON.stringify({ status, currentTime: iso(now), interval: intervalS });
    },
  }),

  define('Heartbeat', heartbeat),

  define('StatusNotification', {
    answered: 'appended',
    type: 'connector.status',
    repair: fields((p, notes) => {
      repairInteger(p, 'connectorId', notes);
      for (const field of ['info', 'vendorId', 'vendorErrorCode']) repairOptionalString(p, field, notes);
      notes.time = repairTime(p, 'timestamp', notes, false);
    }),
    body(p, notes, o) {
      const [connector, status, errorCode] = [p['connectorId'] as number, text(p['status']), text(p['errorCode'])];
      const key = contentKey.status(
        o.charger,
        connector,
        notes.time.raw,
        status,
        errorCode,
        `${o.connectionSeq} ${o.idText}`,
      );
      const body: ConnectorStatusBody = {
        ...fact(key, notes, o),
        ...time(notes),
        connector,
        status,
        errorCode,
        info: text(p['info']),
        vendorErrorCode: text(p['vendorErrorCode']),
      };
      return body;
    },
    answer: () => '{}',
  }),

  define('Authorize', {
    answered: 'decided',
    type: 'token.presented',
    short: true,
    repair: fields((p, notes) => repairString(p, 'idTag', notes)),
    body(p, notes, o) {
      const tag = text(p['idTag']);
      return { ...fact(contentKey.message('token', o.charger, o.connectionSeq, o.idText, tag), notes, o), tag };
    },
    answer: (value) => JSON.stringify({ idTagInfo: idTagInfo(value as TokenReply) }),
  }),

  define('StartTransaction', {
    answered: 'decided',
    type: 'session.started',
    repair: fields((p, notes) => {
      repairInteger(p, 'connectorId', notes);
      repairInteger(p, 'meterStart', notes);
      repairOptionalInteger(p, 'reservationId', notes);
      repairString(p, 'idTag', notes);
      notes.time = repairTime(p, 'timestamp', notes, true);
    }),
    body(p, notes, o) {
      const [connector, tag, meterStartWh] = [p['connectorId'] as number, text(p['idTag']), p['meterStart'] as number];
      const body: SessionStartedBody = {
        ...fact(contentKey.start(o.charger, connector, tag, notes.time.raw, meterStartWh), notes, o),
        ...time(notes),
        connector,
        tag,
        meterStartWh,
      };
      return body;
    },
    answer(value) {
      const { transaction, token } = value as StartedReply;
      // A start of OCPP 1.6 always names a tag.
      return JSON.stringify({ transactionId: transaction, idTagInfo: idTagInfo(token!) });
    },
  }),

  define('MeterValues', {
    answered: 'appended',
    type: 'meter.sampled',
    repair: fields((p, notes) => {
      repairInteger(p, 'connectorId', notes);
      repairOptionalInteger(p, 'transactionId', notes);
      repairMeterValues(p, 'meterValue', notes);
    }),
    body(p, notes, o) {
      const [connector, transaction] = [p['connectorId'] as number, (p['transactionId'] ?? null) as number | null];
      const { samples, lines } = samplesOf(p['meterValue'], notes, `${o.connectionSeq} ${o.idText}`);
      const body: MeterSampledBody = {
        ...fact(contentKey.meter(o.charger, connector, transaction, lines), notes, o),
        connector,
        transaction,
        samples,
      };
      return body;
    },
    answer: () => '{}',
  }),

  define('StopTransaction', {
    answered: 'decided',
    type: 'session.ended',
    repair: fields((p, notes) => {
      repairInteger(p, 'transactionId', notes);
      repairInteger(p, 'meterStop', notes);
      repairOptionalString(p, 'idTag', notes);
      repairOptionalString(p, 'reason', notes);
      if (p['transactionData'] === null) {
        delete p['transactionData'];
        notes.hit('R05');
      }
      notes.time = repairTime(p, 'timestamp', notes, true);
      repairMeterValues(p, 'transactionData', notes);
    }),
    body(p, notes, o) {
      const [transaction, meterStopWh] = [p['transactionId'] as number, p['meterStop'] as number];
      const tag = text(p['idTag']) || null;
      const body: SessionEndedBody = {
        ...fact(contentKey.stop(o.charger, transaction, notes.time.raw, meterStopWh, tag), notes, o),
        ...time(notes),
        transaction,
        tag,
        meterStopWh,
        // Local is what the specification means by no reason (OCPP 1.6 §6.49).
        reason: text(p['reason']) || 'Local',
        samples: samplesOf(p['transactionData'] ?? [], notes, o.idText).samples,
      };
      return body;
    },
    answer(value) {
      const { token } = value as EndedReply;
      return token === null ? '{}' : JSON.stringify({ idTagInfo: idTagInfo(token) });
    },
  }),

  define('DataTransfer', {
    answered: 'appended',
    type: 'vendor.message',
    short: true,
    repair: fields((p, notes) => {
      repairOptionalString(p, 'messageId', notes);
      repairOptionalString(p, 'data', notes);
    }),
    body(p, notes, o) {
      const [vendor, message, data] = [text(p['vendorId']), text(p['messageId']), text(p['data'])];
      const key = contentKey.message('vendor', o.charger, o.connectionSeq, o.idText, vendor, message, data);
      return { ...fact(key, notes, o), vendor, message, data };
    },
    answer: () => '{"status":"UnknownVendorId"}',
  }),
]);

/** Actions of the version and its security extension whose feature is off: another answer than for a name nobody knows. */
export const unsupported: ReadonlySet<string> = new Set([
  'DiagnosticsStatusNotification',
  'FirmwareStatusNotification',
  'LogStatusNotification',
  'SecurityEventNotification',
  'SignCertificate',
  'SignedFirmwareStatusNotification',
]);
