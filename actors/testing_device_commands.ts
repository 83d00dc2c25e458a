/** The gateway's part in commands to chargers, played by hand: what is on the wire, and what comes of it. */
import { deviceCommandAddress, gatewayAddress } from './addresses.ts';
import type {
  CommandWrite,
  DeviceAnswer,
  DeviceCommandState,
  DeviceCommandValue,
  DeviceCommandView,
  DeviceOrder,
} from './schema/device_commands.ts';
import type { Result, TestCharger, TestWorld } from './testing.ts';

const accepted: DeviceAnswer = { outcome: 'accepted', status: 'Accepted', description: '', values: [], unknown: [] };

export class TestCommands {
  readonly world: TestWorld;
  readonly charger: TestCharger;
  #ids = 0;
  #seen = 0;

  constructor(charger: TestCharger) {
    this.world = charger.world;
    this.charger = charger;
  }

  /** Effects for gateways since the last look, closes of connections left out. */
  writes(): CommandWrite[] {
    const effects = this.world.effects.slice(this.#seen);
    this.#seen = this.world.effects.length;
    return effects
      .filter(({ kind }) => kind === 'command.write')
      .map(({ body }) => body as unknown as CommandWrite)
      .filter(({ charger }) => charger === this.charger.id);
  }

  try(order: DeviceOrder, id = `c${++this.#ids}`, requestedBy = 'ola'): Result {
    const to = deviceCommandAddress(this.charger.site, id);
    return this.world.send(to, 'command.request', { charger: this.charger.id, requestedBy, ...order });
  }

  /** Throws on a refusal. Returns the id. */
  ask(order: DeviceOrder, id = `c${++this.#ids}`): string {
    const result = this.try(order, id);
    if (!result.ok) throw new Error(`refused: ${result.code}`);
    return id;
  }

  cancel(id: string): Result {
    return this.#tell(id, 'command.cancel', {});
  }
  written({ command, call, release }: CommandWrite) {
    this.#tell(command, 'command.written', { call, release });
  }
  answer({ command, call, release }: CommandWrite, answer: Partial<DeviceAnswer> = {}) {
    this.#tell(command, 'command.answered', { call, release, answer: { ...accepted, ...answer } });
  }
  unanswered({ command, call, release }: CommandWrite, reason: 'timeout' | 'expired' = 'timeout') {
    this.#tell(command, 'command.unanswered', { call, release, reason });
  }
  /** Written and answered. */
  take(write: CommandWrite, answer: Partial<DeviceAnswer> = {}) {
    this.written(write);
    this.answer(write, answer);
  }

  #tell(id: string, type: string, body: object): Result {
    const to = deviceCommandAddress(this.charger.site, id);
    return this.world.send(to, type, { charger: this.charger.id, ...body });
  }

  stored(id: string) {
    const stored = this.world.get<DeviceCommandState>(deviceCommandAddress(this.charger.site, id));
    return stored && { value: stored.value as DeviceCommandValue, state: stored.context };
  }
  /** Time passes, and the gateway of the charger stays alive. */
  wait(ms: number) {
    const { world, charger } = this;
    for (const until = world.now + ms; world.now < until; world.advance(Math.min(5_000, until - world.now))) {
      const gateway = charger.state.context.connection?.gateway;
      const { partition } = world.partitionOf(charger.site);
      if (gateway) world.ask(gatewayAddress(partition, gateway), 'gateway.alive', { gateway });
    }
  }
  /** `<state>`, or `<state>: <reason>`. */
  stateOf(id: string): string {
    const stored = this.stored(id);
    if (!stored) return 'gone';
    return stored.state.reason === null ? stored.value : `${stored.value}: ${stored.state.reason}`;
  }
  /** States that the world was told of, in order. */
  told(id: string): string[] {
    return this.world
      .payloads('charger')
      .filter(({ kind, detail }) => kind === 'command' && detail['command'] === id)
      .map(({ detail }) => (detail as unknown as DeviceCommandView).state);
  }
}
