/**
 * Chargers that draw what a test wants: they come in through the OCPP door like every charger, so the price that follows is
 * made of load. Each gives 11.04 kW; the demo station has 138 kW, so 10 of them are 80 % and 13 are 104 %.
 */
import { once } from 'node:events';
import { WebSocket } from 'ws';

const powerW = 11_040;
/** Well inside of the 30 s after which a meter counts as silent. */
const sampleEveryMs = 8_000;
const callLimitMs = 20_000;

class Charger {
  readonly #socket: WebSocket;
  readonly #tag: string;
  readonly #answers = new Map<string, (payload: Record<string, unknown>) => void>();
  #calls = 0;
  #startedAt = 0;
  #sampling: NodeJS.Timeout | undefined;

  private constructor(socket: WebSocket, tag: string) {
    this.#socket = socket;
    this.#tag = tag;
    socket.on('message', (data: Buffer) => {
      const [kind, id, ...rest] = JSON.parse(data.toString()) as [number, string, ...unknown[]];
      if (kind === 3) this.#answers.get(id)?.(rest[0] as Record<string, unknown>);
      else if (kind === 2) socket.send(JSON.stringify([4, id, 'NotImplemented', '', {}]));
    });
  }

  /** Connects, registers and lets a car charge. */
  static async charging(door: string, n: number): Promise<Charger> {
    const number = String(n).padStart(4, '0');
    const socket = new WebSocket(`${door}/CP-${number}`, 'ocpp1.6');
    await once(socket, 'open');
    const charger = new Charger(socket, `DEMO${number}`);
    await charger.#start();
    return charger;
  }

  async #start(): Promise<void> {
    await this.#call('BootNotification', { chargePointVendor: 'Gridtick', chargePointModel: 'Test' });
    this.#startedAt = Date.now();
    const { transactionId } = await this.#call('StartTransaction', {
      ...{ connectorId: 1, idTag: this.#tag, meterStart: 0, timestamp: new Date(this.#startedAt).toISOString() },
    });
    await this.#status('Charging');
    const sample = () => this.#sample(Number(transactionId));
    await sample();
    this.#sampling = setInterval(() => void sample(), sampleEveryMs);
  }

  #status(status: string): Promise<unknown> {
    return this.#call('StatusNotification', { connectorId: 1, status, errorCode: 'NoError' });
  }

  #sample(transactionId: number): Promise<unknown> {
    const now = Date.now();
    const wh = Math.trunc((powerW * (now - this.#startedAt)) / 3_600_000);
    const sampledValue = [
      { measurand: 'Power.Active.Import', unit: 'W', value: String(powerW) },
      { measurand: 'Energy.Active.Import.Register', unit: 'Wh', value: String(wh) },
    ];
    const meterValue = [{ timestamp: new Date(now).toISOString(), sampledValue }];
    return this.#call('MeterValues', { connectorId: 1, transactionId, meterValue });
  }

  #call(action: string, payload: Record<string, unknown>): Promise<Record<string, unknown>> {
    const id = `m${++this.#calls}`;
    return new Promise((resolve, reject) => {
      const overdue = setTimeout(() => reject(new Error(`${action}: no answer`)), callLimitMs);
      this.#answers.set(id, (answer) => {
        clearTimeout(overdue);
        this.#answers.delete(id);
        resolve(answer);
      });
      this.#socket.send(JSON.stringify([2, id, action, payload]));
    });
  }

  close(): void {
    clearInterval(this.#sampling);
    this.#socket.close();
  }
}

export class Chargers {
  readonly #door: string;
  readonly #charging: Charger[] = [];

  constructor(door: string) {
    this.#door = door;
  }

  /** Lets cars come until so many charge. */
  async atLeast(count: number): Promise<void> {
    while (this.#charging.length < count)
      this.#charging.push(await Charger.charging(this.#door, this.#charging.length + 1));
  }

  close(): void {
    for (const charger of this.#charging) charger.close();
  }
}
