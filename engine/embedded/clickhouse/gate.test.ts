import { expect, test } from 'vitest';
import { exception, fromEngine, httpStatus } from './exception.ts';
import { Gate } from './gate.ts';

const never = new AbortController().signal;

test('two run, one waits in turn, the fourth is refused as too many', async () => {
  const gate = new Gate(2, 1);
  const leave = await gate.enter(never);
  await gate.enter(never);
  const order: string[] = [];
  const third = gate.enter(never).then((l) => (order.push('third'), l));
  await expect(gate.enter(never)).rejects.toMatchObject({ code: 202, type: 'TOO_MANY_SIMULTANEOUS_QUERIES' });
  order.push('left');
  leave();
  leave();
  await third;
  expect(order).toEqual(['left', 'third']);
  // The second call of `leave` gave no second place.
  const fourth = gate.enter(never);
  expect(await Promise.race([fourth.then(() => 'in'), new Promise((r) => setImmediate(() => r('waits')))])).toBe(
    'waits',
  );
  (await third)();
  await fourth;
});

test('one who goes away while waiting gives the place in the queue back', async () => {
  const gate = new Gate(1, 1);
  const leave = await gate.enter(never);
  const away = new AbortController();
  const waiting = gate.enter(away.signal);
  away.abort();
  await expect(waiting).rejects.toMatchObject({ type: 'QUERY_WAS_CANCELLED' });
  const next = gate.enter(never);
  leave();
  await next;
  await expect(gate.enter(away.signal)).rejects.toThrow();
});

test('errors of the engine keep code, name and text, also when an insert wrapped them', () => {
  const plain = fromEngine(new Error("Code: 60. DB::Exception: Unknown table 'x (y)'. (UNKNOWN_TABLE)"));
  expect([plain.code, plain.type, plain.message, httpStatus(plain)]).toEqual([
    60,
    'UNKNOWN_TABLE',
    "Unknown table 'x (y)'.",
    404,
  ]);
  const wrapped = fromEngine(
    new Error(
      'Code: 27. DB::Exception: Code: 27. DB::Exception: Bad row. (CANNOT_PARSE) (version 26.7.2.1). (CANNOT_PARSE)',
    ),
  );
  expect([wrapped.code, wrapped.type, wrapped.message]).toEqual([27, 'CANNOT_PARSE', 'Bad row.']);
  const other = fromEngine(new Error('no code at all'));
  expect([other.code, httpStatus(other)]).toEqual([1002, 500]);
  expect(exception('ACCESS_DENIED', 'no').line('1.2')).toBe(
    'Code: 497. DB::Exception: no (ACCESS_DENIED) (version 1.2 (embedded))\n',
  );
});
