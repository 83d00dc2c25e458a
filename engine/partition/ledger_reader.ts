/** Brings the books of all partitions together, from their journals, or behind a purge from snapshot and journal. */
import type { AccountState, CustomerState } from '#actors/schema/customer_entities';
import type { PositionState } from '#actors/schema/trading';
import type { EntityImage } from '../wire.ts';
import type { Catalogue } from './catalogue.ts';
import { LedgerFold, type LedgerHash } from './ledger_hash.ts';
import { JournalReader } from './replay_journal.ts';
import type { ReplaySource } from './replay_source.ts';
import { readOldestSnapshot } from './snapshot.ts';

const owning: ReadonlySet<string> = new Set(['customer', 'position', 'account']);

/**
 * The ledger hash at the ends that the journals had when their sources were opened.
 * @throws {Corruption} where a journal is damaged
 */
export async function readLedgerHash(sources: readonly ReplaySource[], catalogue: Catalogue): Promise<LedgerHash> {
  const fold = new LedgerFold();
  let isComplete = true;
  for (const source of sources) if (!(await readPartition(source, catalogue, fold))) isComplete = false;
  return fold.result(isComplete);
}

/** Whether the journal begins at its beginning. */
async function readPartition(source: ReplaySource, catalogue: Catalogue, fold: LedgerFold): Promise<boolean> {
  const isWhole = source.journal.first <= 1;
  const images = new Map<string, EntityImage>();
  const note = (image: EntityImage) => {
    if (owning.has(image.kind)) images.set(`${image.kind}|${image.id}`, image);
  };
  let after = 0;
  if (!isWhole) {
    const snapshot = await readOldestSnapshot(source.snapshots);
    if (!snapshot || snapshot.sequence + 1 < source.journal.first)
      throw new Error(
        `partition ${source.partition}: the journal begins at ${source.journal.first} and no snapshot reaches it`,
      );
    after = snapshot.sequence;
    for (const image of snapshot.entities) note(image);
  }
  const reader = new JournalReader(source);
  try {
    for (let entry = await reader.next(); entry; entry = await reader.next()) {
      if (entry.sequence <= after) continue;
      for (const image of entry.record.entities) note(image);
      for (const event of entry.record.events) {
        if (event.kind === 'session') fold.session(event.payload);
        else if (event.kind === 'ledger') fold.posting(event.payload);
      }
    }
  } finally {
    await reader.close();
  }
  for (const { kind, id, image, schema } of images.values()) {
    if (image === null) continue;
    const { context } = catalogue.kinds.get(kind)!.decode(image, schema);
    if (kind === 'customer') fold.customer(id, context as unknown as CustomerState);
    else if (kind === 'position') fold.position(context as unknown as PositionState);
    else fold.account(context as unknown as AccountState);
  }
  return isWhole;
}
