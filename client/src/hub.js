/**
 * A hub, as a page sees it: its subscriptions, who the user is, and how the stream is.
 */

import { DeniedError } from './denied_error.js';
import { checkHubOptions, checkSubscription } from './options.js';
import { publish } from './publishing.js';
import { pages, read } from './reads.js';
import { replay } from './replay.js';
import { report } from './report.js';
import { HubRequest, keyOf } from './request.js';
import { Stream } from './stream.js';
import { Subscription } from './subscription.js';
import { Tabs } from './tabs.js';
import { Backoff } from './timing.js';
import { Token } from './token.js';

// Of a hub without subscriptions.
const IDLE = { state: 'idle', reason: null, retryAt: null, status: null, via: 'stream' };

export class Hub extends EventTarget {
  #env;
  #options;
  #identity;
  #userCount = 0;
  #channel;

  #token;
  #request = null;
  #name;
  #opening = null;
  #backoff;
  #retryTimer = null;

  #parts = new Set();
  // One for all subscriptions; in the dialect mercure one for each.
  #sources = new Map();
  #wantTimer = null;
  #waiting = [];
  #hasEnded = false;
  #told = IDLE;
  #detail = IDLE;
  #isClosed = false;

  /**
   * @param {string} url absolute
   * @param {any} [options] as connect() takes them
   * @param {any} [env]
   */
  constructor(url, options = {}, env = globalThis) {
    super();
    checkHubOptions(options);
    /** @readonly */
    this.url = url;
    this.#options = options;
    this.#identity = options.identity;
    this.#env = this.#host.env = env;
    this.#host.hasReads = this.#isOurs;
    this.#backoff = new Backoff(env);
    this.#setUser();
    if (!env.BroadcastChannel) return;
    this.#channel = new env.BroadcastChannel(`barestream ${url}`);
    // On Node an open channel would keep the process.
    this.#channel.unref?.();
    this.#channel.onmessage = ({ data }) => this.#changeUser(data.identity);
  }

  get state() {
    return this.#detail.state;
  }

  get detail() {
    return this.#detail;
  }

  /**
   * @param {string | {pattern: string} | (string | {pattern: string})[]} topics
   * @param {any} [options] see barestream.d.ts
   * @returns {Subscription}
   */
  subscribe(topics, options = {}) {
    this.#mustBeOpen();
    const list = [topics].flat();
    const { token, protocol = token ? null : '0.x' } = this.#options;
    checkSubscription(list, options, { isOurs: this.#isOurs, protocol: this.#request?.protocol ?? protocol });
    return new Subscription(this.#host, list, [...new Set(list.map(keyOf))], options);
  }

  /** @returns {Promise<string>} the update's id */
  async publish(topics, data, options) {
    this.#mustBeOpen();
    const { url } = this;
    const { credentials } = this.#options;
    return publish({ topics: [topics].flat(), data, options }, { url, token: this.#token, credentials }, this.#env);
  }

  /** @returns {Promise<string>} the hub's newest cursor */
  async cursor() {
    this.#mustBeOpen();
    const token = this.#token;
    const protocol = await token.protocol();
    const { credentials } = this.#options;
    const request = new HubRequest({ url: this.url, protocol });
    return (await read({ request, token, credentials, keys: ['*'] }, this.#env)).cursor;
  }

  /**
   * Says that the user has changed, to all tabs: each drops its stream, asks for the token or the
   * cookie again, and begins anew.
   * @param {string} [identity] with cookies: who the user is
   */
  identify(identity) {
    this.#mustBeOpen();
    this.#channel?.postMessage({ identity });
    this.#changeUser(identity);
  }

  close() {
    if (this.#isClosed) return;
    for (const part of [...this.#parts]) part.close();
    this.#isClosed = true;
    this.#drop();
    this.#token.close();
    this.#channel?.close();
    this.#env.clearTimeout(this.#wantTimer);
    this.#show();
  }

  get #isOurs() {
    return this.#options.dialect !== 'mercure';
  }

  #mustBeOpen() {
    if (this.#isClosed) throw new TypeError('the hub is closed');
  }

  // --- the user

  #setUser() {
    const { token, renew, protocol } = this.#options;
    this.#token = new Token({ token, renew, identity: this.#identity, protocol }, this.#env);
    this.#request = null;
  }

  #changeUser(identity) {
    this.#userCount += 1;
    this.#identity = identity;
    this.#drop();
    this.#token.close();
    this.#setUser();
    // Also renews a cookie, of which nobody knows when it ends.
    this.#token.refused().catch(() => {});
    for (const part of this.#parts) part.begin();
    this.#want();
  }

  get #isOutdated() {
    return this.#userCount > 0 && typeof this.#options.token === 'string';
  }

  // --- the stream

  #drop() {
    const sources = [...this.#sources.values()];
    this.#sources.clear();
    for (const source of sources) this.#stop(source);
    this.#opening = null;
    this.#env.clearTimeout(this.#retryTimer);
    this.#told = IDLE;
  }

  #stop(source) {
    source.onBatch = source.onDetail = source.onEnded = source.onHole = () => {};
    source.stop();
  }

  /** Changes within a tick go together, as the stream is opened anew for them. */
  #wantSoon() {
    this.#wantTimer ??= this.#env.setTimeout(() => this.#want(), 0);
  }

  #want() {
    this.#env.clearTimeout(this.#wantTimer);
    this.#wantTimer = null;
    if (this.#parts.size === 0) {
      this.#drop();
      this.#tellDetail(this.#hasEnded ? { ...IDLE, state: 'ended' } : IDLE);
    } else if (!this.#request) {
      this.#open();
    } else {
      if (this.#isOurs) this.#source(null).want(this.#union());
      for (const resolve of this.#waiting.splice(0)) resolve();
    }
  }

  async #open() {
    if (this.#opening) return;
    if (this.#isOutdated) {
      // A fixed token is that of the user before.
      return this.#tellDetail({ ...IDLE, state: 'denied', reason: 'the user has changed: connect again' });
    }
    const token = this.#token;
    this.#opening = token;
    this.#tellDetail({ ...IDLE, state: 'connecting' });
    try {
      const [protocol, identity] = await Promise.all([token.protocol(), token.identity()]);
      if (token !== this.#token || this.#opening !== token) return;
      this.#opening = null;
      const { dialect } = this.#options;
      this.#request = new HubRequest({ url: this.url, protocol, dialect });
      // Tabs of another release may use other messages; the address of this module has its version.
      this.#name = ['barestream', import.meta.url, this.url, protocol, identity].join(' ');
      this.#backoff.reset();
      this.#want();
    } catch (error) {
      if (token !== this.#token || this.#opening !== token) return;
      const delayMs = this.#backoff.next();
      const retryAt = this.#env.Date.now() + delayMs;
      this.#tellDetail({ ...IDLE, state: 'denied', reason: String(error?.message ?? error), retryAt });
      this.#retryTimer = this.#env.setTimeout(() => {
        this.#opening = null;
        this.#open();
      }, delayMs);
    }
  }

  #union() {
    return [...new Set([...this.#parts].flatMap(({ keys }) => keys))];
  }

  /** Of all subscriptions (null), or of one. */
  #source(part, cursor = null) {
    const present = this.#sources.get(part);
    if (present) return present;
    const { shared = true } = this.#options;
    const keys = part ? part.keys : this.#union();
    const makeStream = (start) => this.#makeStream(start);
    const name = part ? [this.#name, ...keys].join(' ') : this.#name;
    /** @type {any} */
    const source = shared
      ? new Tabs({ name, makeStream, keys, cursor }, this.#env)
      : makeStream({ keys, cursor });
    const each = (tell) => {
      for (const one of part ? [part] : [...this.#parts]) tell(one);
    };
    source.onBatch = (batch) => each((one) => one.receive(batch));
    source.onEnded = (ended) => each((one) => one.ended(ended));
    source.onHole = () => each((one) => one.hole());
    // A stream is idle before it begins, and here there is something to follow.
    source.onDetail = (detail) => detail.state !== 'idle' && this.#tellDetail(detail);
    this.#sources.set(part, source);
    source.start();
    return source;
  }

  #makeStream(start) {
    const { credentials } = this.#options;
    return new Stream({ request: this.#request, token: this.#token, credentials, ...start }, this.#env);
  }

  // --- what subscriptions need

  #host = {
    env: null,
    hasReads: true,
    report: (error) => report(error, this.#env),
    changed: () => this.#show(),
    denial: () => this.#denial(),
    cursor: (part) => this.#sources.get(this.#isOurs ? null : part)?.cursor ?? null,
    add: (part) => {
      this.#parts.add(part);
      this.#wantSoon();
    },
    remove: (part, hasEnded) => {
      this.#parts.delete(part);
      this.#hasEnded = hasEnded;
      const own = this.#sources.get(part);
      this.#sources.delete(part);
      if (own) this.#stop(own);
      if (!this.#isClosed) this.#wantSoon();
    },
    source: async (part, cursor, isAnew) => {
      if (!this.#request || this.#wantTimer !== null) {
        await new Promise((resolve) => this.#waiting.push(resolve));
      }
      if (this.#isOurs) return this.#sources.get(null);
      if (isAnew && this.#sources.has(part)) {
        this.#stop(this.#sources.get(part));
        this.#sources.delete(part);
      }
      return this.#source(part, cursor);
    },
    replay: (keys, cursor, until, pass, signal) =>
      replay(this.#makeStream({ keys, cursor }), { until, pass, signal }, this.#env),
    pages: (keys, params, signal) => {
      const question = { request: this.#request, token: this.#token, keys, params, signal };
      return pages({ ...question, credentials: this.#options.credentials }, this.#env);
    },
  };

  // --- the state

  #tellDetail(detail) {
    this.#told = detail;
    this.#show();
    const denial = this.#denial();
    if (denial) for (const part of [...this.#parts]) part.deny(denial);
  }

  #denial() {
    const { state, retryAt, reason, status } = this.#told;
    return state === 'denied' && retryAt === null ? new DeniedError(reason, status) : null;
  }

  #show() {
    const next = this.#shown();
    const names = Object.keys(IDLE);
    if (names.every((name) => next[name] === this.#detail[name])) return;
    this.#detail = next;
    this.dispatchEvent(new CustomEvent('statechange', { detail: next }));
  }

  #shown() {
    const parts = [...this.#parts];
    if (this.#told.state !== 'live') return this.#told;
    const refusal = parts.find((part) => part.refusal)?.refusal;
    if (refusal) return { ...this.#told, state: 'denied', reason: refusal.message, status: refusal.status };
    const isReading = parts.some((part) => part.isReading());
    return isReading ? { ...this.#told, state: 'catching up' } : this.#told;
  }
}
