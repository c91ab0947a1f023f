/**
 * A hub, as a page sees it: its subscriptions, who the user is, and how the stream is.
 */

import { insist } from './asking.js';
import { includesAll } from './covering.js';
import { DeniedError } from './denied_error.js';
import { IDLE, reasonOf } from './detail.js';
import { checkHubOptions, checkOptions, checkPresence, checkSubscription } from './options.js';
import { pages } from './reads.js';
import { report } from './report.js';
import { keyOf } from './request.js';
import { Stream } from './stream.js';
import { Subscription } from './subscription.js';
import { Tabs } from './tabs.js';
import { pause } from './timing.js';
import { User } from './user.js';

export class Hub extends EventTarget {
  #env;
  #options;
  #user;
  #channel;

  #opener = new AbortController();
  #opening = null;

  #parts = new Set();
  // One for all subscriptions; in the dialect mercure one for each.
  #sources = new Map();
  #wantTimer = null;
  #hasEnded = false;
  #hasLeft = false;
  /** @type {any} */
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
    this.#env = this.#host.env = env;
    this.#user = new User({ ...options, url }, env);
    this.#host.hasReads = this.#isOurs;
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
    checkSubscription(list, options, { isOurs: this.#isOurs, protocol: this.#user.request?.protocol ?? protocol });
    return new Subscription(this.#host, list, [...new Set(list.map(keyOf))], options);
  }

  /** @returns {Promise<string>} the update's id */
  async publish(topics, data, options) {
    this.#mustBeOpen();
    // Most pages publish nothing.
    const { publish } = await import('./publishing.js');
    const post = (body, signal) => this.#user.ask({ url: this.url, method: 'POST', body }, 'text/plain', signal);
    const client = { checkOptions, insist, post, env: this.#env };
    return publish({ topics: [topics].flat(), data, options }, client);
  }

  /**
   * @param {string} topic
   * @param {any} [options] see barestream.d.ts
   */
  presence(topic, options = {}) {
    this.#mustBeOpen();
    checkPresence(topic, options, this.#isOurs);
    const closing = new AbortController();
    const presence = { topic, members: new Map(), close: () => closing.abort() };
    const { report } = this.#host;
    const get = (url, signal) => this.#user.ask({ url, method: 'GET' }, 'application/json', signal);
    const client = { signal: closing.signal, get, report };
    const use = ({ watch }) => this.#isClosed || watch(this, presence, options, client);
    this.#user.presence().then(use).catch(report);
    return presence;
  }

  /**
   * Has the hub told that the user has left: by the topics that this page has given up with it, or,
   * in all tabs, as a whole.
   * @param {string | {pattern: string} | (string | {pattern: string})[]} [topics]
   */
  async leave(topics) {
    this.#mustBeOpen();
    const source = this.#sources.get(null);
    if (topics === undefined) {
      const told = source?.leave();
      this.#goAway();
      return told;
    }
    const keys = [topics].flat().map(keyOf);
    for (const part of [...this.#parts]) if (includesAll(keys, part.keys)) part.close();
    const rest = this.#union();
    const left = keys.filter((key) => !rest.includes(key));
    source?.want(rest);
    if (left.length) await source?.leave(left);
  }

  /** @returns {Promise<string>} the hub's newest cursor */
  async cursor() {
    this.#mustBeOpen();
    return this.#user.cursor();
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

  /** Until it is known who the user is now. */
  #goAway() {
    this.#hasLeft = true;
    this.#drop();
    this.#tellDetail(IDLE);
  }

  #changeUser(identity) {
    this.#hasLeft = false;
    this.#drop();
    this.#user.change(identity);
    this.dispatchEvent(new Event('userchange'));
    for (const part of this.#parts) part.begin();
    this.#want();
  }

  // --- the stream

  #drop() {
    this.#opener.abort();
    this.#opening = null;
    for (const part of [...this.#sources.keys()]) this.#stop(part);
    this.#told = IDLE;
  }

  #stop(part) {
    const source = this.#sources.get(part);
    if (!source) return;
    this.#sources.delete(part);
    source.onBatch = source.onDetail = source.onEnded = source.onHole = source.onLeave = () => {};
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
    } else {
      this.#open().catch(() => {});
      this.#sources.get(null)?.want(this.#union());
    }
  }

  /** Resolves once it is known what to ask as whom; rejects if the user changes before. */
  #open() {
    this.#opening ??= this.#begin((this.#opener = new AbortController()).signal);
    return this.#opening;
  }

  async #begin(signal) {
    // Whoever subscribes may close again within this tick.
    await pause(0, signal, this.#env);
    signal.throwIfAborted();
    if (this.#hasLeft) return new Promise(() => {});
    if (this.#user.isOutdated) {
      // A fixed token is that of the user before.
      this.#tellDetail({ ...IDLE, state: 'denied', reason: 'the user has changed: connect again' });
      return new Promise(() => {});
    }
    this.#tellDetail({ ...IDLE, state: 'connecting' });
    const failed = (error, delayMs) => {
      const retryAt = this.#env.Date.now() + delayMs;
      this.#tellDetail({ ...IDLE, state: 'denied', reason: reasonOf(error), retryAt });
    };
    await this.#user.meet(failed, signal);
    signal.throwIfAborted();
    if (this.#isOurs) this.#source(null);
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
    const name = [this.#user.name, ...(part ? keys : [])].join(' ');
    /** @type {any} */
    const source = shared
      ? new Tabs({ name, makeStream, tellLeft: this.#user.tellLeft, keys, cursor }, this.#env)
      : this.#makeAlone({ keys, cursor });
    const each = (tell) => {
      for (const one of part ? [part] : [...this.#parts]) tell(one);
    };
    source.onBatch = (batch) => each((one) => one.receive(batch));
    source.onEnded = (ended) => each((one) => one.ended(ended));
    source.onHole = () => each((one) => one.hole());
    source.onLeave = () => this.#goAway();
    // A stream is idle before it begins, and here there is something to follow.
    source.onDetail = (detail) => detail.state !== 'idle' && this.#tellDetail(detail);
    this.#sources.set(part, source);
    source.start();
    return source;
  }

  #makeAlone(start) {
    const client = this.#env.Math.random().toString(36).slice(2);
    return Object.assign(this.#makeStream({ ...start, client }), {
      leave: (left = []) => this.#user.tellLeft(client, left),
    });
  }

  #makeStream(start) {
    return new Stream({ ...this.#user.asking, ...start }, this.#env);
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
      this.#stop(part);
      if (!this.#isClosed) this.#wantSoon();
    },
    source: async (part, cursor, isAnew) => {
      await this.#open();
      if (this.#isOurs) return this.#sources.get(null);
      if (isAnew) this.#stop(part);
      return this.#source(part, cursor);
    },
    replay: async (keys, cursor, how) => {
      const { replay } = await import('./replay.js');
      return replay(this.#makeStream({ keys, cursor }), how, this.#env);
    },
    pages: (keys, params, signal) => pages({ ...this.#user.asking, keys, params, signal }, this.#env),
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
    if (JSON.stringify(next) === JSON.stringify(this.#detail)) return;
    this.#detail = next;
    this.dispatchEvent(new CustomEvent('statechange', { detail: next }));
  }

  #shown() {
    const parts = [...this.#parts];
    if (this.#told.state !== 'live') return this.#told;
    const refusal = parts.find((part) => part.refusal)?.refusal;
    if (refusal) return { ...this.#told, state: 'denied', reason: refusal.message, status: refusal.status };
    const reading = parts.filter((part) => part.isReading());
    if (reading.length === 0) return this.#told;
    const reason = reading.find(({ problem }) => problem)?.problem ?? this.#told.reason;
    return { ...this.#told, state: 'catching up', reason };
  }
}
