/** Callers that each send their next request when the last one is answered, for a warm-up and a time that is measured. */
export interface Phase {
  /** What is answered now counts. */
  measured: boolean;
  /** Nobody sends any more. */
  over: boolean;
}

/**
 * Runs `callers` loops until the time is over, and tells the parent process where the measured time begins and ends.
 * @returns the measured time, s
 */
export async function closedLoop(
  { callers, warmUpS, measuredS }: { callers: number; warmUpS: number; measuredS: number },
  loop: (caller: number, phase: Readonly<Phase>) => Promise<void>,
): Promise<number> {
  const phase: Phase = { measured: false, over: false };
  const all = Promise.all(Array.from({ length: callers }, (_, caller) => loop(caller, phase)));
  const seconds = (s: number) => new Promise((resolve) => setTimeout(resolve, s * 1_000));
  await seconds(warmUpS);
  process.send?.({ phase: 'measured' });
  phase.measured = true;
  const startedAt = performance.now();
  await seconds(measuredS);
  phase.measured = false;
  const elapsedS = (performance.now() - startedAt) / 1_000;
  process.send?.({ phase: 'end' });
  phase.over = true;
  await all;
  return elapsedS;
}
