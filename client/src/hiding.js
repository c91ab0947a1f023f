/**
 * Lets a hidden tab go of its stream, where tabs cannot share one: six streams would leave a page no
 * connection over HTTP/1.1. Its user is there all the same.
 */

// Whoever looks at another tab for a moment keeps the stream.
const LETS_GO_AFTER_MS = 60_000;
// The longest that the hub takes. A browser may end a hidden tab without a word, so it has an end.
const THERE_SECONDS = 3_600;
// Once the tab is closed: as long as the hub waits by default for whoever comes back.
const GRACE_SECONDS = 10;

export class Hiding {
  #env;
  #stream;
  #onDetail;
  #tellLeft;
  #timer = null;
  #isAway = false;

  /**
   * @param {import('./stream.js').Stream} stream
   * @param {(detail: import('./detail.js').Detail) => void} onDetail
   * @param {(afterSeconds: number) => void} tellLeft when the user is to count as gone
   * @param {any} env
   */
  constructor(stream, onDetail, tellLeft, env) {
    this.#stream = stream;
    this.#onDetail = onDetail;
    this.#tellLeft = tellLeft;
    this.#env = env;
    this.check();
  }

  /** To be called when the tab is hidden or seen. */
  check() {
    if (this.#env.document?.visibilityState === 'hidden') {
      this.#timer ??= this.#env.setTimeout(() => this.#letGo(), LETS_GO_AFTER_MS);
    } else {
      this.#cancel();
      if (this.#isAway) this.#stream.start();
      this.#isAway = false;
    }
  }

  /** @param {boolean} isFrozen whether the tab is only frozen: it stays hidden, and the user there */
  stop(isFrozen) {
    this.#cancel();
    if (this.#isAway && !isFrozen) this.#tellLeft(GRACE_SECONDS);
  }

  #cancel() {
    this.#env.clearTimeout(this.#timer);
    this.#timer = null;
  }

  #letGo() {
    this.#isAway = true;
    this.#stream.stop();
    this.#tellLeft(THERE_SECONDS);
    this.#onDetail({ ...this.#stream.detail, state: 'waiting', reason: 'hidden', retryAt: null });
  }
}
