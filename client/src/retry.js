/**
 * When the next try is due, by the wall clock: timers stop while a machine sleeps.
 */

export class Retry {
  /** In milliseconds since 1970; null if none is to come. @type {?number} */
  at = null;

  #env;
  #sinceMs = 0;

  /** @param {any} env */
  constructor(env) {
    this.#env = env;
  }

  /** @param {number} delayMs */
  wait(delayMs) {
    this.#sinceMs = this.#env.Date.now();
    this.at = this.#sinceMs + delayMs;
  }

  cancel() {
    this.at = null;
  }

  /** A wall clock that was set back is no reason to wait longer. */
  get isDue() {
    const nowMs = this.#env.Date.now();
    return this.at !== null && (nowMs >= this.at || nowMs < this.#sinceMs);
  }

  get untilMs() {
    return Math.max(0, this.at - this.#env.Date.now());
  }
}
