/** What callers of the tally's world ask for: sensible things and others, some of them twice under the same id, or later again. */
import type { CommandEnvelope } from '../wire.ts';
import { accountAddress } from './tally.ts';
import type { Chance } from './world.ts';

const accounts = Array.from({ length: 6 }, (_, i) => `acct-${i}`);
const againMax = 8;

export class Caller {
  readonly #chance: Chance;
  readonly #seed: number;
  #ids = 0;
  /** Commands by door and account. */
  readonly #counts = new Map<string, number>();
  readonly #earlier: CommandEnvelope[] = [];

  constructor(chance: Chance, seed: number) {
    this.#chance = chance;
    this.#seed = seed;
  }

  /** Batches of commands to send at a door, each to one account. */
  next(door: number): CommandEnvelope[][] {
    const chance = this.#chance;
    const account = accounts[chance.below(accounts.length)]!;
    const batches: CommandEnvelope[][] = [];
    // One door's callers draw ids, the other's count; the first is one that creates the account.
    const count = (this.#counts.get(`${door}|${account}`) ?? 0) + 1;
    this.#counts.set(`${door}|${account}`, count);
    const id = door === 0 ? `00000000-${this.#seed}-${++this.#ids}` : `series-${account}:${count}`;
    const command = count === 1 ? this.#envelope(id, account, 'add', { amount: 7 }) : this.#command(id, account);
    // Some callers retry what was already stored: the same id twice in a frame.
    batches.push(chance.of(10) ? [command, command] : [command]);
    this.#earlier.push(command);
    if (this.#earlier.length > againMax) this.#earlier.shift();
    // Others come again later, perhaps at another door.
    if (chance.of(15)) batches.push([this.#earlier[chance.below(this.#earlier.length)]!]);
    return batches;
  }

  #command(id: string, account: string): CommandEnvelope {
    const chance = this.#chance;
    const roll = chance.below(100);
    const envelope = (type: string, body: Record<string, unknown>) => this.#envelope(id, account, type, body);
    if (roll < 38) return envelope('add', { amount: 1 + chance.below(100) });
    if (roll < 66)
      return envelope('transfer', { to: accounts[chance.below(accounts.length)]!, amount: 1 + chance.below(50) });
    if (roll < 72) return envelope('wait', { ms: chance.below(1_500) });
    if (roll < 84) return envelope('alarm', { ms: chance.below(1_500) });
    if (roll < 87) return envelope('silence', {});
    if (roll < 90) return envelope('add', { amount: 5_000 });
    if (roll < 93) return envelope('explode', {});
    if (roll < 95) return envelope('spoil', {});
    if (roll < 98) return envelope('bloat', { bytes: chance.of(5) ? 1_000_000 : 2_000 });
    return envelope('add', { amount: 'many' });
  }

  #envelope(id: string, account: string, type: string, body: Record<string, unknown>): CommandEnvelope {
    return {
      id,
      to: accountAddress(account),
      type,
      body,
      reply: { inbox: 'i', token: 0 },
      deadline: 0,
      correlation: null,
    };
  }
}
