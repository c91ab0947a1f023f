/**
 * Delays, and long work in slices.
 *
 * An `env` is `globalThis`, or in tests an object with the parts of it that the client uses.
 */

/** The delays from one attempt to the next, which grow and are random. */
export class Backoff {
  #env;
  #floorMs;
  #firstCeilingMs;
  #ceilingMs;
  #failures = 0;

  /**
   * By default for a hub that does not answer: all clients may come back together, and after an
   * outage a viewer waits at most 10 s for the service that is back.
   */
  constructor(env, floorMs = 1_000, firstCeilingMs = 3_000, ceilingMs = 10_000) {
    this.#env = env;
    this.#floorMs = floorMs;
    this.#firstCeilingMs = firstCeilingMs;
    this.#ceilingMs = ceilingMs;
  }

  /** Counts a failure. @returns {number} milliseconds until the next attempt */
  next() {
    const ceilingMs = Math.min(this.#firstCeilingMs * 2 ** this.#failures, this.#ceilingMs);
    this.#failures += 1;
    return this.#floorMs + this.#env.Math.random() * (ceilingMs - this.#floorMs);
  }

  reset() {
    this.#failures = 0;
  }
}

// A page that is busy for 50 ms at a time feels slow. A slice is over at half of that, because the
// piece of work that ends it comes on top.
const SLICE_MS = 25;
// A piece grows while it is done in this time. So a slow callback gets few events at once.
const PIECE_MS = 5;
const FIRST_PIECE = 32;
const MOST_PIECE = 500;

/** Work on many events, a piece at a time, between which the page breathes. */
export class Slices {
  #env;
  #usedMs = 0;

  /** How many events the next piece should have. */
  piece = FIRST_PIECE;

  constructor(env) {
    this.#env = env;
  }

  /**
   * @param {() => void} work on one piece
   * @param {AbortSignal} signal
   */
  async do(work, signal) {
    const beganMs = this.#env.Date.now();
    work();
    const tookMs = this.#env.Date.now() - beganMs;
    if (tookMs < PIECE_MS) this.piece = Math.min(2 * this.piece, MOST_PIECE);
    else if (tookMs > 2 * PIECE_MS) this.piece = Math.ceil(this.piece / 2);
    this.#usedMs += tookMs;
    if (this.#usedMs < SLICE_MS) return;
    this.#usedMs = 0;
    await this.#breathe(signal);
  }

  #breathe(signal) {
    const { scheduler, document } = this.#env;
    if (scheduler?.yield) return scheduler.yield();
    // In a hidden page a timer may take a minute, and nobody sees the page wait.
    return document?.hidden ? null : pause(0, signal, this.#env);
  }
}

/**
 * Resolves after a time, or at once when the signal is aborted.
 * @param {number} ms
 * @param {AbortSignal} signal
 * @param {any} [env]
 * @returns {Promise<void>}
 */
export function pause(ms, signal, env) {
  return new Promise((resolve) => {
    const over = () => {
      env.clearTimeout(timer);
      signal.removeEventListener('abort', over);
      resolve();
    };
    const timer = env.setTimeout(over, ms);
    signal.addEventListener('abort', over);
    if (signal.aborted) over();
  });
}

/**
 * Returns what the promise gives, but rejects at once when the signal is aborted: a function of the
 * page may never answer.
 * @template T
 * @param {Promise<T>} promise
 * @param {AbortSignal} signal
 * @returns {Promise<T>}
 */
export function orAborted(promise, signal) {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    signal.addEventListener('abort', abort);
    if (signal.aborted) abort();
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}
