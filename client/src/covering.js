/**
 * Who waits for topics to be covered: each event after the cursor will be told.
 */
export class Covering {
  #waiting = [];

  /**
   * @param {string[]} keys
   * @returns {Promise<?string>} the cursor
   */
  wait(keys) {
    return new Promise((resolve) => this.#waiting.push({ keys, resolve }));
  }

  /**
   * @param {(keys: string[]) => boolean} isCovered
   * @param {?string} cursor
   */
  settle(isCovered, cursor) {
    const waiting = this.#waiting;
    this.#waiting = waiting.filter(({ keys }) => !isCovered(keys));
    for (const { keys, resolve } of waiting) if (isCovered(keys)) resolve(cursor);
  }
}

/** @param {string[]} some @param {string[]} keys */
export function includesAll(some, keys) {
  return keys.every((key) => some.includes(key));
}
