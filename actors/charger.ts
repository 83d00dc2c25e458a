/**
 * A device with one OCPP connection: all its state and every decision about it. Doors address whatever it says to this
 * entity, in the order it came; answers are made in that one step. Its facets:
 * charger_boot (registered, accepted), charger_connection (whose socket), charger_messages (status, tags, vendor),
 * charger_sessions (start, stop), charger_meter (samples, power).
 */
import { setup } from 'xstate';
import { decide, type ActorDefinition, type ActorEvent } from './actor.ts';
import { bootFacts, booted, confirmName, register, registerAgain, registerFacts } from './charger_boot.ts';
import { alive, connected, connectFacts, disconnected, lost, offline } from './charger_connection.ts';
import { statusReported, tokenFacts, tokenPresented, vendorMessage } from './charger_messages.ts';
import { meterFacts, meterSampled } from './charger_meter.ts';
import { closeFacts, closed } from './charger_session_close.ts';
import { ended, started, startFacts, stopFacts } from './charger_sessions.ts';
import { machineTypes } from './machine.ts';
import {
  ChargerAlive,
  ChargerBooted,
  ChargerConnected,
  ChargerDisconnected,
  ChargerRegister,
  ConnectorStatus,
  MeterSampled,
  SessionClose,
  SessionEnded,
  SessionStarted,
  TokenPresented,
  VendorMessage,
  type BootedReply,
  type ConnectedReply,
} from './schema/commands.ts';
import { ChargerState } from './schema/entities.ts';
import { ChargerLost, NameGranted, NameRefused } from './schema/internal.ts';

const initial: ChargerState = {
  site: '',
  station: '',
  ratedW: 1,
  createdAt: 0,
  securityProfile: 0,
  passwordHash: '',
  vendor: '',
  model: '',
  serial: '',
  firmware: '',
  bootedAt: null,
  connectionSeq: 0,
  connection: null,
  online: false,
  lastHeardAt: 0,
  connectors: [],
};

/** What a boot and a connection are told depends on how far the charger has come. */
const registration = (name: ConnectedReply['registration'], boot: BootedReply['status'], then?: 'accepted') => ({
  'charger.connected': { actions: decide(connected(name)) },
  'charger.booted': then ? { target: then, actions: decide(booted(boot)) } : { actions: decide(booted(boot)) },
});

/** Facts are taken in whatever the state: energy flows before any paperwork is done. */
const facts = {
  'charger.register': { actions: decide(registerAgain) },
  'charger.disconnected': { actions: decide(disconnected) },
  'charger.lost': { actions: decide(lost) },
  'charger.alive': { actions: decide(alive) },
  'timer.offline': { actions: decide(offline) },
  'connector.status': { actions: decide(statusReported) },
  'token.presented': { actions: decide(tokenPresented) },
  'session.started': { actions: decide(started) },
  'session.ended': { actions: decide(ended) },
  'session.close': { actions: decide(closed) },
  'meter.sampled': { actions: decide(meterSampled) },
  'vendor.message': { actions: decide(vendorMessage) },
};

export const chargerMachine = setup({ types: machineTypes<ChargerState>() }).createMachine({
  id: 'charger',
  initial: 'absent',
  context: initial,
  states: {
    absent: { on: { 'charger.register': { target: 'unregistered', actions: decide(register) } } },
    unregistered: {
      on: {
        ...facts,
        ...registration('unregistered', 'Pending'),
        'name.granted': { target: 'pending', actions: decide(confirmName) },
        'name.refused': 'rejected',
      },
    },
    /** Known, not booted yet. */
    pending: { on: { ...facts, ...registration('pending', 'Accepted', 'accepted') } },
    accepted: { on: { ...facts, ...registration('accepted', 'Accepted') } },
    /** Its identity belongs to another charger. */
    rejected: { on: { ...facts, ...registration('rejected', 'Rejected') } },
  },
});

type Body = never;

export const charger: ActorDefinition = {
  kind: 'charger',
  version: 1,
  machine: chargerMachine,
  context: ChargerState,
  commands: {
    'charger.register': ChargerRegister,
    'name.granted': NameGranted,
    'name.refused': NameRefused,
    'charger.connected': ChargerConnected,
    'charger.disconnected': ChargerDisconnected,
    'charger.lost': ChargerLost,
    'charger.alive': ChargerAlive,
    'charger.booted': ChargerBooted,
    'connector.status': ConnectorStatus,
    'token.presented': TokenPresented,
    'vendor.message': VendorMessage,
    'session.started': SessionStarted,
    'session.ended': SessionEnded,
    'session.close': SessionClose,
    'meter.sampled': MeterSampled,
  },
  timers: ['offline'],
  creates: ['charger.register'],
  facts: (view, self, type, body): ActorEvent['facts'] => {
    switch (type) {
      case 'meter.sampled':
        return meterFacts(view, self.id, body as Body);
      case 'session.started':
        return startFacts(view, self.id, body as Body);
      case 'session.ended':
        return stopFacts(view, self.id, body as Body);
      case 'session.close':
        return closeFacts(view, body as Body);
      case 'token.presented':
        return tokenFacts(view, self.id, body.tag as string);
      case 'charger.connected':
        return connectFacts(view, body as Body);
      case 'charger.register':
        return registerFacts(view, body as Body);
      case 'charger.booted':
      case 'connector.status':
      case 'vendor.message':
        return bootFacts(view, self.id);
      default:
        return null;
    }
  },
};
