/**
 * OCPP 2.0.1: each action of a charger, the fact it becomes in the domain, and the answer the charger gets. The facts are
 * those of OCPP 1.6; what only this version can tell is in fields of its own.
 */
import type {
  BootedReply,
  ChargerReportedBody,
  ConnectorStatusBody,
  MeterSampledBody,
  TokenReply,
} from '#actors/schema/commands';
import { bootOf, defineBy, fact, fields, heartbeat, iso, text, time, type Action } from '../action.ts';
import { contentKey } from '../content_key.ts';
import { isObject, type Notes, type Payload } from '../repairs/notes.ts';
import { repairInteger, repairOptionalInteger, repairOptionalString, repairString } from '../repairs/numbers.ts';
import { repairTime } from '../repairs/time.ts';
import { linesOf, repairMeterValues, samplesOf } from './meter_values.ts';
import { idTokenInfo, repairToken, tagOf, type IdToken } from './tokens.ts';
import { transactionEvent } from './transaction_event.ts';
import { lenientCheck, requestCheck } from './validation.ts';

const define = defineBy(requestCheck);

/** What a device says about itself: kept as an event, nothing is decided from it. */
const report = (
  name: string,
  kind: string,
  repair: (p: Payload, notes: Notes) => void,
  detailOf: (p: Payload) => Record<string, string | number>,
): [string, Action] =>
  define(name, {
    answered: 'appended',
    type: 'charger.reported',
    repair: fields((p, notes) => {
      // Without a time of its own it is as old as its message, which is no fault of any clock.
      notes.time = { at: notes.now, raw: '', clock: false };
      repair(p, notes);
    }),
    body(p, notes, o) {
      const detail = detailOf(p);
      const body: ChargerReportedBody = {
        ...fact(contentKey.report(kind, o.charger, notes.time.raw, ...Object.values(detail)), notes, o),
        ...time(notes),
        report: kind,
        detail,
      };
      return body;
    },
    answer: () => '{}',
  });

export const actions: ReadonlyMap<string, Action> = new Map([
  define('BootNotification', {
    answered: 'decided',
    type: 'charger.booted',
    repair: fields((p, notes) => {
      const station = p['chargingStation'];
      if (!isObject(station)) return;
      for (const field of ['vendorName', 'model']) repairString(station, field, notes);
      for (const field of ['serialNumber', 'firmwareVersion']) repairOptionalString(station, field, notes);
      if (station['modem'] !== null) return;
      delete station['modem'];
      notes.hit('R05');
    }),
    body(p, notes, o) {
      const station = p['chargingStation'] as Payload;
      const [vendor, model] = [text(station['vendorName']), text(station['model'])];
      const [serial, firmware] = [text(station['serialNumber']), text(station['firmwareVersion'])];
      return bootOf({ vendor, model, serial, firmware }, notes, o);
    },
    answer(value, now) {
      const { status, intervalS } = value as BootedReply;
      return JSON.stringify({ currentTime: iso(now), interval: intervalS, status });
    },
  }),

  define('Heartbeat', heartbeat),

  define('StatusNotification', {
    answered: 'appended',
    type: 'connector.status',
    repair: fields((p, notes) => {
      repairInteger(p, 'evseId', notes);
      repairInteger(p, 'connectorId', notes);
      notes.time = repairTime(p, 'timestamp', notes, true);
    }),
    body(p, notes, o) {
      const [connector, plug, status] = [p['evseId'] as number, p['connectorId'] as number, text(p['connectorStatus'])];
      const message = `${o.connectionSeq} ${o.idText}`;
      // An EVSE with several plugs is one connector: it serves one car.
      const info = plug > 1 ? `connector ${plug}` : '';
      const body: ConnectorStatusBody = {
        ...fact(contentKey.status(o.charger, connector, notes.time.raw, status, info, message), notes, o),
        ...time(notes),
        connector,
        status,
        errorCode: '',
        info,
        vendorErrorCode: '',
      };
      return body;
    },
    answer: () => '{}',
  }),

  define('Authorize', {
    answered: 'decided',
    type: 'token.presented',
    short: true,
    repair: fields((p, notes) => repairToken(p, 'idToken', notes)),
    body(p, notes, o) {
      const tag = tagOf(p['idToken'] as IdToken);
      return { ...fact(contentKey.message('token', o.charger, o.connectionSeq, o.idText, tag), notes, o), tag };
    },
    answer: (value) => JSON.stringify({ idTokenInfo: idTokenInfo(value as TokenReply) }),
  }),

  ['TransactionEvent', transactionEvent],

  define('MeterValues', {
    answered: 'appended',
    type: 'meter.sampled',
    check: lenientCheck('MeterValues'),
    repair: fields((p, notes) => {
      repairInteger(p, 'evseId', notes);
      repairMeterValues(p, 'meterValue', notes);
    }),
    body(p, notes, o) {
      const connector = p['evseId'] as number;
      const samples = samplesOf(p['meterValue'], notes);
      const lines = linesOf(p['meterValue'], samples, notes, `${o.connectionSeq} ${o.idText}`);
      const key = contentKey.meter(o.charger, connector, null, lines);
      const body: MeterSampledBody = { ...fact(key, notes, o), connector, transaction: null, samples };
      return body;
    },
    answer: () => '{}',
  }),

  define('DataTransfer', {
    answered: 'appended',
    type: 'vendor.message',
    short: true,
    repair: fields((p, notes) => repairOptionalString(p, 'messageId', notes)),
    body(p, notes, o) {
      const [vendor, message] = [text(p['vendorId']), text(p['messageId'])];
      // Any JSON may come; it is kept as the text that it is.
      const data = typeof p['data'] === 'string' ? p['data'] : p['data'] === undefined ? '' : JSON.stringify(p['data']);
      const key = contentKey.message('vendor', o.charger, o.connectionSeq, o.idText, vendor, message, data);
      return { ...fact(key, notes, o), vendor, message, data };
    },
    answer: () => '{"status":"UnknownVendorId"}',
  }),

  report(
    'SecurityEventNotification',
    'security_event',
    (p, notes) => {
      repairOptionalString(p, 'techInfo', notes);
      notes.time = repairTime(p, 'timestamp', notes, true);
    },
    (p) => ({ type: text(p['type']), techInfo: text(p['techInfo']) }),
  ),
  report(
    'LogStatusNotification',
    'log_status',
    (p, notes) => repairOptionalInteger(p, 'requestId', notes),
    (p) => ({ status: text(p['status']), requestId: (p['requestId'] ?? 0) as number }),
  ),
  report(
    'FirmwareStatusNotification',
    'firmware_status',
    (p, notes) => repairOptionalInteger(p, 'requestId', notes),
    (p) => ({ status: text(p['status']), requestId: (p['requestId'] ?? 0) as number }),
  ),
]);

/** Actions of the version whose feature is off: reports that nobody asks for, certificates, charging profiles, displays. */
export const unsupported: ReadonlySet<string> = new Set([
  'ClearedChargingLimit',
  'Get15118EVCertificate',
  'GetCertificateStatus',
  'NotifyChargingLimit',
  'NotifyCustomerInformation',
  'NotifyDisplayMessages',
  'NotifyEVChargingNeeds',
  'NotifyEVChargingSchedule',
  'NotifyEvent',
  'NotifyMonitoringReport',
  'NotifyReport',
  'PublishFirmwareStatusNotification',
  'ReportChargingProfiles',
  'ReservationStatusUpdate',
  'SignCertificate',
]);
