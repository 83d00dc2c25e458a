/**
 * Runs an XState machine as a pure reducer: `machine.transition` with one reused inert scope. The public `transition()`
 * builds a whole actor per call and is about ten times slower; a test compares both on random walks.
 */
import type { AnyMachineSnapshot, AnyStateMachine } from 'xstate';
import type { ActorDefinition, ActorEvent, EntityAddress, Output } from '#actors/actor';

export interface Step {
  snapshot: AnyMachineSnapshot;
  outputs: Output[];
}

export interface MachineRunner {
  /** The machine's first snapshot, before any command. */
  initial(self: EntityAddress, now: number): Step;
  /** A snapshot from stored state; throws when the machine knows no such state. */
  restore(value: string, context: unknown): AnyMachineSnapshot;
  step(snapshot: AnyMachineSnapshot, event: ActorEvent): Step;
}

const outputTypes = new Set<string>(['reply', 'refuse', 'emit', 'send', 'arm', 'disarm', 'put', 'drop', 'effect']);
/** More microsteps than any sane statechart takes: an endless loop becomes an error of one command. */
const maxIterations = 1_000;

type Executed = { type: string; params: unknown };
/** `after:` delays arrive as delayed raises whose event type is their own id. */
type Raise = { event: { type: string }; id: string; delay: number | undefined };

export function machineRunner(definition: ActorDefinition): MachineRunner {
  const machine = definition.machine;
  machine.options = { ...machine.options, maxIterations };
  let outputs: Output[] = [];
  let now = 0;

  const execute = (action: Executed) => {
    if (outputTypes.has(action.type)) {
      outputs.push({ type: action.type, params: action.params } as Output);
    } else if (action.type === 'xstate.raise') {
      const { event, id, delay } = action.params as Raise;
      if (delay === undefined) return;
      if (event.type !== id)
        throw new Error(`${definition.kind}: only 'after' delays are durable, not raise '${event.type}'`);
      outputs.push({ type: 'arm', params: { name: id, dueAt: now + delay } });
    } else if (action.type === 'xstate.cancel') {
      outputs.push({ type: 'disarm', params: { name: (action.params as { sendId: string }).sendId } });
    } else {
      throw new Error(`${definition.kind}: an action of type '${action.type}' cannot run inside a transition`);
    }
  };
  const system = { _sendInspectionEvent() {}, scheduler: { schedule() {}, cancel() {}, cancelAll() {} } };
  const self = { id: definition.kind, sessionId: '', system };
  const scope = {
    self,
    system,
    id: definition.kind,
    sessionId: '',
    defer() {},
    logger() {},
    stopChild() {},
    emit() {},
    actionExecutor: execute,
  } as unknown as Parameters<AnyStateMachine['transition']>[2];

  /** Collects what `run` executes; nested calls do not occur, since nothing executes inside a transition. */
  const collect = (at: number, run: () => AnyMachineSnapshot): Step => {
    outputs = [];
    now = at;
    const snapshot = run();
    if (snapshot.status === 'error') throw snapshot.error;
    return { snapshot, outputs };
  };

  return {
    initial: (address, at) => collect(at, () => machine.getInitialSnapshot(scope, { self: address, now: at })),
    restore: (value, context) => machine.resolveState({ value, context }),
    step: (snapshot, event) =>
      collect(event.now, () => machine.transition(snapshot, event, scope) as AnyMachineSnapshot),
  };
}
