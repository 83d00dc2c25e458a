import { totalmem } from 'node:os';

const MiB = 1024 * 1024;

/** What the engine may hold in memory, all queries and caches together, bytes: 40 % of the machine, at most 2 GiB. */
export const memoryMax = () => Math.min(2048 * MiB, Math.floor(totalmem() * 0.4));

/**
 * Server configuration for one small machine. The engine's own defaults are those of a big server: 5 GiB for each of
 * three caches, all memory for queries, ten thousand threads.
 */
export function engineConfig(): string {
  const server: Record<string, number | string> = {
    timezone: 'UTC',
    max_server_memory_usage: memoryMax(),
    mark_cache_size: 64 * MiB,
    primary_index_cache_size: 64 * MiB,
    index_mark_cache_size: 8 * MiB,
    uncompressed_cache_size: 0,
    query_condition_cache_size: 16 * MiB,
    max_thread_pool_size: 256,
    background_pool_size: 2,
    background_common_pool_size: 1,
    background_schedule_pool_size: 4,
  };
  const mergeTree: Record<string, number> = {
    merge_max_block_size_bytes: 4 * MiB,
    // The pool has four places; the defaults ask for up to twenty free ones before a large merge or a mutation runs.
    number_of_free_entries_in_pool_to_execute_mutation: 1,
    number_of_free_entries_in_pool_to_lower_max_size_of_merge: 1,
  };
  const tags = (values: Record<string, number | string>) =>
    Object.entries(values)
      .map(([name, value]) => `<${name}>${value}</${name}>`)
      .join('\n');
  return `<clickhouse>\n${tags(server)}\n<merge_tree>\n${tags(mergeTree)}\n</merge_tree>\n</clickhouse>\n`;
}
