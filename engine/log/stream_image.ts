/**
 * A whole stream out of a server and into one, by JetStream's own snapshot and restore: sequences, store times, headers and
 * the limits of the stream come out as they were. The image is the server's (a compressed tar); it is consistent in itself,
 * a beginning of the stream at least as long as it was when asked, also while it is being written to and purged.
 */
import type { Msg, NatsConnection } from '@nats-io/transport-node';
import { jsApi } from './api.ts';
import { watchConnection } from './connection.ts';
import { LogApiError } from './errors.ts';
import { newInbox } from './subjects.ts';

export type StreamConfig = Record<string, unknown> & { name: string };
/** As the server tells it; sequences and bytes. */
export interface StreamState {
  messages: number;
  bytes: number;
  first_seq: number;
  last_seq: number;
}
export interface StreamHead {
  config: StreamConfig;
  state: StreamState;
}

const chunkBytes = 256 * 1024;
/** A server that says nothing for so long is gone; it reads whole blocks of the stream before it says something. */
const silentMsMax = 60_000;
/** The server unpacks and checks everything before it answers the end of an image. */
const unpackMsMax = 600_000;

/** No more of the image will come; what was taken of it is no image. */
export class ImageBroken extends Error {
  override readonly name = 'ImageBroken';
}

/**
 * Hands the image over piece by piece, the next when the last was taken. Memory: what the server sends ahead, about 8 MiB.
 * @param withConsumers whether the positions of durable consumers belong to it
 * @throws {LogApiError} when there is no such stream, {@link ImageBroken} when it ends in the middle
 */
export async function saveStream(
  nc: NatsConnection,
  name: string,
  withConsumers: boolean,
  onChunk: (bytes: Uint8Array) => Promise<void>,
): Promise<StreamHead> {
  const inbox = newInbox();
  const arrived: Msg[] = [];
  let broken: string | null = null;
  let wake = () => {};
  const subscription = nc.subscribe(inbox, {
    callback: (error, message) => {
      if (error) broken = error.message;
      else arrived.push(message);
      wake();
    },
  });
  const unwatch = watchConnection(nc, {
    lost() {
      broken = 'the connection was lost';
      wake();
    },
    back() {},
  });
  try {
    const head = await jsApi<StreamHead>(nc, `STREAM.SNAPSHOT.${name}`, {
      deliver_subject: inbox,
      no_consumers: !withConsumers,
      chunk_size: chunkBytes,
    });
    for (let index = 1; ;) {
      const message = arrived.shift();
      if (message) {
        if (message.data.length === 0) {
          if ((message.headers?.code ?? 204) >= 400) throw new ImageBroken(`${name}: ${message.headers!.description}`);
          return { config: head.config, state: head.state };
        }
        // `$JS.SNAPSHOT.ACK.<stream>.<id>.<bytes>.<index>`; the last piece asks for no answer.
        const numbered = message.reply?.split('.').at(-1);
        if (numbered !== undefined && Number(numbered) !== index)
          throw new ImageBroken(`${name}: piece ${numbered} came instead of ${index}`);
        index += 1;
        await onChunk(message.data);
        message.respond();
        continue;
      }
      if (broken !== null) throw new ImageBroken(`${name}: ${broken as string}`);
      const inTime = await new Promise<boolean>((resolve) => {
        const late = setTimeout(() => resolve(false), silentMsMax);
        wake = () => {
          clearTimeout(late);
          resolve(true);
        };
      });
      if (!inTime) throw new ImageBroken(`${name}: the server sent nothing for ${silentMsMax / 1_000} s`);
    }
  } finally {
    unwatch();
    subscription.unsubscribe();
  }
}

/**
 * Creates a stream from its image.
 * @throws {LogApiError} when there is a stream of that name, or the image is none
 */
export async function loadStream(
  nc: NatsConnection,
  { config, state }: StreamHead,
  chunks: AsyncIterable<Uint8Array>,
): Promise<void> {
  const request = `STREAM.RESTORE.${config.name}`;
  const { deliver_subject: to } = await jsApi<{ deliver_subject: string }>(nc, request, { config, state });
  const send = async (bytes: Uint8Array, timeout: number) => {
    const { data } = await nc.request(to, bytes, { timeout });
    if (data.length === 0) return;
    const { error } = JSON.parse(new TextDecoder().decode(data)) as {
      error?: { code: number; err_code?: number; description?: string };
    };
    if (error) throw new LogApiError(request, error.err_code ?? error.code, error.description ?? 'no description');
  };
  for await (const bytes of chunks)
    for (let from = 0; from < bytes.length; from += chunkBytes)
      await send(bytes.subarray(from, from + chunkBytes), silentMsMax);
  await send(new Uint8Array(), unpackMsMax);
}
