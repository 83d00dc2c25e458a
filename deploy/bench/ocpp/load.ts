/**
 * A load of chargers as raw WebSockets: no RPC library and no JSON on the way out, so that the server is what is measured.
 *
 * One MeterValues of four sampled values is outstanding per socket (or `--rate` a second over all of them, open loop).
 * Every message has its own id, time and register, every answer is read and judged. Prints JSON lines: {"phase"} when the
 * warm-up and when the measured time ends, the result last.
 *
 *   --url ws://127.0.0.1:9220/ocpp  --identity BENCH-%04d  --tag BENCH-TAG  --sockets 1000  --seconds 30  --warmup 0
 *   --rate N     open loop, messages per second; latency counts from when a message was due
 *   --start      a StartTransaction per socket first; its transaction goes into the samples
 *   --storm      BootNotification only: seconds until the last socket is Accepted
 *   --idle       opens the sockets, prints {"open":N} and holds them for --seconds
 */
import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { endWithParent } from './parent.ts';

endWithParent();
const { values: args } = parseArgs({
  options: {
    url: { type: 'string', default: 'ws://127.0.0.1:9220/ocpp' },
    identity: { type: 'string', default: 'BENCH-%04d' },
    tag: { type: 'string', default: 'BENCH-TAG' },
    sockets: { type: 'string', default: '1000' },
    seconds: { type: 'string', default: '30' },
    warmup: { type: 'string', default: '0' },
    rate: { type: 'string', default: '0' },
    start: { type: 'boolean', default: false },
    storm: { type: 'boolean', default: false },
    idle: { type: 'boolean', default: false },
  },
});

const url = new URL(args.url);
const [sockets, seconds, warmup, rate] = [args.sockets, args.seconds, args.warmup, args.rate].map(Number) as [
  number,
  number,
  number,
  number,
];
const openAtOnce = 200;
const handshakeRetries = 60;

/** Latencies in tenths of a millisecond. */
class Histogram {
  readonly #counts = new Uint32Array(600_001);
  #total = 0;

  add(ms: number): void {
    this.#counts[Math.min(600_000, Math.round(ms * 10))]! += 1;
    this.#total += 1;
  }

  quantileMs(q: number): number {
    let left = Math.ceil(this.#total * q);
    for (let i = 0; i < this.#counts.length; i++) {
      left -= this.#counts[i] as number;
      if (left <= 0) return i / 10;
    }
    return 0;
  }
}

/** A masked text frame; the mask is zero, which is a mask like any other. */
function frame(text: string): Buffer {
  const body = Buffer.from(text, 'latin1');
  const head =
    body.length < 126
      ? Buffer.from([0x81, 0x80 | body.length])
      : Buffer.from([0x81, 0xfe, body.length >> 8, body.length & 255]);
  return Buffer.concat([head, Buffer.alloc(4), body]);
}

const pong = Buffer.from([0x8a, 0x80, 0, 0, 0, 0]);
const idDigits = 10;
const registerDigits = 9;
const zeroTime = '2000-01-01T00:00:00.000Z';

class Charger {
  readonly identity: string;
  #socket: Socket | null = null;
  #rest: Buffer = Buffer.alloc(0);
  #sequence = 0;
  #lastAt = 0;
  #template: Buffer = Buffer.alloc(0);
  #idOffset = 0;
  #timeOffset = 0;
  #registerOffset = 0;
  onMessage: (text: string) => void = () => undefined;
  onClosed: () => void = () => undefined;

  constructor(identity: string) {
    this.identity = identity;
    this.prepare(null);
  }

  /** Builds the message once; only digits change afterwards. */
  prepare(transaction: number | null): void {
    const id = '0'.repeat(idDigits);
    const register = '1'.padEnd(registerDigits, '0');
    const text = JSON.stringify([
      2,
      id,
      'MeterValues',
      {
        connectorId: 1,
        ...(transaction === null ? {} : { transactionId: transaction }),
        meterValue: [
          {
            timestamp: zeroTime,
            sampledValue: [
              { value: '11040', context: 'Sample.Periodic', measurand: 'Power.Active.Import', unit: 'W' },
              { value: register, context: 'Sample.Periodic', measurand: 'Energy.Active.Import.Register', unit: 'Wh' },
              { value: '16.0', context: 'Sample.Periodic', measurand: 'Current.Import', phase: 'L1', unit: 'A' },
              { value: '230.1', context: 'Sample.Periodic', measurand: 'Voltage', phase: 'L1-N', unit: 'V' },
            ],
          },
        ],
      },
    ]);
    this.#template = frame(text);
    this.#idOffset = this.#template.indexOf(`"${id}"`) + 1;
    this.#timeOffset = this.#template.indexOf(zeroTime);
    this.#registerOffset = this.#template.indexOf(`"${register}"`) + 1;
  }

  /** Resolves 101, or the status and the seconds after which to come back. */
  open(): Promise<{ status: number; retryAfterS: number }> {
    return new Promise((resolve, reject) => {
      const socket = connect({ port: Number(url.port), host: url.hostname, noDelay: true });
      let head = '';
      const onHead = (chunk: Buffer) => {
        head += chunk.toString('latin1');
        const end = head.indexOf('\r\n\r\n');
        if (end < 0) return;
        socket.off('data', onHead);
        const status = Number(head.slice(9, 12));
        const retryAfterS = Number(/retry-after: (\d+)/i.exec(head)?.[1] ?? 1);
        if (status === 101) {
          this.#socket = socket;
          socket.on('data', (data) => this.#read(data));
          if (head.length > end + 4) this.#read(Buffer.from(head.slice(end + 4), 'latin1'));
        } else socket.destroy();
        resolve({ status, retryAfterS });
      };
      socket.on('data', onHead);
      socket.on('error', reject);
      socket.on('close', () => this.onClosed());
      socket.write(
        `GET ${url.pathname}/${this.identity} HTTP/1.1\r\nHost: ${url.host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
          `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${randomBytes(16).toString('base64')}\r\n` +
          'Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\nSec-WebSocket-Protocol: ocpp1.6\r\n\r\n',
      );
    });
  }

  send(action: string, payload: object): void {
    const id = String(++this.#sequence).padStart(idDigits, '0');
    this.#socket?.write(frame(JSON.stringify([2, id, action, payload])));
  }

  sendSample(): void {
    const message = Buffer.from(this.#template);
    this.#lastAt = Math.max(this.#lastAt + 1, Date.now());
    message.write(String(++this.#sequence).padStart(idDigits, '0'), this.#idOffset, 'latin1');
    message.write(new Date(this.#lastAt).toISOString(), this.#timeOffset, 'latin1');
    message.write(String(this.#sequence).padStart(registerDigits - 1, '0'), this.#registerOffset + 1, 'latin1');
    this.#socket?.write(message);
  }

  close(): void {
    this.onClosed = () => undefined;
    this.#socket?.destroy();
  }

  #read(data: Buffer): void {
    let bytes = this.#rest.length === 0 ? data : Buffer.concat([this.#rest, data]);
    while (bytes.length >= 2) {
      const short = (bytes[1] as number) & 127;
      const header = short === 126 ? 4 : 2;
      if (bytes.length < header) break;
      const length = short === 126 ? bytes.readUInt16BE(2) : short;
      if (bytes.length < header + length) break;
      const opcode = (bytes[0] as number) & 15;
      if (opcode === 1) this.onMessage(bytes.toString('latin1', header, header + length));
      else if (opcode === 9) this.#socket?.write(pong);
      else if (opcode === 8) this.#socket?.destroy();
      bytes = bytes.subarray(header + length);
    }
    this.#rest = bytes;
  }
}

async function openAll(chargers: Charger[]): Promise<number> {
  let refused = 0;
  let next = 0;
  const worker = async () => {
    for (let charger = chargers[next++]; charger; charger = chargers[next++]) {
      for (let attempt = 0; ; attempt++) {
        const { status, retryAfterS } = await charger.open();
        if (status === 101) break;
        if (status !== 503 || attempt === handshakeRetries) throw new Error(`${charger.identity}: HTTP ${status}`);
        refused += 1;
        await delay(retryAfterS * 1_000);
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(openAtOnce, chargers.length) }, worker));
  return refused;
}

/** Sends one CALL per charger and resolves with all answers. */
const callAll = (chargers: Charger[], action: string, payload: object): Promise<string[]> =>
  Promise.all(
    chargers.map(
      (charger) =>
        new Promise<string>((resolve, reject) => {
          charger.onMessage = resolve;
          charger.onClosed = () => reject(new Error(`${charger.identity} was closed`));
          charger.send(action, payload);
        }),
    ),
  );

async function storm(chargers: Charger[]): Promise<object> {
  const started = performance.now();
  let accepted = 0;
  let refused = 0;
  // All come at once, as after a power cut; each boots as soon as it is in.
  await Promise.all(
    chargers.map(async (charger) => {
      refused += await openAll([charger]);
      const [answer = ''] = await callAll([charger], 'BootNotification', {
        chargePointVendor: 'Bench',
        chargePointModel: 'Storm',
      });
      if (answer.includes('"Accepted"')) accepted += 1;
    }),
  );
  return { sockets: chargers.length, accepted, refused, seconds: (performance.now() - started) / 1_000 };
}

async function load(chargers: Charger[]): Promise<object> {
  await openAll(chargers);
  if (args.start) {
    const start = { connectorId: 1, idTag: args.tag, meterStart: 100_000_000, timestamp: new Date().toISOString() };
    const answers = await callAll(chargers, 'StartTransaction', start);
    answers.forEach((answer, i) =>
      chargers[i]?.prepare((JSON.parse(answer) as [number, string, { transactionId: number }])[2].transactionId),
    );
  }
  let [sent, answered, errors, closed] = [0, 0, 0, 0];
  let latencies = new Histogram();
  let ended = false;
  const idle: Charger[] = [];
  const due: number[] = [];
  const sentAt = new Map<Charger, number>();
  const send = (charger: Charger, at: number) => {
    sentAt.set(charger, at);
    sent += 1;
    charger.sendSample();
  };
  for (const charger of chargers) {
    charger.onClosed = () => (closed += 1);
    charger.onMessage = (text) => {
      const now = performance.now();
      if (text.startsWith('[3,')) answered += 1;
      else errors += 1;
      latencies.add(now - (sentAt.get(charger) ?? now));
      if (ended) return;
      if (rate === 0) send(charger, now);
      else if (due.length > 0) send(charger, due.shift() as number);
      else idle.push(charger);
    };
  }
  const began = performance.now();
  let planned = 0;
  const pace = setInterval(() => {
    const now = performance.now();
    for (; planned < ((now - began) / 1_000) * rate; planned++) {
      const at = began + (planned / rate) * 1_000;
      const charger = idle.shift();
      if (charger) send(charger, at);
      else due.push(at);
    }
  }, 5);
  if (rate === 0) for (const charger of chargers) send(charger, began);
  else idle.push(...chargers);

  await delay(warmup * 1_000);
  const measured = { sent, answered, errors };
  console.log(JSON.stringify({ phase: 'measured', answered }));
  latencies = new Histogram();
  const from = performance.now();
  await delay(seconds * 1_000);
  ended = true;
  const elapsed = (performance.now() - from) / 1_000;
  clearInterval(pace);
  console.log(JSON.stringify({ phase: 'over', answered, waiting: due.length }));
  const result = {
    sockets,
    sent: sent - measured.sent,
    answered: answered - measured.answered,
    errors: errors - measured.errors,
    closed,
    perSecond: Math.round((answered - measured.answered) / elapsed),
    p50Ms: latencies.quantileMs(0.5),
    p99Ms: latencies.quantileMs(0.99),
    p999Ms: latencies.quantileMs(0.999),
    seconds: elapsed,
    rate,
  };
  // What is under way may still be answered.
  for (let i = 0; i < 100 && answered + errors < sent && closed === 0; i++) await delay(100);
  return { ...result, answeredInAll: answered, errorsInAll: errors, sentInAll: sent };
}

async function hold(chargers: Charger[]): Promise<object> {
  await openAll(chargers);
  console.log(JSON.stringify({ open: chargers.length }));
  await delay(seconds * 1_000);
  return { held: chargers.length, seconds };
}

const chargers = Array.from(
  { length: sockets },
  (_, i) =>
    new Charger(
      args.identity.replace(/%0?(\d*)d/, (_match, width: string) => String(i + 1).padStart(Number(width), '0')),
    ),
);
console.log(JSON.stringify(await (args.storm ? storm : args.idle ? hold : load)(chargers)));
for (const charger of chargers) charger.close();
process.exit(0);
