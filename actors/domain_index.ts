/**
 * What facts and slots look up, derived from the states of a partition and told of every change. Nothing here is written
 * anywhere; iteration order may differ after a recovery, so whoever makes outputs from a set sorts it first.
 */
import type { Index, Stored } from './actor.ts';
import { Boards, SampledCustomers } from './customer_index.ts';
import { isOpen } from './device_command_rules.ts';
import type { BoardState, CustomerState } from './schema/customer_entities.ts';
import type { DeviceCommandState } from './schema/device_commands.ts';
import type { ChargerState, NameState, SessionState, StationState } from './schema/entities.ts';
import type { PositionState } from './schema/trading.ts';
import { Triggers } from './trigger_index.ts';

/** Sets by name; an empty one is dropped. */
class Groups {
  #members = new Map<string, Set<string>>();
  get(group: string): ReadonlySet<string> {
    return this.#members.get(group) ?? none;
  }
  add(group: string, member: string) {
    const members = this.#members.get(group);
    if (members) members.add(member);
    else this.#members.set(group, new Set([member]));
  }
  remove(group: string, member: string) {
    const members = this.#members.get(group);
    if (members?.delete(member) && members.size === 0) this.#members.delete(group);
  }
  /** Moves a member; null = in no group. */
  move(member: string, before: string | null, after: string | null) {
    if (before === after) return;
    if (before !== null) this.remove(before, member);
    if (after !== null) this.add(after, member);
  }
}
const none: ReadonlySet<string> = new Set();

const isUnsettled = ({ value, context }: Stored<DeviceCommandState>) => isOpen(value) || context.call !== null;
const hasEnded = ({ context }: Stored<DeviceCommandState>) => context.endedAt !== null;

const by = (charger: string, what: string | number): string => `${charger}\n${what}`;

export class DomainIndex implements Index {
  readonly sites = new Set<string>();
  readonly #stations = new Groups();
  readonly #chargers = new Groups();
  readonly #connected = new Groups();
  readonly #adopted = new Groups();
  readonly #blocks = new Groups();
  readonly #priceHours = new Groups();
  readonly #starts = new Map<string, string>();
  readonly #stops = new Map<string, string>();
  readonly #references = new Map<string, string>();
  readonly #ended = new Groups();
  readonly #openCommands = new Groups();
  readonly #endedCommands = new Groups();
  /** Commands whose CALL is out. */
  readonly #calls = new Set<string>();
  readonly #tags = new Set<string>();
  #sortedTags: string[] | null = null;
  /** Customers whose battery is sampled. */
  readonly sampled = new SampledCustomers();
  readonly #boards = new Boards();
  /** Automatic orders, and who has positions. */
  readonly triggers = new Triggers();

  get awaited() {
    return this.#calls.size;
  }
  stationsOf(site: string) {
    return this.#stations.get(site);
  }
  chargersOf(station: string) {
    return this.#chargers.get(station);
  }
  /** Chargers whose newest connection is with this gateway. */
  connectedBy(gateway: string) {
    return this.#connected.get(gateway);
  }
  /** Commands of the charger that are open, or whose CALL is still out. */
  openCommandsOf(charger: string) {
    return this.#openCommands.get(charger);
  }
  /** Those that have ended and are kept. */
  endedCommandsOf(charger: string) {
    return this.#endedCommands.get(charger);
  }
  /** Sessions of the charger that were adopted from a stop and still lack their start. */
  adoptedOf(charger: string) {
    return this.#adopted.get(charger);
  }
  /** Blocks of sample keys of a session. */
  blocksOf(session: string) {
    return this.#blocks.get(session);
  }
  /** Hours with a record of a station's prices, oldest first. */
  priceHoursOf(station: string): number[] {
    return [...this.#priceHours.get(station)].map(Number).sort((a, b) => a - b);
  }
  sessionOfStart(charger: string, key: string): string | undefined {
    return this.#starts.get(by(charger, key));
  }
  sessionOfStop(charger: string, key: string): string | undefined {
    return this.#stops.get(by(charger, key));
  }
  /** The session of a transaction by the charger's own id, whatever its case (OCPP 2.0.1 part 2, identifierString). */
  sessionOfReference(charger: string, reference: string): string | undefined {
    return this.#references.get(by(charger, reference.toLowerCase()));
  }
  /** Ended sessions of a connector that are still kept. */
  endedOn(charger: string, connector: number) {
    return this.#ended.get(by(charger, connector));
  }
  /** The board of this partition that knows the station. */
  boardOf(station: string): string | undefined {
    return this.#boards.of(station);
  }
  /** Names of tags in byte order. */
  tagNames(): readonly string[] {
    return (this.#sortedTags ??= [...this.#tags].sort());
  }

  changed(kind: string, id: string, before: Stored | undefined, after: Stored | undefined) {
    switch (kind) {
      case 'session':
        this.#session(id, before as Stored<SessionState> | undefined, after as Stored<SessionState> | undefined);
        return;
      case 'charger':
        this.#charger(id, before as Stored<ChargerState> | undefined, after as Stored<ChargerState> | undefined);
        return;
      case 'customer':
        this.sampled.changed(id, after as Stored<CustomerState> | undefined);
        return;
      case 'board':
        this.#boards.changed(id, before as Stored<BoardState> | undefined, after as Stored<BoardState> | undefined);
        return;
      case 'position':
        this.triggers.changed(
          id,
          before as Stored<PositionState> | undefined,
          after as Stored<PositionState> | undefined,
        );
        return;
      case 'device_command': {
        type Command = Stored<DeviceCommandState> | undefined;
        const group = (stored: Command, wanted: (command: Stored<DeviceCommandState>) => boolean) =>
          stored && wanted(stored) ? stored.context.charger : null;
        const [b, a] = [before as Command, after as Command];
        this.#openCommands.move(id, group(b, isUnsettled), group(a, isUnsettled));
        this.#endedCommands.move(id, group(b, hasEnded), group(a, hasEnded));
        if ((a?.context.call ?? null) === null) this.#calls.delete(id);
        else this.#calls.add(id);
        return;
      }
      case 'sample_keys':
        this.#block(id, before !== undefined, after !== undefined);
        return;
      case 'price_hour': {
        const [station, hour] = [id.slice(0, id.lastIndexOf('/')), id.slice(id.lastIndexOf('/') + 1)];
        this.#priceHours.move(hour, before ? station : null, after ? station : null);
        return;
      }
      case 'site':
        if (after) this.sites.add(id);
        else this.sites.delete(id);
        return;
      case 'station': {
        const site = (stored: Stored | undefined) => (stored as Stored<StationState> | undefined)?.context.site ?? null;
        this.#stations.move(id, site(before), site(after));
        return;
      }
      case 'name': {
        const isTag = ((after as Stored<NameState> | undefined)?.context.tag ?? null) !== null;
        if (isTag === this.#tags.has(id)) return;
        if (isTag) this.#tags.add(id);
        else this.#tags.delete(id);
        this.#sortedTags = null;
      }
    }
  }

  #charger(id: string, before: Stored<ChargerState> | undefined, after: Stored<ChargerState> | undefined) {
    const a = after?.context;
    const b = before?.context;
    if (a?.station !== b?.station) this.#chargers.move(id, b?.station ?? null, a?.station ?? null);
    if (a?.connection !== b?.connection)
      this.#connected.move(id, b?.connection?.gateway ?? null, a?.connection?.gateway ?? null);
  }

  #block(id: string, before: boolean, after: boolean) {
    if (before === after) return;
    const session = id.slice(0, id.indexOf('/'));
    if (session === '-') return;
    if (after) this.#blocks.add(session, id);
    else this.#blocks.remove(session, id);
  }

  #session(id: string, before: Stored<SessionState> | undefined, after: Stored<SessionState> | undefined) {
    const a = after?.context;
    const b = before?.context;
    if (a?.startKey !== b?.startKey)
      this.#move(
        this.#starts,
        id,
        b && by(b.charger, b.startKey),
        a && a.startKey !== '' ? by(a.charger, a.startKey) : undefined,
      );
    if (a?.stopKey !== b?.stopKey)
      this.#move(
        this.#stops,
        id,
        b && by(b.charger, b.stopKey),
        a && a.stopKey !== '' ? by(a.charger, a.stopKey) : undefined,
      );
    if (a?.reference !== b?.reference) {
      const told = (s: SessionState | undefined) =>
        s && s.reference !== '' ? by(s.charger, s.reference.toLowerCase()) : undefined;
      this.#move(this.#references, id, told(b), told(a));
    }
    if (a?.startKey !== b?.startKey || a?.flags !== b?.flags) {
      const orphan = (s: SessionState | undefined) =>
        s && s.startKey === '' && s.reference === '' && s.flags.includes('adopted') ? s.charger : null;
      this.#adopted.move(id, orphan(b), orphan(a));
    }
    if (a?.endAt !== b?.endAt || a?.connector !== b?.connector) {
      const ended = (s: SessionState | undefined) => (s && s.endAt !== null ? by(s.charger, s.connector) : null);
      this.#ended.move(id, ended(b), ended(a));
    }
  }

  #move(map: Map<string, string>, id: string, before: string | undefined, after: string | undefined) {
    if (before !== undefined && map.get(before) === id) map.delete(before);
    if (after !== undefined) map.set(after, id);
  }
}
