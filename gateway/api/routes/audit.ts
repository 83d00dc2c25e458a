/** For admins: any entity as it was at a moment, and the commands that could not be applied. */
import { placeNamed, placeText, type DeadLetters, type Letter } from '#engine/dead_letters';
import { momentOf, type TimeTravel } from '#engine/partition/time_travel';
import { Refusal } from '#engine/refusal';
import {
  AuditEntitiesReply,
  DeadLetterReply,
  DeadLettersReply,
  EntityParams,
  EntityQuery,
  LetterDiscarded,
  LetterParams,
  LetterResult,
  LettersQuery,
  type DeadLetter,
} from '../../schema/audit.ts';
import { ref } from '../../schema/ref.ts';
import { principalOf } from '../access.ts';
import { Refused } from '../refused.ts';
import { failures, type ApiScope } from '../scope.ts';
import { writing, type CommandDeps } from '../writing.ts';

export interface AuditDeps {
  travel: Pick<TimeTravel, 'find'>;
  /** The partition that something is known to live in. */
  locate(kind: string, id: string): Promise<number | undefined>;
  letters: Pick<DeadLetters, 'list' | 'show' | 'retry' | 'discard'>;
  /** A search that takes longer is ended, ms. @default 10,000 */
  searchMs?: number;
}

const searchMsDefault = 10_000;

/** What is refused below is refused here; anything else is a fault. */
async function asked<Answer>(work: () => Promise<Answer>): Promise<Answer> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof Refusal) throw new Refused(error.code, { reason: error.message, ...error.detail });
    throw error;
  }
}

const shown = ({
  place,
  at,
  entity,
  command,
  reason,
  correlation,
  detail,
  state,
  settled,
}: Omit<Letter, 'retained'>): DeadLetter => ({
  ...{ letter: place, at, entity, command, reason, correlation, detail, state, settled },
});

export function auditRoutes(app: ApiScope, audit: AuditDeps, commands: CommandDeps): void {
  // A search may read as much as the journal holds: one at a time, within limits, and never beside another one.
  let searching = false;

  app.get(
    '/api/audit/entities/:kind/:id',
    {
      config: { access: 'view_audit' },
      schema: {
        tags: ['audit'],
        summary: 'An entity as it is, or as it was at any moment that the log still reaches',
        params: EntityParams,
        querystring: EntityQuery,
        response: { 200: ref(AuditEntitiesReply), ...failures },
      },
    },
    async (request) => {
      const { kind, id } = request.params;
      if (searching) throw new Refused('overloaded', { reason: 'another search is under way', retryAfterMs: 1_000 });
      searching = true;
      try {
        return await asked(async () => {
          const at = momentOf(request.query.at, commands.door.partitions);
          const partition = await audit.locate(kind, id);
          const wanted = { kind, id, at, ...(partition !== undefined && { partition }) };
          const signal = AbortSignal.timeout(audit.searchMs ?? searchMsDefault);
          return { now: app.now(), entities: await audit.travel.find(wanted, { signal }) };
        });
      } finally {
        searching = false;
      }
    },
  );

  app.get(
    '/api/audit/dead-letters',
    {
      config: { access: 'view_audit' },
      schema: {
        tags: ['audit'],
        summary: 'Commands that could not be applied',
        querystring: LettersQuery,
        response: { 200: ref(DeadLettersReply), ...failures },
      },
    },
    async (request) => {
      try {
        const letters = await audit.letters.list(request.query);
        return { now: app.now(), letters: letters.map(shown) };
      } catch (error) {
        request.log.error({ event: 'history_failed', err: error }, 'dead letters could not be read');
        throw new Refused('history_unavailable');
      }
    },
  );

  app.get(
    '/api/audit/dead-letters/:letter',
    {
      config: { access: 'view_audit' },
      schema: {
        tags: ['audit'],
        summary: 'A dead letter, with what became of it',
        params: LetterParams,
        response: { 200: ref(DeadLetterReply), ...failures },
      },
    },
    async (request) => {
      const letter = await asked(() => audit.letters.show(placeNamed(request.params.letter)));
      return { now: app.now(), ...shown(letter), retained: letter.retained };
    },
  );

  app.post(
    '/api/audit/dead-letters/:letter/retry',
    {
      ...writing(commands, 'settle_letters'),
      schema: {
        tags: ['audit'],
        summary: 'Send its command again; twice is once',
        params: LetterParams,
        response: { 200: ref(LetterResult), ...failures },
      },
    },
    async (request) => {
      const { user } = principalOf(request);
      const result = await asked(() => audit.letters.retry(placeNamed(request.params.letter), user));
      if (result.ok) return { accepted: true, value: result.value, at: result.at };
      if (result.code === 'unavailable' || result.code === 'overloaded') throw new Refused(result.code);
      return { accepted: false, refusal: result.code, ...(result.detail && { detail: result.detail }), at: result.at };
    },
  );

  app.post(
    '/api/audit/dead-letters/:letter/discard',
    {
      ...writing(commands, 'settle_letters'),
      schema: {
        tags: ['audit'],
        summary: 'Say that nothing is to be done about it',
        params: LetterParams,
        response: { 200: ref(LetterDiscarded), ...failures },
      },
    },
    async (request) => {
      const place = placeNamed(request.params.letter);
      await asked(() => audit.letters.discard(place, principalOf(request).user));
      return { letter: placeText(place) };
    },
  );
}
