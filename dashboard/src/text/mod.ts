/** The dictionary in use. */
import { en, type Messages } from './en.ts';

export const t: Messages = en;
