/** Answers pings and does nothing else: what the kill of a process costs when there is nothing to take over. */
import { connectLog } from '#engine/log/mod';

const nc = await connectLog(process.env['GRIDTICK_NATS_URL']!, 'bare');
nc.subscribe('bare.ping', { callback: (_error, message) => void message.respond() });
await nc.flush();
process.stdout.write('ready\n');
