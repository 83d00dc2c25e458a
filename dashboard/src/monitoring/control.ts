/** What may be sent to a charger. The server decides, and says with the charger which kinds it would refuse. */
import type { Charger } from '#gateway/schema/mod';
import { t } from '../text/mod.ts';

/** Why a kind of command would be refused, in words; null: it would not. */
export function whyNot({ actions }: Pick<Charger, 'actions'>, kind: string): string | null {
  const said = actions[kind];
  return typeof said === 'string' ? t.refusals[said] : null;
}

/** A setting that every charger has, as its version calls it. */
export const usualKey = ({ protocol }: Pick<Charger, 'protocol'>): string =>
  protocol?.startsWith('ocpp2') ? 'OCPPCommCtrlr.HeartbeatInterval' : 'HeartbeatInterval';

/** `a, b` → both, each once. */
export const keysEntry = (text: string): string[] => [
  ...new Set(
    text
      .split(',')
      .map((key) => key.trim())
      .filter((key) => key !== ''),
  ),
];
