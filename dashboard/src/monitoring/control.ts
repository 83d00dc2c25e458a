/** What may be sent to a charger. The server decides; it says with the charger what it would refuse. */
import type { Charger } from '#gateway/schema/mod';
import { t } from '../text/mod.ts';

/** Why a kind of command would be refused, in words; null: it would not. */
export function whyNot({ actions }: Pick<Charger, 'actions'>, kind: string): string | null {
  const said = actions[kind] ?? actions['command'];
  return typeof said === 'string' ? t.refusals[said] : null;
}

/** `a, b` → both, each once. */
export const keysEntry = (text: string): string[] => [
  ...new Set(
    text
      .split(',')
      .map((key) => key.trim())
      .filter((key) => key !== ''),
  ),
];
