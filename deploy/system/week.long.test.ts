/**
 * A recorded week of 52 plugs through the real doors, as fast as it goes: what it must come to, the same again under kill -9,
 * and the same again with every message twice. GRIDTICK_TEST_SEED chooses other kills.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { gridtick, playDays, type PlayedDays } from './played_days.ts';

const file = join(import.meta.dirname, '../../../shared/data/ev/acn_jpl_sessions_2018_2021.csv.gz');
const seed = Number(process.env.GRIDTICK_TEST_SEED || Date.now() % 1_000_000);
const say = (text: string) => console.log(text);
const week = ['--sessions', file, '--zone', 'America/Los_Angeles', '--from', '2019-05-13', '--to', '2019-05-20'];
/** Room for the whole week in the log, so that all of it can be executed again. */
const env = { GRIDTICK_LOG_SCALE: '4' };

const there = existsSync(file);
describe.skipIf(!there)(there ? 'a recorded week' : 'a recorded week: skipped, the recording is not here', () => {
  let undisturbed: PlayedDays;
  beforeAll(async () => {
    undisturbed = await playDays({ args: [...week, '--speed', 'max'], env, limitMs: 1_200_000, say });
  }, 1_300_000);
  afterAll(() => undisturbed?.installation.dispose());

  test('comes to its known peak, its minutes by load, its sessions and energy; no ledger makes or loses anything', () => {
    const { report, wallMs } = undisturbed;
    const [station] = report.stations;
    expect(report.stations).toHaveLength(1);
    expect(station).toMatchObject({ capacityW: 195_000, peakW: 310_200, peakBp: 15_908 });
    expect(new Date(station!.peakAt).toISOString().slice(0, 16)).toBe('2019-05-15T14:32');
    const { normal, double, triple, capped } = station!.minutes;
    for (const [minutes, wanted] of [
      [normal, 9_205],
      [double, 194],
      [triple, 186],
      [capped, 176],
    ] as const)
      expect(Math.abs(minutes - wanted), `${minutes} min, wanted ${wanted}`).toBeLessThanOrEqual(5);
    expect(report.sessions).toMatchObject({ ended: 391, doubled: 0, unlikeRegisters: 0 });
    // The recording's 5,797.60 kWh; a register counts whole Wh.
    expect(Math.abs(report.sessions.energyWh - 5_797_600)).toBeLessThanOrEqual(391);
    expect(report.sessions.energyWh).toBe(report.played.energyWh);
    expect(report.ledgers.map(({ ledger, sum }) => [ledger, sum])).toEqual([
      ['SEK', 0],
      ['Wh', 0],
    ]);
    expect(wallMs).toBeLessThan(600_000);
  });

  test('executed again from its commands it is the same on every partition, and nothing is made or lost', async () => {
    say(await gridtick(undisturbed.installation, 'replay', '--verify'));
    expect(await gridtick(undisturbed.installation, 'verify')).toContain('clean');
  }, 1_300_000);

  test(`under 30 kill -9 it is the same ledger and the same rows (seed ${seed})`, async () => {
    const kills = { seed, kills: 30, supervisors: 4 };
    const killed = await playDays({ args: [...week, '--speed', 'max'], env, kills, limitMs: 2_000_000, say });
    try {
      expect(killed.ledgerHash).toBe(undisturbed.ledgerHash);
      expect(killed.views).toEqual(undisturbed.views);
    } finally {
      await killed.installation.dispose();
    }
  }, 2_400_000);

  test('with every message twice, shuffled, over two sockets, it is the same sessions, energy and ledger', async () => {
    const twice = { ...env, GRIDTICK_SIMULATOR_DOUBLES: '1' };
    const day = ['--sessions', file, '--zone', 'America/Los_Angeles', '--from', '2019-05-15', '--to', '2019-05-16'];
    const args = [...day, '--speed', 'max'];
    const once = await playDays({ args, env, limitMs: 900_000, say });
    await once.installation.stop();
    const doubled = await playDays({ args, env: twice, limitMs: 900_000, say });
    try {
      expect(doubled.ledgerHash).toBe(once.ledgerHash);
      expect(doubled.views['sessions']).toEqual(once.views['sessions']);
      expect(doubled.views['ledger_entries']).toEqual(once.views['ledger_entries']);
    } finally {
      await doubled.installation.dispose();
      await once.installation.dispose();
    }
  }, 2_400_000);
});
