/**
 * One robust stream, which carries any number of topics and resumes from its cursor, for ever.
 *
 * An open stream cannot change its topics, so another set of topics opens it anew. It never asks for
 * a rewind: what a subscription needs from before is read by answers that end (reads.js). Where a
 * proxy holds the stream back, reads take its place.
 */

import { report } from './report.js';
import { Uplink } from './uplink.js';

/**
 * @typedef {object} Detail
 * @property {'idle' | 'connecting' | 'catching up' | 'live' | 'waiting' | 'offline' | 'denied'
 *   | 'ended'} state
 * @property {?string} reason
 * @property {?number} retryAt in milliseconds since 1970
 * @property {?number} status of the answer that is the reason
 * @property {'stream' | 'reads'} via
 */

export class Stream {
  /** @type {(batch: (import('./raw_event.js').RawEvent | import('./raw_event.js').RawGap)[]) => void} */
  onBatch = () => {};
  /** @type {(detail: Detail) => void} */
  onDetail = () => {};
  /** All of these topics have ended. @type {(keys: string[]) => void} */
  onEnded = () => {};

  #env;
  #uplink;
  // Another server may be asked for no topics, and has its own.
  #needsTopics;
  #wanted;
  #coverings = new Set();

  #listening = null;
  #isPaused = false;
  // Whether there is something to do once the page is back.
  #isDue = false;
  #reopening = null;
  /** @type {Detail} */
  #detail = { state: 'idle', reason: null, retryAt: null, status: null, via: 'stream' };

  /**
   * @param {object} options
   * @param {import('./request.js').HubRequest} options.request
   * @param {import('./token.js').Token} options.token
   * @param {RequestCredentials} [options.credentials]
   * @param {?string} [options.cursor]
   * @param {string[]} [options.keys]
   * @param {any} [env]
   */
  constructor(
    { request, token, credentials = 'same-origin', cursor = null, keys = [] },
    env = globalThis,
  ) {
    this.#env = env;
    this.#needsTopics = request.isOurs;
    this.#wanted = [...new Set(keys)];
    const on = {
      state: (state, why) => this.#set(state ?? this.#detail.state, why),
      moved: () => this.#settle(),
      batch: (batch) => this.#call(this.onBatch, batch),
      ended: (ended) => this.#end(ended),
    };
    const wanted = () => this.#wanted;
    this.#uplink = new Uplink({ request, token, credentials, cursor, wanted }, on, env);
  }

  /** Up to where everything was told; null before the first id. @returns {?string} */
  get cursor() {
    return this.#uplink.cursor;
  }

  /** @returns {Detail} */
  get detail() {
    return this.#detail;
  }

  /** Connects after the present tick, from the cursor if there is one, and stays so until stop(). */
  start() {
    if (this.#listening) return;
    this.#listening = new AbortController();
    const { signal } = this.#listening;
    const pause = () => this.#pause();
    const resume = () => this.#resume();
    const listeners = {
      offline: () => this.#uplink.goOffline(),
      online: () => this.#uplink.hurry(),
      // The page may have been hidden, or the machine asleep.
      visibilitychange: () => this.check(),
      // An open request keeps a page out of the back/forward cache, and a frozen page cannot read it.
      pagehide: pause,
      freeze: pause,
      pageshow: resume,
      resume,
    };
    for (const [type, listener] of Object.entries(listeners)) {
      // In the capture phase, because freeze and resume go to the document and do not bubble.
      this.#env.addEventListener?.(type, listener, { signal, capture: true });
    }
    this.#isPaused = false;
    this.#reopenSoon();
  }

  /** Holds nothing any more. start() resumes from the cursor, and promises of covered() go on. */
  stop() {
    this.#listening?.abort();
    this.#listening = null;
    this.#forgetReopening();
    this.#uplink.close();
    this.#set('idle');
  }

  /**
   * Carries these topics and no others, from the next tick on.
   * @param {string[]} keys
   */
  want(keys) {
    const before = this.#wanted;
    this.#wanted = [...new Set(keys)];
    if (!isSame(before, this.#wanted)) this.#reopenSoon();
    this.#settle();
  }

  /**
   * Resolves once these topics are carried and the cursor is known: each event after it is told.
   * @param {string[]} keys
   * @returns {Promise<?string>} the cursor; null from a server that has named none, and where all
   *   topics had ended before there was one
   */
  covered(keys) {
    return new Promise((resolve) => {
      this.#coverings.add({ keys, resolve });
      this.#settle();
    });
  }

  /** Does what is due by the wall clock. */
  check() {
    if (this.#listening) this.#uplink.check();
  }

  get #isWanting() {
    return this.#wanted.length > 0 || !this.#needsTopics;
  }

  #reopenSoon() {
    this.#isDue = true;
    if (!this.#listening || this.#isPaused || this.#reopening !== null) return;
    this.#reopening = this.#env.setTimeout(() => {
      this.#reopening = null;
      const { keys, retryAt } = this.#uplink;
      // Other topics are no reason to ask a hub sooner that has just failed.
      const isWaiting = retryAt !== null && this.#isWanting;
      if (!isWaiting && !(keys && isSame(keys, this.#wanted))) this.#open();
    }, 0);
  }

  #forgetReopening() {
    this.#env.clearTimeout(this.#reopening);
    this.#reopening = null;
  }

  #open() {
    this.#forgetReopening();
    if (this.#isWanting) {
      this.#uplink.connect();
      return;
    }
    this.#uplink.close();
    // A topic that is wanted later begins then.
    this.#uplink.forget();
    this.#set('idle');
  }

  #end(keys) {
    this.#set('ended');
    this.#call(this.onEnded, keys);
    this.#settle();
  }

  #pause() {
    const { keys, retryAt } = this.#uplink;
    this.#isPaused = true;
    this.#isDue = keys !== null || retryAt !== null || this.#reopening !== null;
    if (!this.#isDue) return;
    this.#forgetReopening();
    this.#uplink.close();
    this.#set('waiting', { reason: 'the page is put away' });
  }

  #resume() {
    if (!this.#isPaused) {
      this.check();
      return;
    }
    this.#isPaused = false;
    if (this.#isDue) this.#open();
  }

  #settle() {
    for (const covering of this.#coverings) {
      if (!this.#isCovered(covering.keys)) continue;
      this.#coverings.delete(covering);
      covering.resolve(this.cursor);
    }
  }

  #isCovered(keys) {
    if (!this.#listening || !includesAll(this.#wanted, keys)) return false;
    // Where nothing is carried, the cursor stays, and the next link carries what is wanted then.
    const { keys: carried } = this.#uplink;
    const isEnded = this.#detail.state === 'ended' && !carried && this.#reopening === null;
    return includesAll(carried ?? this.#wanted, keys) && (this.#uplink.isPlaced || isEnded);
  }

  #set(state, { reason = null, status = null, retryAt = null } = {}) {
    const { via } = this.#uplink;
    const why = reason ?? (via === 'reads' ? 'a proxy holds streams back' : null);
    const detail = { state, reason: why, retryAt, status, via };
    const isSame = Object.keys(detail).every((name) => detail[name] === this.#detail[name]);
    if (isSame) return;
    this.#detail = detail;
    this.#call(this.onDetail, detail);
  }

  #call(listener, argument) {
    try {
      listener(argument);
    } catch (error) {
      report(error, this.#env);
    }
  }
}

function isSame(some, others) {
  return some.length === others.length && includesAll(some, others);
}

function includesAll(carried, keys) {
  return keys.every((key) => carried.includes(key));
}
