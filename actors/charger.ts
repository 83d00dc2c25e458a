/**
 * A device with one OCPP connection: all its state and every decision about it. Doors address whatever it says to this
 * entity, in the order it came; answers are made in that one step. Its facets:
 * charger_boot (registered, accepted), charger_connection (whose socket), charger_messages (status, tags, vendor),
 * charger_sessions (start, stop), charger_transactions (events of OCPP 2.x), charger_meter (samples, power).
 */
import { setup } from 'xstate';
import { decide, type ActorDefinition, type ActorEvent, type Decision } from './actor.ts';
import { bootFacts, booted, confirmName, register, registerAgain, registerFacts } from './charger_boot.ts';
import {
  dispatch,
  heardBy,
  hungUp,
  reconnected,
  restarted,
  seenIdle,
  vanished,
  withCommands,
} from './charger_commands.ts';
import { alive, connected, connectFacts, disconnected, lost, offline } from './charger_connection.ts';
import { reported, statusReported, tokenFacts, tokenPresented, vendorMessage } from './charger_messages.ts';
import { meterFacts, meterSampled } from './charger_meter.ts';
import { closeFacts, closed } from './charger_session_close.ts';
import { ended, started, startFacts, stopFacts } from './charger_sessions.ts';
import { transactionFacts, transactionTold } from './charger_transactions.ts';
import { machineTypes } from './machine.ts';
import {
  ChargerAlive,
  ChargerBooted,
  ChargerConnected,
  ChargerDisconnected,
  ChargerRegister,
  ChargerReported,
  ConnectorStatus,
  MeterSampled,
  SessionClose,
  SessionEnded,
  SessionProgress,
  SessionStarted,
  TokenPresented,
  VendorMessage,
  type BootedReply,
  type ConnectedReply,
  type SessionStartedBody,
} from './schema/commands.ts';
import { ChargerDispatch } from './schema/device_commands.ts';
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
  'charger.connected': { actions: decide(heardBy(connected(name), reconnected)) },
  'charger.booted': {
    ...(then && { target: then }),
    actions: decide(heardBy(booted(boot), restarted)),
  },
});

/** A start that names its transaction itself is told by a charger of OCPP 2.x. */
const begun = (state: ChargerState, event: ActorEvent<SessionStartedBody, never>): Decision<ChargerState> =>
  event.body.reference === undefined ? started(state, event) : transactionTold(state, event);

/** Facts are taken in whatever the state: energy flows before any paperwork is done. */
const facts = {
  'charger.register': { actions: decide(registerAgain) },
  'charger.disconnected': { actions: decide(heardBy(disconnected, hungUp)) },
  'charger.lost': { actions: decide(heardBy(lost, vanished)) },
  'charger.alive': { actions: decide(alive) },
  'timer.offline': { actions: decide(offline) },
  'connector.status': { actions: decide(heardBy(statusReported, seenIdle)) },
  'token.presented': { actions: decide(tokenPresented) },
  'session.started': { actions: decide(begun) },
  'session.progress': { actions: decide(transactionTold) },
  'session.ended': { actions: decide(ended) },
  'session.close': { actions: decide(closed) },
  'meter.sampled': { actions: decide(meterSampled) },
  'vendor.message': { actions: decide(vendorMessage) },
  'charger.reported': { actions: decide(reported) },
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
    accepted: {
      on: {
        ...facts,
        ...registration('accepted', 'Accepted'),
        'charger.dispatch': { actions: decide(dispatch) },
        'timer.commands': { actions: decide(dispatch) },
      },
    },
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
    'charger.dispatch': ChargerDispatch,
    'charger.booted': ChargerBooted,
    'connector.status': ConnectorStatus,
    'token.presented': TokenPresented,
    'vendor.message': VendorMessage,
    'charger.reported': ChargerReported,
    'session.started': SessionStarted,
    'session.progress': SessionProgress,
    'session.ended': SessionEnded,
    'session.close': SessionClose,
    'meter.sampled': MeterSampled,
  },
  timers: ['offline', 'commands'],
  creates: ['charger.register'],
  facts: (view, self, type, body): ActorEvent['facts'] => {
    switch (type) {
      case 'meter.sampled':
        return meterFacts(view, self.id, body as Body);
      case 'session.started':
        return 'reference' in body
          ? transactionFacts(view, self.id, body as Body)
          : startFacts(view, self.id, body as Body);
      case 'session.progress':
        return transactionFacts(view, self.id, body as Body);
      case 'session.ended':
        return stopFacts(view, self.id, body as Body);
      case 'session.close':
        return closeFacts(view, body as Body);
      case 'token.presented':
        return tokenFacts(view, self.id, body.tag as string);
      case 'charger.connected':
        return withCommands(view, self.id, connectFacts(view, body as Body));
      case 'charger.register':
        return registerFacts(view, body as Body);
      case 'charger.booted':
      case 'connector.status':
        return withCommands(view, self.id, bootFacts(view, self.id));
      case 'charger.disconnected':
      case 'charger.lost':
      case 'charger.dispatch':
      case 'timer.commands':
        return withCommands(view, self.id, null);
      case 'vendor.message':
      case 'charger.reported':
        return bootFacts(view, self.id);
      default:
        return null;
    }
  },
};
