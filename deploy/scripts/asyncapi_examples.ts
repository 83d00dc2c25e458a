/** One message per kind as an installation with the demo site sends it; checked against the schemas by the test. */
import type { PublicEvent } from '#actors/schema/events';

type Example<Event extends PublicEvent> = { at: string; subject: string; payload: Event['payload'] };

export const examples: { [Kind in PublicEvent['kind']]: Example<Extract<PublicEvent, { kind: Kind }>> } = {
  price: {
    at: '6:74:0',
    subject: 'price.nord-1',
    payload: {
      station: 'nord-1',
      slot: 149605187,
      producedAt: 1795262244000,
      loadW: 102948,
      capacityW: 138000,
      utilisationBp: 7460,
      tier: 'normal',
      importOpen: true,
      priceE5SekPerKwh: 100000,
      validUntil: 1795262268000,
    },
  },
  load: {
    at: '6:74:1',
    subject: 'load.demo.nord-1',
    payload: {
      site: 'demo',
      node: 'nord-1',
      slot: 149605186,
      loadW: 102948,
      capacityW: 138000,
      utilisationBp: 7460,
      stale: false,
    },
  },
  meter: {
    at: '6:65:0',
    subject: 'meter.CP-0013.1',
    payload: {
      site: 'demo',
      station: 'nord-1',
      charger: 'CP-0013',
      connector: 1,
      transaction: 201326597,
      receivedAt: 1795262237700,
      samples: [
        {
          at: 1795262237691,
          measurand: 'Power.Active.Import',
          phase: '',
          location: 'Outlet',
          context: 'Sample.Periodic',
          unit: 'W',
          value: '11040',
        },
        {
          at: 1795262237691,
          measurand: 'Energy.Active.Import.Register',
          phase: '',
          location: 'Outlet',
          context: 'Sample.Periodic',
          unit: 'Wh',
          value: '4954',
        },
      ],
    },
  },
  charger: {
    at: '6:21:1',
    subject: 'charger.CP-0002.status',
    payload: {
      charger: 'CP-0002',
      connector: 1,
      kind: 'status',
      at: 1795262221165,
      receivedAt: 1795262221303,
      detail: {
        status: 'Charging',
        errorCode: 'NoError',
        info: '',
        vendorErrorCode: '',
        clock: false,
        repairs: [],
      },
    },
  },
  session: {
    at: '6:24:9',
    subject: 'session.CP-0002.201326593',
    payload: {
      site: 'demo',
      station: 'nord-1',
      charger: 'CP-0002',
      connector: 1,
      transaction: 201326593,
      tag: 'DEMO0002',
      state: 'started',
      startAt: 1795260944997,
      receivedAt: 1795262221359,
      meterStartWh: 0,
      flags: [],
      version: 0,
    },
  },
  audit: {
    at: '6:12:0',
    subject: 'audit.dead_letter',
    payload: {
      kind: 'dead_letter',
      at: 1795262221117,
      entity: 'charger/CP-0016',
      command: 'charger.booted',
      reason: 'internal_error',
      correlation: null,
      detail: {},
    },
  },
};
