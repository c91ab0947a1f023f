/**
 * Lets a hidden tab go of its stream, where tabs cannot share one: six streams would leave a page no
 * connection over HTTP/1.1.
 */

// Whoever looks at another tab for a moment keeps the stream.
const LETS_GO_AFTER_MS = 60_000;

export class Hiding {
  #env;
  #stream;
  #onDetail;
  #timer = null;
  #isAway = false;

  /**
   * @param {import('./stream.js').Stream} stream
   * @param {(detail: import('./detail.js').Detail) => void} onDetail
   * @param {any} env
   */
  constructor(stream, onDetail, env) {
    this.#stream = stream;
    this.#onDetail = onDetail;
    this.#env = env;
    this.check();
  }

  /** To be called when the tab is hidden or seen. */
  check() {
    if (this.#env.document?.visibilityState === 'hidden') {
      this.#timer ??= this.#env.setTimeout(() => this.#letGo(), LETS_GO_AFTER_MS);
    } else {
      this.stop();
      if (this.#isAway) this.#stream.start();
      this.#isAway = false;
    }
  }

  stop() {
    this.#env.clearTimeout(this.#timer);
    this.#timer = null;
  }

  #letGo() {
    this.#isAway = true;
    this.#stream.stop();
    this.#onDetail({ ...this.#stream.detail, state: 'waiting', reason: 'hidden', retryAt: null });
  }
}
