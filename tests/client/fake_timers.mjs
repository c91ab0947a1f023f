/** Timers of a clock that moves only when told; times are those of the clock, in milliseconds. */
export class FakeTimers {
  #timers = new Map();
  #count = 0;

  get size() {
    return this.#timers.size;
  }

  set(atMs, callback) {
    this.#count += 1;
    this.#timers.set(this.#count, { atMs, callback });
    return this.#count;
  }

  clear(id) {
    this.#timers.delete(id);
  }

  /** Removes the first of those that are due by then. @returns {?{atMs: number, callback: () => void}} */
  takeDue(untilMs) {
    const due = [...this.#timers].filter(([, { atMs }]) => atMs <= untilMs);
    if (due.length === 0) return null;
    const [id, timer] = due.reduce((a, b) => (b[1].atMs < a[1].atMs ? b : a));
    this.#timers.delete(id);
    return timer;
  }

  postpone(ms) {
    for (const timer of this.#timers.values()) timer.atMs += ms;
  }
}
