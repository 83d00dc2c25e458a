/** What the processes of the bench must agree on. */
export const customerOf = (caller: number): string => `bench-${caller}`;

/** An answer of the size that the door gives to a deposit. */
export const exampleAnswer = JSON.stringify({
  id: 'single-123456:12345',
  ok: true,
  value: { availableE5Sek: 1_234_500_000, heldE5Sek: 0, creditLimitE5Sek: 0 },
  at: '12:123456',
});
