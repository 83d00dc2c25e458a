/** All sites and their load trees, live: the sites are read once, each tree is a topic of its own. */
import type { Site, SitesReply } from '#gateway/schema/mod';
import type { TreeNode } from '#gateway/schema/live';
import { get, pathOf, type Refused } from '../api.ts';
import type { LiveClient } from './live.ts';
import { TreeFeed } from './tree_feed.svelte.ts';

/** A refusal that passes by itself is tried again. */
const retryMs = 2_000;

export class SitesFeed {
  readonly #client: LiveClient | undefined;
  #sites: readonly Site[] | null = $state.raw(null);
  #trees: readonly TreeFeed[] = $state.raw([]);
  #refused: Refused | null = $state.raw(null);
  #timer: ReturnType<typeof setTimeout> | undefined;
  #closed = false;

  constructor(client?: LiveClient) {
    this.#client = client;
    void this.load();
  }

  /** null: not read yet. */
  get sites(): readonly Site[] | null {
    return this.#sites;
  }
  get refused(): Refused | null {
    return this.#refused ?? this.#trees.find(({ refused }) => refused !== null)?.refused ?? null;
  }
  /** Nodes of all trees by key, `site:<id>`, `station:<id>` or `charger:<id>`. */
  get nodes(): [string, TreeNode][] {
    return this.#trees.flatMap(({ nodes }) => [...nodes]);
  }

  async load(): Promise<void> {
    clearTimeout(this.#timer);
    const answer = await get<SitesReply>(pathOf(['sites']));
    if (this.#closed) return;
    this.#refused = answer.ok ? null : answer;
    if (answer.ok) {
      for (const tree of this.#trees) tree.close();
      this.#sites = answer.value.sites;
      this.#trees = answer.value.sites.map(({ site }) => new TreeFeed(site, this.#client));
    } else if (answer.code !== 'role_missing') this.#timer = setTimeout(() => void this.load(), retryMs);
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    for (const tree of this.#trees) tree.close();
  }
}
