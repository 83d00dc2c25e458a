/**
 * Chargers of the money tests: real sockets to the gateway, a meter of their own, one message at a time, sent again over a
 * new socket until it is answered. They live in the test's process, which nobody kills.
 */
import { openCharger, type RawCharger } from '#gateway/ocpp/testing/charger';
import type { Drawn, Reading } from '#engine/simulation/money_plugs';
import type { Random } from '#gateway/simulator/random';
import { plugRatedW, tags, type PlugPlan } from './money_plan.ts';
import { sleep } from './installation.ts';

/** An answer that takes longer is asked for again, over another socket. */
const answerMsMax = 4_000;

export class Plug {
  /** Sessions whose stop has been answered. */
  readonly drawn: Drawn[] = [];
  readonly #port: number;
  readonly #plan: PlugPlan;
  readonly #random: Random;
  #socket: RawCharger | null = null;
  #messages = 0;
  #registerWh = 1_000;
  #isStopping = false;
  #running: Promise<void> | null = null;
  /** Messages that were sent more than once. */
  resent = 0;

  constructor(port: number, plan: PlugPlan, random: Random) {
    this.#port = port;
    this.#plan = plan;
    this.#random = random;
  }

  /** One session after the other. */
  begin(): void {
    this.#running = (async () => {
      while (!this.#isStopping) await this.#session();
    })();
  }

  /** Resolves when the last session is over and answered. */
  async rest(): Promise<void> {
    this.#isStopping = true;
    await this.#running;
    this.#socket?.close();
  }

  async #session(): Promise<void> {
    const { tag, customer } = tags[this.#random.below(tags.length)]!;
    const first: Reading = { at: Date.now(), registerWh: this.#registerWh };
    const { transactionId: transaction } = await this.#call<{ transactionId: number }>('StartTransaction', {
      connectorId: 1,
      idTag: tag,
      meterStart: first.registerWh,
      timestamp: new Date(first.at).toISOString(),
    });
    const readings = [first];
    for (let n = 1 + this.#random.below(6); n > 0; n--) {
      const reading = await this.#draw();
      readings.push(reading);
      await this.#call('MeterValues', {
        connectorId: 1,
        transactionId: transaction,
        meterValue: [
          {
            timestamp: new Date(reading.at).toISOString(),
            sampledValue: [
              // What the station feels differs from what flows, so that prices move while much energy does.
              { value: String(this.#random.below(40_000)), measurand: 'Power.Active.Import', unit: 'W' },
              { value: String(reading.registerWh), measurand: 'Energy.Active.Import.Register', unit: 'Wh' },
            ],
          },
        ],
      });
    }
    const stop = await this.#draw();
    readings.push(stop);
    await this.#call('StopTransaction', {
      transactionId: transaction,
      meterStop: stop.registerWh,
      timestamp: new Date(stop.at).toISOString(),
      reason: 'Local',
    });
    const { station } = this.#plan;
    this.drawn.push({ transaction, station, customer, readings, end: 'stopped', late: 0 });
  }

  async #draw(): Promise<Reading> {
    const from = Date.now();
    await sleep(200 + this.#random.below(900));
    const at = Date.now();
    this.#registerWh += Math.floor((plugRatedW * (at - from)) / 3_600_000);
    return { at, registerWh: this.#registerWh };
  }

  async #call<Answer>(action: string, payload: Record<string, unknown>): Promise<Answer> {
    for (let times = 0; ; times++) {
      if (times > 0) this.resent += 1;
      try {
        const socket = (this.#socket ??= await this.#open());
        return await this.#answer<Answer>(socket, action, payload);
      } catch (error) {
        if (error instanceof Misunderstood) throw error;
        this.#socket?.close();
        this.#socket = null;
        await sleep(100);
      }
    }
  }

  async #open(): Promise<RawCharger> {
    const socket = await openCharger(this.#port, `/ocpp/${this.#plan.charger}`);
    await this.#answer(socket, 'BootNotification', { chargePointVendor: 'Acme', chargePointModel: 'Wall 360' });
    return socket;
  }

  async #answer<Answer>(socket: RawCharger, action: string, payload: Record<string, unknown>): Promise<Answer> {
    const id = `m${(this.#messages += 1)}`;
    const overdue = setTimeout(() => socket.close(), answerMsMax);
    try {
      const [type, answered, answer, text] = (await socket.call(action, payload, id)) as [
        number,
        string,
        never,
        string,
      ];
      if (answered !== id) throw new Error(`answer to ${answered}`);
      if (type === 3) return answer;
      // The log is out of reach: the same again, later.
      if (answer === 'InternalError' || answer === 'GenericError') throw new Error(answer);
      throw new Misunderstood(`${action}: ${answer as string} ${text}`);
    } finally {
      clearTimeout(overdue);
    }
  }
}

class Misunderstood extends Error {
  override readonly name = 'Misunderstood';
}
