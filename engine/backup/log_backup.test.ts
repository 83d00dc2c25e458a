/** Amounts that move between partitions all the time, and a log that is purged all the time, while it is copied. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import pino from 'pino';
import { connectLog, openDoor, provision, purgeCommands, purgeJournal } from '../log/mod.ts';
import { startTestNats } from '../log/testing.ts';
import { startEngine } from '../roles/engine_role.ts';
import { accountAddress, tallyDomain, type Account } from '../simulation/tally.ts';
import { loadLog, saveLog } from './log_backup.ts';

const partitions = 4;
const accounts = Array.from({ length: 24 }, (_, i) => `account-${i}`);
const home = mkdtempSync(join(tmpdir(), 'gridtick-log-backup-'));
const [from, to] = await Promise.all([startTestNats(), startTestNats()]);
const source = await connectLog(from.url, 'source');
const target = await connectLog(to.url, 'target');
const failures: unknown[] = [];

const engineOn = (natsUrl: string) =>
  startEngine({
    config: { natsUrl, partitions },
    domain: { ...tallyDomain, slots: [] },
    log: pino({ level: 'silent' }),
    onFatal: (error) => failures.push(error),
    sinks: [],
  });

afterAll(async () => {
  await Promise.all([source.close(), target.close()]);
  await Promise.all([from.stop(), to.stop()]);
  rmSync(home, { recursive: true, force: true });
});

test(
  'what is under way between partitions when the log is copied arrives once, also behind a purge',
  { timeout: 120_000 },
  async () => {
    await provision(source, { partitions, scale: 0.05 });
    const engine = await engineOn(from.url);
    const door = await openDoor(source, { name: 'test', partitions });
    const ask = (id: string, type: string, body: Record<string, unknown>) =>
      door.request({ id: null, to: accountAddress(id), type, body, timeoutMs: 20_000 });
    await Promise.all(accounts.map((id) => ask(id, 'add', { amount: 1_000 })));
    let moving = true;
    let moved = 0;
    const movers = accounts.map(async (id, i) => {
      for (let n = 1; moving; n++, moved++) {
        const other = accounts[(i + n) % accounts.length]!;
        await ask(id, 'transfer', { to: other === id ? accounts[0]! : other, amount: 1 });
      }
    });
    const purge = async () => {
      for (const [p, owner] of engine.owners.entries()) {
        await owner.snapshot();
        const { commands, journal } = owner.purgeable;
        await purgeCommands(source, p, commands);
        await purgeJournal(source, p, journal);
      }
    };
    await purge();
    await purge();
    for (let round = 0; round < 2; round++) {
      const before = moved;
      await expect.poll(() => moved - before, { timeout: 20_000 }).toBeGreaterThan(100);
      const directory = join(home, String(round));
      mkdirSync(directory);
      // Once on the way: what was copied of this partition does not fit together, and is copied again.
      const purging = round === 1 ? purge() : Promise.resolve();
      const saved = await saveLog(source, partitions, directory);
      await purging;
      await loadLog(target, directory, saved);
      const second = await engineOn(to.url);
      await expect
        .poll(
          () => {
            const all = second.owners.flatMap(({ state }) => [...(state.entities.get('account')?.values() ?? [])]);
            const sum = all.reduce((total, { stored }) => total + (stored.context as unknown as Account).balance, 0);
            const isAtRest = second.owners.every((owner) => owner.isSettled(owner.logEnd));
            return { accounts: all.length, sum, isAtRest };
          },
          { timeout: 20_000 },
        )
        .toEqual({ accounts: accounts.length, sum: accounts.length * 1_000, isAtRest: true });
      await second.close();
      for (const { config } of saved.streams) await target.request(`$JS.API.STREAM.DELETE.${config.name}`);
    }
    moving = false;
    await Promise.all(movers);
    await door.close();
    await engine.close();
    expect(failures).toEqual([]);
  },
);
