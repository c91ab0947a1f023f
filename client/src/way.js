/**
 * The way in which the hub is asked: by a stream, or by reads where a proxy holds streams back.
 */

// Then reads take over.
const SILENT_STARTS = 3;
// A proxy seldom changes, but a laptop changes its network.
const STREAM_AGAIN_MS = 300_000;
const STREAM_AGAIN_CEILING_MS = 3_600_000;

export class Way {
  #env;
  #silentStarts = 0;
  #readsSinceMs = 0;
  #streamAgainMs = STREAM_AGAIN_MS;

  /** @param {any} env */
  constructor(env) {
    this.#env = env;
  }

  /** @returns {'stream' | 'reads'} */
  get via() {
    return this.#silentStarts < SILENT_STARTS ? 'stream' : 'reads';
  }

  /** Whether a stream is to be tried again. */
  get isOver() {
    const readsMs = Math.abs(this.#env.Date.now() - this.#readsSinceMs);
    return this.via === 'reads' && readsMs >= this.#streamAgainMs;
  }

  /** A stream has brought something. */
  noteEvent() {
    this.#silentStarts = 0;
    this.#streamAgainMs = STREAM_AGAIN_MS;
  }

  /** A stream has brought nothing. @returns {boolean} whether reads take over */
  noteSilence() {
    this.#silentStarts += 1;
    this.#readsSinceMs = this.#env.Date.now();
    return this.via === 'reads';
  }

  /** Goes back to a stream; one silent start ends that. */
  tryStream() {
    this.#silentStarts = SILENT_STARTS - 1;
    this.#streamAgainMs = Math.min(2 * this.#streamAgainMs, STREAM_AGAIN_CEILING_MS);
  }
}
