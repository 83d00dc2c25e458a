/**
 * Prices of a quote server: a line `SYM,user` asks, a line `price,SYM,user,timestampMs,cryptokey` answers.
 *
 * T1 A socket carries one question at a time, and the next one when the server leaves it open. A socket on which anything
 *    unexpected came is never used again; an answer that is late finds its socket closed.
 * T2 An answer counts only for the symbol and the user of its question, and the line that was answered before never again.
 * T3 Tries, their times, sockets and the length of a line are bounded; past the last try the question has failed.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { e5OfSek } from '../sek.ts';
import { FeedFailed, type FeedAnswer, type QuoteFeed } from './feed.ts';

export interface TcpLimits {
  /** @default 500 */ connectMs?: number;
  /** From the question to the whole line. @default 1_000 */ answerMs?: number;
  /** Tries of one question, the first included. @default 3 */ tries?: number;
  /** Wait before the second try; it doubles. @default 50 */ backoffMs?: number;
  /** Sockets at once; further questions wait for one. @default 16 */ sockets?: number;
}

const lineBytesMax = 1_024;

/** @throws {FeedFailed} `wrong` */
export function parseAnswer(line: string, symbol: string, user: string): FeedAnswer {
  const fields = line.split(',');
  const [price = '', ofSymbol = '', ofUser = '', time = '', key = ''] = fields.map((field) => field.trim());
  const wrong = (reason: string) => new FeedFailed('wrong', `${reason}: '${line.slice(0, 100)}'`);
  if (fields.length !== 5) throw wrong(`an answer of ${fields.length} fields`);
  const priceE5Sek = e5OfSek(price, 5);
  if (priceE5Sek === null || priceE5Sek === 0) throw wrong('no price');
  if (ofSymbol !== symbol || ofUser !== user) throw wrong(`an answer to another question than ${symbol},${user}`);
  if (!/^\d{1,15}$/.test(time)) throw wrong('no time in ms');
  if (!/^[\x21-\x7e]{1,256}$/.test(key)) throw wrong('no key');
  return { symbol, user, priceE5Sek, serverAt: Number(time), serverKey: key };
}

/** An open socket between questions. */
interface Kept {
  socket: Socket;
  /** The line that was answered last. */
  last: string;
  /** What came after it, unasked: the beginning of its copy. */
  extra: string;
}

const questionsWaitingMax = 4_096;
/** A server that closes as soon after its answer is not offered the same connection again. */
const closesWithinMs = 1_000;

export function tcpFeed({ host, port, ...limits }: { host: string; port: number } & TcpLimits): QuoteFeed {
  const { connectMs = 500, answerMs = 1_000, tries = 3, backoffMs = 50, sockets = 16 } = limits;
  const idle: Kept[] = [];
  const open = new Set<Socket>();
  const waiting: (() => void)[] = [];
  let busy = 0;
  let leavesOpen = true;

  function connected(): Promise<Kept> {
    const socket = connect({ host, port, noDelay: true });
    open.add(socket);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => socket.destroy(new Error(`no connection in ${connectMs} ms`)), connectMs);
      let reason = 'closed';
      socket.on('error', (error) => (reason = error.message));
      socket.once('connect', () => {
        clearTimeout(timer);
        resolve({ socket, last: '', extra: '' });
      });
      socket.once('close', () => {
        clearTimeout(timer);
        open.delete(socket);
        reject(new FeedFailed('silent', reason));
      });
    });
  }

  /** One question on one socket. Null: a kept socket was closed before anything new was answered. */
  function asked({ socket, last }: Kept, symbol: string, user: string): Promise<FeedAnswer | null> {
    return new Promise((resolve, reject) => {
      let text = '';
      const finish = (act: () => void) => {
        clearTimeout(timer);
        socket.off('data', onData).off('close', onClose);
        act();
      };
      const fail = (error: FeedFailed) =>
        finish(() => {
          socket.destroy();
          reject(error);
        });
      const timer = setTimeout(() => fail(new FeedFailed('silent', `no answer in ${answerMs} ms`)), answerMs);
      const onClose = () =>
        finish(() => {
          if (last === '' || text !== '') return reject(new FeedFailed('silent', 'closed without an answer'));
          leavesOpen = false;
          resolve(null);
        });
      const answered = (line: string) => {
        try {
          const answer = parseAnswer(line, symbol, user);
          finish(() => {
            if (leavesOpen && text === '' && socket.writable) keep(socket, line);
            else socket.destroy();
            resolve(answer);
          });
        } catch (error) {
          fail(error as FeedFailed);
        }
      };
      const onData = (chunk: Buffer) => {
        text += chunk.toString('latin1');
        for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n')) {
          const line = text.slice(0, end).replace(/\r$/, '');
          text = text.slice(end + 1);
          if (line !== last) return answered(line);
          // Its own time is in an answer, so the same line is the old answer; whether it came twice, only a new socket tells.
          if (line.split(',', 3).slice(1).join() === `${symbol},${user}`)
            return finish(() => {
              socket.destroy();
              resolve(null);
            });
        }
        if (text.length > lineBytesMax) fail(new FeedFailed('wrong', `a line of more than ${lineBytesMax} bytes`));
      };
      socket.on('data', onData).once('close', onClose).ref();
      socket.write(`${symbol},${user}\n`);
    });
  }

  /** Keeps it for the next question, unless something unasked comes or the server closes it. */
  function keep(socket: Socket, last: string): void {
    const kept: Kept = { socket, last, extra: '' };
    const onData = (chunk: Buffer) => {
      kept.extra += chunk.toString('latin1');
      const copies = [`${last}\n`, `${last}\r\n`];
      if (copies.includes(kept.extra)) kept.extra = '';
      else if (!copies.some((copy) => copy.startsWith(kept.extra))) socket.destroy();
    };
    const from = performance.now();
    const drop = () => {
      if (performance.now() < from + closesWithinMs) leavesOpen = false;
      const at = idle.indexOf(kept);
      if (at >= 0) idle.splice(at, 1);
    };
    socket.on('data', onData).once('close', drop).once('end', drop);
    // What waits for the next question keeps no process alive.
    socket.unref();
    takeOut.set(kept, () => socket.off('data', onData).off('close', drop).off('end', drop));
    idle.push(kept);
  }
  const takeOut = new WeakMap<Kept, () => void>();

  async function tryOnce(symbol: string, user: string): Promise<FeedAnswer> {
    for (let kept = idle.pop(); kept !== undefined; kept = idle.pop()) {
      takeOut.get(kept)?.();
      if (kept.extra !== '') kept.socket.destroy();
      else {
        const answer = await asked(kept, symbol, user);
        if (answer !== null) return answer;
      }
    }
    // A new socket is not asked before anything was answered on it, so that null cannot be.
    return (await asked(await connected(), symbol, user)) as FeedAnswer;
  }

  async function turn(): Promise<void> {
    if (waiting.length >= questionsWaitingMax) throw new FeedFailed('silent', `${questionsWaitingMax} questions wait`);
    if (busy < sockets) busy += 1;
    else await new Promise<void>((resolve) => waiting.push(resolve));
  }
  function turnDone(): void {
    const next = waiting.shift();
    if (next) next();
    else busy -= 1;
  }

  return {
    name: `tcp:${host.includes(':') ? `[${host}]` : host}:${port}`,
    async ask(symbol, user) {
      await turn();
      try {
        for (let n = 1; ; n += 1) {
          try {
            return await tryOnce(symbol, user);
          } catch (error) {
            if (!(error instanceof FeedFailed) || n >= tries) throw error;
            await sleep(backoffMs * 2 ** (n - 1));
          }
        }
      } finally {
        turnDone();
      }
    },
    async close() {
      const closing = [...open].filter(({ closed }) => !closed);
      await Promise.all(closing.map((socket) => once(socket.destroy(), 'close')));
    },
  };
}
