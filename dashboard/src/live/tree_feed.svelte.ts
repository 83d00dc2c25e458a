/** The load tree of one site, live: one topic, no history. */
import type { TreeNode } from '#gateway/schema/live';
import type { Refused } from '../api.ts';
import { live } from './connection.svelte.ts';
import { LiveMap } from './live_map.ts';
import type { LiveClient } from './live.ts';

export class TreeFeed {
  readonly site: string;
  readonly #nodes = new LiveMap<string, TreeNode>();
  #refused: Refused | null = $state.raw(null);
  #unfollow = () => {};

  constructor(site: string, client: LiveClient = live) {
    this.site = site;
    this.#unfollow = client.follow(`tree:${site}`, {
      snapshot: (data) => this.#nodes.replace(Object.entries(data) as [string, TreeNode][]),
      delta: (set, del) => {
        for (const [key, node] of Object.entries(set)) this.#nodes.set(key, node as TreeNode);
        for (const key of del) this.#nodes.delete(key);
      },
      refused: (code, detail) => {
        this.#refused = { ok: false, code, ...(detail === undefined ? {} : { detail }) };
      },
    });
  }

  /** By key, `site:<id>`, `station:<id>` or `charger:<id>`. */
  get nodes(): ReadonlyMap<string, TreeNode> {
    return this.#nodes.values;
  }
  get refused(): Refused | null {
    return this.#refused;
  }

  close(): void {
    this.#unfollow();
  }
}
