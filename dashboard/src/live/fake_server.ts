/** A stand-in for the live server: tests say what it sends and read what it got. */
import type { ClientFrame, LiveEvent, ServerFrame } from '#gateway/schema/live';
import type { SocketLike } from './live.ts';

export class FakeSocket implements SocketLike {
  readyState = 0 as WebSocket['readyState'];
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: ((event: { code: number }) => void) | null = null;
  /** Everything but pings and pongs. */
  readonly got: ClientFrame[] = [];
  pings = 0;

  send(data: string): void {
    const frame = JSON.parse(data) as ClientFrame;
    if (frame.op === 'ping') this.pings += 1;
    else if (frame.op !== 'pong') this.got.push(frame);
  }
  /** The client closes; a browser tells it so later, and nobody waits for that. */
  close(): void {
    this.readyState = 3;
  }

  accept(): void {
    this.readyState = 1;
    this.onopen?.();
  }
  say(frame: ServerFrame): void {
    this.onmessage?.({ data: JSON.stringify(frame) });
  }
  drop(code = 1006): void {
    this.readyState = 3;
    this.onclose?.({ code });
  }

  snap(id: number, cursor: string, data: Record<string, unknown> = {}): void {
    this.say({ op: 'snap', id, cursor, now: 0, data });
  }
  delta(id: number, prev: string, cursor: string, set: Record<string, unknown>, del: string[] = []): void {
    this.say({ op: 'delta', id, prev, cursor, now: 0, set, del });
  }
  event(id: number, prev: string, cursor: string, event: LiveEvent): void {
    this.say({ op: 'event', id, prev, cursor, now: 0, event });
  }
}
