/**
 * Chooses reads in place of a stream, where a proxy holds each stream back until it ends.
 */

const SILENT_STARTS = 3;
// A proxy seldom changes, but a laptop changes its network.
const STREAM_AGAIN_MS = 300_000;
const STREAM_AGAIN_CEILING_MS = 3_600_000;

export class Fallback {
  /** @type {'stream' | 'reads'} */
  via = 'stream';

  #env;
  #silentStarts = 0;
  #streamAtMs = Infinity;
  #pauseMs = STREAM_AGAIN_MS;

  constructor(env) {
    this.#env = env;
  }

  /** Whether it is time to try a stream again. */
  get isOver() {
    return this.via === 'reads' && this.#env.Date.now() >= this.#streamAtMs;
  }

  /** A stream was opened, and nothing came. @returns {boolean} whether reads take over */
  silentStart() {
    this.#silentStarts += 1;
    if (this.#silentStarts < SILENT_STARTS) return false;
    this.via = 'reads';
    this.#streamAtMs = this.#env.Date.now() + this.#pauseMs;
    this.#pauseMs = Math.min(2 * this.#pauseMs, STREAM_AGAIN_CEILING_MS);
    return true;
  }

  /** A stream is tried again; one silent start ends that. */
  tryStream() {
    this.via = 'stream';
    this.#silentStarts = SILENT_STARTS - 1;
  }

  /** A stream has brought something. */
  streams() {
    this.#silentStarts = 0;
    this.#pauseMs = STREAM_AGAIN_MS;
  }

  /** The wall clock was set back. @param {number} ms */
  stepBack(ms) {
    this.#streamAtMs -= ms;
  }
}
