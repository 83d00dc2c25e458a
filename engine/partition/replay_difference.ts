/** Where a record that was made again differs from the one in the journal. */
import type { CommitRecord, EntityImage } from '../wire.ts';
import type { Catalogue } from './catalogue.ts';
import type { Decided } from './decider.ts';

export interface Difference {
  /** `<kind>/<id>`; null: not of an entity. */
  entity: string | null;
  field: string;
  journal: unknown;
  executed: unknown;
}

/** More would be consequences of these. */
const differencesMax = 5;
const sections = [
  'now',
  'offset',
  'events',
  'replies',
  'timers',
  'relays',
  'effects',
  'writers',
  'relayAcked',
  'cut',
] as const satisfies (keyof CommitRecord)[];

/** Entities by the names of their fields; whatever else a record says where these are the same. */
export function differencesOf(
  record: CommitRecord,
  executed: Decided & Pick<CommitRecord, 'cut'>,
  catalogue: Catalogue,
): Difference[] {
  const found: Difference[] = [];
  const nameOf = ({ kind, id }: EntityImage) => `${kind}/${id}`;
  const made = new Map(executed.entities.map((image) => [nameOf(image), image]));
  for (const image of record.entities) {
    const entity = nameOf(image);
    const other = made.get(entity);
    made.delete(entity);
    if (!other) found.push({ entity, field: 'image', journal: image.image, executed: undefined });
    else found.push(...ofImages(entity, image, other, catalogue));
  }
  for (const [entity, { image }] of made) found.push({ entity, field: 'image', journal: undefined, executed: image });
  // Replies and events follow from what became of the entities.
  if (found.length > 0) return found.slice(0, differencesMax);
  const said = { ...executed, replies: executed.replies.map(({ place: _, ...reply }) => reply) };
  for (const section of sections) found.push(...ofValues(null, section, record[section], said[section]));
  if (found.length === 0)
    found.push({ entity: null, field: 'bytes', journal: record.hash, executed: 'the same content in another order' });
  return found.slice(0, differencesMax);
}

function ofImages(entity: string, image: EntityImage, other: EntityImage, { kinds }: Catalogue): Difference[] {
  const kind = kinds.get(image.kind);
  const decoded = ({ image: bytes, schema }: EntityImage): unknown => {
    if (bytes === null || !kind) return bytes;
    try {
      const { value, context } = kind.decode(bytes, schema);
      return { state: value, ...context };
    } catch {
      return bytes;
    }
  };
  return [
    ...ofValues(entity, 'version', image.version, other.version),
    ...ofValues(entity, 'schema', image.schema, other.schema),
    ...ofValues(entity, '', decoded(image), decoded(other)),
  ];
}

/** Innermost places at which two plain values differ. */
function ofValues(entity: string | null, field: string, journal: unknown, executed: unknown): Difference[] {
  if (Object.is(journal, executed)) return [];
  if (typeof journal !== 'object' || typeof executed !== 'object' || journal === null || executed === null)
    return [{ entity, field, journal, executed }];
  const found: Difference[] = [];
  const [a, b] = [journal as Record<string, unknown>, executed as Record<string, unknown>];
  for (const name of new Set([...Object.keys(a), ...Object.keys(b)])) {
    found.push(...ofValues(entity, field === '' ? name : `${field}.${name}`, a[name], b[name]));
    if (found.length >= differencesMax) break;
  }
  return found;
}
