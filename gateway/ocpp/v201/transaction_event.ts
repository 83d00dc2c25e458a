/**
 * TransactionEvent: a transaction is told by the charger in numbered events, which come in any order and may never be
 * refused (OCPP 2.0.1 part 2, E). Each becomes one of three facts; only a token asks for a decision.
 */
import type {
  EndedReply,
  SessionEndedBody,
  SessionProgressBody,
  SessionStartedBody,
  StartedReply,
} from '#actors/schema/commands';
import { fact, fields, text, time, type Action, type Origin, type Translation } from '../action.ts';
import { contentKey } from '../content_key.ts';
import { isObject, type Notes, type Payload } from '../repairs/notes.ts';
import { repairInteger, repairOptionalInteger, repairOptionalString, repairString } from '../repairs/numbers.ts';
import { repairTime } from '../repairs/time.ts';
import { repairMeterValues, samplesOf } from './meter_values.ts';
import { idTokenInfo, repairToken, tagOf, type IdToken } from './tokens.ts';
import { lenientCheck } from './validation.ts';

interface TransactionEvent extends Payload {
  eventType: 'Started' | 'Updated' | 'Ended';
  triggerReason: string;
  seqNo: number;
  offline?: boolean;
  transactionInfo: {
    transactionId: string;
    chargingState?: string;
    stoppedReason?: string;
    remoteStartId?: number;
  };
  evse?: { id: number };
  idToken?: IdToken;
}

const repair = fields((p, notes) => {
  repairInteger(p, 'seqNo', notes);
  for (const field of ['numberOfPhasesUsed', 'cableMaxCurrent', 'reservationId'])
    repairOptionalInteger(p, field, notes);
  repairOffline(p, notes);
  repairToken(p, 'idToken', notes);
  repairEvse(p, notes);
  const info = p['transactionInfo'];
  if (isObject(info)) {
    repairString(info, 'transactionId', notes);
    repairOptionalInteger(info, 'remoteStartId', notes);
    repairOptionalInteger(info, 'timeSpentCharging', notes);
    for (const field of ['chargingState', 'stoppedReason']) repairOptionalString(info, field, notes);
  }
  if (p['meterValue'] === null) {
    delete p['meterValue'];
    notes.hit('R05');
  }
  notes.time = repairTime(p, 'timestamp', notes, true);
  repairMeterValues(p, 'meterValue', notes);
});

function repairOffline(p: Payload, notes: Notes): void {
  const { offline } = p;
  if (offline === undefined || typeof offline === 'boolean') return;
  const said = typeof offline === 'string' || typeof offline === 'number' ? String(offline).trim().toLowerCase() : '';
  if (offline === null) delete p['offline'];
  else if (said === 'true' || said === '1') p['offline'] = true;
  else if (said === 'false' || said === '0') p['offline'] = false;
  else return;
  notes.hit('R05');
}

/** R24: an EVSE as a bare number, or told as nothing. */
function repairEvse(p: Payload, notes: Notes): void {
  const { evse } = p;
  if (evse === null) {
    delete p['evse'];
    notes.hit('R24');
  } else if (typeof evse === 'number' || typeof evse === 'string') {
    p['evse'] = { id: evse };
    notes.hit('R24');
  }
  if (!isObject(p['evse'])) return;
  repairInteger(p['evse'], 'id', notes);
  repairOptionalInteger(p['evse'], 'connectorId', notes);
}

function told(e: TransactionEvent, notes: Notes, o: Origin) {
  const { transactionId } = e.transactionInfo;
  return {
    ...fact(contentKey.transactionEvent(o.charger, transactionId, e.seqNo, e.eventType), notes, o),
    ...time(notes),
    reference: transactionId,
    // EVSE n is our connector n: only one car at a time can be served by it.
    connector: e.evse?.id ?? 0,
    trigger: e.triggerReason,
    offline: e.offline ?? false,
    samples: samplesOf(e['meterValue'], notes),
  };
}

type Body = Translation['body'];
const facts: Readonly<Record<TransactionEvent['eventType'], { type: string; body: Body }>> = {
  Started: {
    type: 'session.started',
    body(payload, notes, o) {
      const e = payload as TransactionEvent;
      const body: SessionStartedBody = {
        ...told(e, notes, o),
        tag: tagOf(e.idToken),
        meterStartWh: null,
        chargingState: text(e.transactionInfo.chargingState),
        remoteStartId: e.transactionInfo.remoteStartId ?? null,
      };
      return body;
    },
  },
  Updated: {
    type: 'session.progress',
    body(payload, notes, o) {
      const e = payload as TransactionEvent;
      const chargingState = text(e.transactionInfo.chargingState);
      const body: SessionProgressBody = { ...told(e, notes, o), tag: tagOf(e.idToken), chargingState };
      return body;
    },
  },
  Ended: {
    type: 'session.ended',
    body(payload, notes, o) {
      const e = payload as TransactionEvent;
      const body: SessionEndedBody = {
        ...told(e, notes, o),
        transaction: 0,
        tag: tagOf(e.idToken) || null,
        meterStopWh: null,
        // Local is what the specification means by no reason (2.0.1 part 2, TransactionType).
        reason: text(e.transactionInfo.stoppedReason) || 'Local',
      };
      return body;
    },
  },
};

const answers: Readonly<Record<'decided' | 'none' | 'free' | 'empty', Pick<Translation, 'answered' | 'answer'>>> = {
  decided: {
    answered: 'decided',
    answer(value) {
      const { token } = value as StartedReply | EndedReply;
      return token === null ? '{}' : JSON.stringify({ idTokenInfo: idTokenInfo(token) });
    },
  },
  none: { answered: 'appended', answer: () => '{}' },
  // The charger lets anybody charge: there is nothing to be decided about.
  free: { answered: 'appended', answer: () => '{"idTokenInfo":{"status":"Accepted"}}' },
  empty: { answered: 'appended', answer: () => '{"idTokenInfo":{"status":"Invalid"}}' },
};

const translations = Object.fromEntries(
  Object.entries(facts).map(([eventType, { type, body }]) => [
    eventType,
    Object.fromEntries(Object.entries(answers).map(([kind, answer]) => [kind, { type, body, ...answer }])),
  ]),
) as Record<TransactionEvent['eventType'], Record<keyof typeof answers, Translation>>;

function kindOf(token: IdToken | undefined): keyof typeof answers {
  if (token === undefined) return 'none';
  if (token.type === 'NoAuthorization') return 'free';
  return token.idToken === '' ? 'empty' : 'decided';
}

export const transactionEvent: Action = {
  ...translations.Updated.none,
  short: false,
  replays: true,
  repair,
  check: lenientCheck('TransactionEvent'),
  choose(payload) {
    const { eventType, idToken } = payload as TransactionEvent;
    return translations[eventType][kindOf(idToken)];
  },
};
