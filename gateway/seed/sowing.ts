/** Sends the seed and waits until it can be used: every command decided, every name confirmed to its owner. */
import { chargerAddress, nameAddress, partitionOf, tagAddress, userAddress } from '#actors/mod';
import type { EntityAddress } from '#actors/actor';
import type { NameState, TagEntryState, UserState } from '#actors/schema/entities';
import type { DoorCommand } from '#engine/log/mod';
import { projectedId } from '#engine/projections/mod';
import type { CommandResult } from '#engine/wire';
import { hashPassword, verifyPassword } from '#gateway/auth/password';
import type { Scenario } from '#gateway/simulator/scenario';
import { customerCommands, seedCommands, seedCustomers, seedUsers, userCommand, type SeedUser } from './commands.ts';

export interface Ground {
  readonly partitions: number;
  request(command: DoorCommand): Promise<CommandResult>;
  /** The last state that is projected. */
  lookup(kind: string, id: string): Promise<{ value: string | null; context: unknown } | undefined>;
}

export interface SowingOptions {
  scenario: Scenario;
  passwords: Record<SeedUser['id'], string>;
  /** After which it gives up. @default 60,000 */
  timeoutMs?: number;
  /** Between two looks at what is not confirmed yet. @default 100 */
  lookEveryMs?: number;
}

/** Refusals that a moment later may be none. */
const passing: readonly string[] = ['overloaded', 'unavailable', 'starting'];

/** Resolves with how many commands were sent; throws in words with what could not be done. Safe to run again, any time. */
export async function sow(ground: Ground, options: SowingOptions): Promise<{ commands: number }> {
  const { scenario, passwords, timeoutMs = 60_000, lookEveryMs = 100 } = options;
  const deadline = Date.now() + timeoutMs;
  const pause = () => new Promise((resolve) => setTimeout(resolve, lookEveryMs));

  const decided = async (command: DoorCommand): Promise<CommandResult> => {
    for (;;) {
      const result = await ground.request(command);
      if (result.ok || !passing.includes(result.code) || Date.now() > deadline) return result;
      await pause();
    }
  };
  const send = async (command: DoorCommand) => {
    const result = await decided(command);
    if (!result.ok) throw new Error(`${command.type} of ${command.to.kind} ${command.to.id}: ${refusalText(result)}`);
  };

  // What is needed comes first; the others have no order among themselves.
  const [site, station, ...others] = seedCommands(scenario);
  for (const command of [site, station]) if (command !== undefined) await send(command);
  await Promise.all(others.map(send));

  const accounts = customerCommands(scenario);
  for (const step of accounts) await Promise.all(step.map(send));

  let sent = 2 + others.length + accounts.flat().length;
  const met: SeedUser[] = [];
  for (const user of seedUsers) {
    // A hash is different each time: somebody who is there already is left alone, and only checked.
    if ((await ground.lookup('user', user.id)) !== undefined) {
      met.push(user);
      continue;
    }
    const result = await decided(userCommand(user, await hashPassword(passwords[user.id])));
    if (!result.ok && result.code !== 'already_exists') throw new Error(`user ${user.id}: ${refusalText(result)}`);
    // Only a run that was cut short before can have made the user already; the stored password decides.
    if (!result.ok) met.push(user);
    sent += 1;
  }

  let waiting = wantedOf(scenario, ground.partitions);
  for (;;) {
    const missing = await Promise.all(waiting.map(async (wanted) => ((await isThere(ground, wanted)) ? [] : [wanted])));
    waiting = missing.flat();
    if (waiting.length === 0) break;
    if (Date.now() > deadline) {
      const some = waiting
        .slice(0, 5)
        .map(({ id }) => id)
        .join(', ');
      throw new Error(`not confirmed within ${timeoutMs} ms: ${waiting.length} of them, such as ${some}`);
    }
    await pause();
  }
  for (const user of met) await checkPassword(ground, user, passwords[user.id]);
  return { commands: sent };
}

interface Wanted {
  kind: string;
  id: string;
  /** Only of names: to whom it must be confirmed. */
  owner?: EntityAddress;
  /** Only of a site's copy of a card: somebody must pay for it, unless an admin has said otherwise since. */
  paid?: boolean;
}

/** What must be seen before chargers and people may come. */
function wantedOf({ site, timeline, spareTags, holders }: Scenario, partitions: number): Wanted[] {
  const name = (kind: 'identity' | 'tag' | 'email', of: string, owner?: EntityAddress): Wanted => {
    const address = nameAddress(kind, of);
    return { kind: 'name', id: address.id, owner: owner ?? address };
  };
  const home = partitionOf(site.id, partitions);
  const tags = [...timeline.tags, ...spareTags];
  const held = new Set(holders.map(({ tag }) => tag));
  return [
    ...timeline.chargers.map((charger) => name('identity', charger, chargerAddress(site.id, charger))),
    ...tags.map((tag) => name('tag', tag)),
    // The site decides about a card by its own copy.
    ...tags.map((tag) => ({ kind: 'tag', id: projectedId(tagAddress(home, tag)), paid: held.has(tag) })),
    ...seedUsers.map((user) => name('email', user.email, userAddress(user.id))),
    ...[...new Set([...seedCustomers.map(({ id }) => id), ...holders.map(({ customer }) => customer)])].map((id) => ({
      kind: 'customer',
      id,
    })),
  ];
}

/** A card is put without an owner, then with one. */
const cardVersionSown = 2;

/** Throws when the name belongs to somebody else: waiting would not help. */
async function isThere(ground: Ground, { kind, id, owner, paid }: Wanted): Promise<boolean> {
  const found = await ground.lookup(kind, id);
  const card = paid === true ? (found?.context as TagEntryState | undefined) : undefined;
  if (card?.customer === null && card.version <= cardVersionSown) return false;
  if (found === undefined || owner === undefined) return found !== undefined;
  const holder = (found.context as NameState).owner;
  if (holder.kind !== owner.kind || holder.key !== owner.key || holder.id !== owner.id) {
    throw new Error(`the name ${id} belongs to ${holder.kind} ${holder.id}, not to ${owner.kind} ${owner.id}`);
  }
  return found.value === 'confirmed';
}

/** The password that is shown to people must be the one that opens. */
async function checkPassword(ground: Ground, user: SeedUser, password: string): Promise<void> {
  const found = await ground.lookup('user', user.id);
  const { passwordHash } = (found?.context ?? { passwordHash: '' }) as UserState;
  if (passwordHash !== '' && (await verifyPassword(password, passwordHash))) return;
  throw new Error(
    `${user.email} exists with another password than the one in secrets.json: restore that file, ` +
      'or set GRIDTICK_DATA_DIR to another directory',
  );
}

const refusalText = ({ code, detail }: { code: string; detail?: Record<string, unknown> }) =>
  detail === undefined ? code : `${code} ${JSON.stringify(detail)}`;
