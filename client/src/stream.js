/**
 * One robust stream, which carries any number of topics and resumes from its cursor, for ever.
 *
 * It holds nothing while the page is put away, and tells once topics are covered; its links to the hub
 * follow each other in links.js. It never asks for a rewind: what a subscription needs from before is
 * read by answers that end (reads.js).
 */

import { Covering } from './covering.js';
import { Links } from './links.js';
import { watchPage } from './page.js';

export class Stream {
  /** @type {(batch: (import('./raw_event.js').RawEvent | import('./raw_event.js').RawGap)[]) => void} */
  onBatch = () => {};
  /** @type {(detail: import('./detail.js').Detail) => void} */
  onDetail = () => {};
  /** All of these topics have ended. @type {(keys: string[]) => void} */
  onEnded = () => {};

  #env;
  #links;
  #covering = new Covering();

  #listening = null;
  #isPaused = false;
  // Whether there is something to do once the page is back.
  #isDue = false;

  /**
   * @param {object} options
   * @param {import('./request.js').HubRequest} options.request
   * @param {import('./token.js').Token} options.token
   * @param {RequestCredentials} [options.credentials]
   * @param {?string} [options.cursor]
   * @param {string[]} [options.keys]
   * @param {string} [options.client] its name, by which its user may leave
   * @param {any} [env]
   */
  constructor(options, env = globalThis) {
    this.#env = env;
    this.#links = new Links(options, this, env);
  }

  /** Up to where everything was told; null before the first id. @returns {?string} */
  get cursor() {
    return this.#links.cursor;
  }

  /** @returns {import('./detail.js').Detail} */
  get detail() {
    return this.#links.detail;
  }

  /** Connects after the present tick, from the cursor if there is one, and stays so until stop(). */
  start() {
    if (this.#listening) return;
    this.#listening = new AbortController();
    const listeners = {
      offline: () => this.#links.offline(),
      online: () => this.#links.online(),
      // The page may have been hidden, or the machine asleep.
      visibilitychange: () => this.check(),
      // An open request keeps a page out of the back/forward cache, and a frozen page cannot read it.
      away: () => this.#pause(),
      back: () => this.#resume(),
    };
    watchPage(listeners, this.#listening.signal, this.#env);
    this.#isPaused = false;
    this.#openSoon();
  }

  /** Holds nothing any more. start() resumes from the cursor, and promises of covered() go on. */
  stop() {
    this.#listening?.abort();
    this.#listening = null;
    this.#links.close('idle');
  }

  /**
   * Carries these topics and no others, from the next tick on.
   * @param {string[]} keys
   */
  want(keys) {
    if (this.#links.want(keys)) this.#openSoon();
    this.settle();
  }

  /**
   * Resolves once these topics are carried and the cursor is known: each event after it is told.
   * @param {string[]} keys
   * @returns {Promise<?string>} the cursor; null from a server that has named none, and where all
   *   topics had ended before there was one
   */
  covered(keys) {
    const covered = this.#covering.wait(keys);
    this.settle();
    return covered;
  }

  /** Tells those who wait for topics that they are covered, if so. Its links call it. */
  settle() {
    this.#covering.settle((keys) => this.#listening && this.#links.isCovered(keys), this.cursor);
  }

  /** Does what is due by the wall clock. */
  check() {
    this.#links.check();
  }

  // --- the page

  #pause() {
    this.#isPaused = true;
    this.#isDue = this.#links.isDue;
    if (this.#isDue) this.#links.close('waiting', { reason: 'the page is put away' });
  }

  #resume() {
    if (!this.#isPaused) return this.check();
    this.#isPaused = false;
    if (this.#isDue) this.#links.open();
  }

  /** What is wanted while the page is away is carried once it is back. */
  #openSoon() {
    this.#isDue = true;
    if (this.#listening && !this.#isPaused) this.#links.openSoon();
  }
}
