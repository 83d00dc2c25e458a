/** All migrations in order. A migration that has been released never changes; what is to change becomes a new one. */
import { createHash } from 'node:crypto';
import { statements as firstTables } from './001_first_tables.ts';
import { statements as customerTables } from './002_customers.ts';
import { statements as loadsAndMessages } from './003_loads_and_messages.ts';
import { statements as quartersThatHoldSomething } from './004_quarters_that_hold_something.ts';
import { statements as deadLetters } from './005_dead_letters.ts';
import { statements as refusedRows } from './006_refused_rows.ts';
import { statements as correlations } from './007_correlations.ts';
import { statements as tradeFacts } from './008_trade_facts.ts';

export interface Migration {
  number: number;
  name: string;
  statements: readonly string[];
}

export const migrations: readonly Migration[] = [
  { number: 1, name: 'first_tables', statements: firstTables },
  { number: 2, name: 'customers', statements: customerTables },
  { number: 3, name: 'loads_and_messages', statements: loadsAndMessages },
  { number: 4, name: 'quarters_that_hold_something', statements: quartersThatHoldSomething },
  { number: 5, name: 'dead_letters', statements: deadLetters },
  { number: 6, name: 'refused_rows', statements: refusedRows },
  { number: 7, name: 'correlations', statements: correlations },
  { number: 8, name: 'trade_facts', statements: tradeFacts },
];

/** What is recorded, so that a changed migration is noticed instead of skipped. */
export const hashOf = ({ statements }: Migration): string =>
  createHash('sha256').update(statements.join(';\n')).digest('hex');
