import { gatewaySilenceMs } from '#actors/gateway';

/** Every bound of the OCPP edge in one place. Durations in ms; tests and benchmarks pass their own. */
export interface Limits {
  /** Largest message a charger may send, bytes, after inflating; beyond it the socket closes 1009. */
  messageBytes: number;
  /** Deepest nesting of a payload. */
  jsonDepth: number;
  /** CALLs per second and charger, sustained; beyond the burst the socket is not read for a while. */
  callsPerSecond: number;
  callBurst: number;
  /** CALLs that may wait behind the one in work; reading stops there and goes on at `resumeAt`. */
  waitingCalls: number;
  resumeAt: number;
  /** CALLs handled in one turn of the event loop, so that timers, pings and acknowledgements stay on time under load. */
  callsPerTurn: number;
  /** Remembered answers per connection, found by message id. */
  rememberedAnswers: number;
  /** Unreadable frames in a row that close the socket (1002). */
  unreadableFrames: number;
  /** Hard stop of an answer: StatusNotification, MeterValues, Boot, Start, Stop. */
  answerMs: number;
  /** Hard stop of Authorize and DataTransfer. */
  shortAnswerMs: number;
  /** How long a new socket may wait for the grant of its connection. */
  grantMs: number;
  pingMs: number;
  /** Spread of the ping interval, 0.2 = ± 20 %. */
  pingJitter: number;
  /** Heartbeats of one charger are passed on at most this often. */
  aliveMs: number;
  gatewayAliveMs: number;
  /** Log time without a sign of life after which the sockets of this gateway count as lost. */
  gatewayHoldsMs: number;
  /** Period of the one timer that looks at deadlines, pings, rates and congestion. */
  sweepMs: number;
  /** Unacknowledged appends of this gateway at which sockets are no longer read. */
  unackedAppends: number;
  /**
   * How far the engine may be behind a charger's partition before its sockets are no longer read. Facts are never refused
   * for it, they come later; an engine that is away does not count, because the log takes facts in without it.
   */
  pauseAtEngineLagMs: number;
  /** p99 of the event loop's lag at which sockets are no longer read, and at which upgrades are halved. */
  pauseAtLagMs: number;
  halveUpgradesAtLagMs: number;
  /** Without a publish acknowledgement for this long, the log counts as down. */
  breakerMs: number;
  /** Time over which all sockets are closed when the log is down. */
  evictMs: number;
  /** A socket that buffers more than this for `slowReaderMs` is dropped (4002). */
  bufferedBytes: number;
  slowReaderMs: number;
  upgradesPerSecond: number;
  upgradeBurst: number;
  openHandshakes: number;
  handshakeMs: number;
  /** A refused password is not answered before this. */
  refusalFloorMs: number;
  /** Budget of a shutdown: a quarter for CALLs in work (5 s at most), half for jittered closes. */
  stopMs: number;
}

export const defaultLimits: Limits = {
  messageBytes: 256 * 1024,
  jsonDepth: 16,
  callsPerSecond: 20,
  callBurst: 200,
  waitingCalls: 16,
  resumeAt: 4,
  callsPerTurn: 128,
  rememberedAnswers: 64,
  unreadableFrames: 50,
  answerMs: 10_000,
  shortAnswerMs: 5_000,
  grantMs: 10_000,
  pingMs: 30_000,
  pingJitter: 0.2,
  aliveMs: 300_000,
  gatewayAliveMs: 5_000,
  gatewayHoldsMs: gatewaySilenceMs,
  sweepMs: 250,
  unackedAppends: 4_096,
  pauseAtEngineLagMs: 250,
  pauseAtLagMs: 100,
  halveUpgradesAtLagMs: 50,
  breakerMs: 5_000,
  evictMs: 5_000,
  bufferedBytes: 256 * 1024,
  slowReaderMs: 10_000,
  upgradesPerSecond: 400,
  upgradeBurst: 800,
  openHandshakes: 256,
  handshakeMs: 10_000,
  refusalFloorMs: 1_000,
  stopMs: 8_000,
};

/**
 * Where the log's clock is driven, a charger's hour may pass in a second: how much it may say in a second is no sign of
 * anything, and a gateway that is lost shows when its chargers come to another one.
 */
export const drivenLimits: Partial<Limits> = {
  callsPerSecond: 100_000,
  callBurst: 100_000,
  gatewayHoldsMs: 365 * 24 * 3_600_000,
};

/**
 * Bounds that a benchmark or a test lifts in a real gateway process: `GRIDTICK_TEST_OCPP_LIMITS` holds them as JSON, e.g.
 * `{"callsPerSecond":100000,"callBurst":100000}`. No setting, because an operator should never need it.
 * Throws when it names no bound, or gives one that is no positive number.
 */
export function limitsForTest(env: Readonly<Record<string, string | undefined>>): Partial<Limits> {
  const given = env['GRIDTICK_TEST_OCPP_LIMITS'];
  if (!given) return {};
  const limits = JSON.parse(given) as Partial<Limits>;
  for (const [name, value] of Object.entries(limits) as [string, unknown][]) {
    if (!(name in defaultLimits)) throw new Error(`GRIDTICK_TEST_OCPP_LIMITS: there is no bound '${name}'`);
    if (!(typeof value === 'number' && value > 0))
      throw new Error(`GRIDTICK_TEST_OCPP_LIMITS: ${name} must be a number above 0`);
  }
  return limits;
}
