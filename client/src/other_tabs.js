/**
 * What the other tabs want. A follower knows it too, because it may lead next.
 */

// A browser runs the timers of hidden tabs once a minute at the least.
const GONE_AFTER_MS = 150_000;

export class OtherTabs {
  #env;
  // id -> {keys, heardAt}
  #tabs = new Map();

  constructor(env) {
    this.#env = env;
  }

  hear(id, keys) {
    this.#tabs.set(id, { keys, heardAt: this.#env.Date.now() });
  }

  forget(id) {
    this.#tabs.delete(id);
  }

  forgetSilent() {
    for (const [id, { heardAt }] of this.#tabs) {
      if (this.#env.Date.now() - heardAt > GONE_AFTER_MS) this.#tabs.delete(id);
    }
  }

  /** @param {string[]} keys @returns {string[]} with those of the other tabs, each once */
  unionWith(keys) {
    const others = [...this.#tabs.values()].map((tab) => tab.keys);
    return [...new Set([keys, ...others].flat())];
  }
}
