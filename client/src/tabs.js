/**
 * One stream for all tabs: over HTTP/1.1 a browser opens at most six connections to a host, and six
 * tabs with a stream each would leave none for other requests.
 *
 * The tab that holds the lock is the leader: its Stream carries the topics of all tabs, and it posts
 * what comes to the others, the followers, on a BroadcastChannel. Its updates are numbered, so a
 * follower notices what it has missed (a hole), and reads it. A follower says which topics it wants
 * at each change and every few seconds; the leader answers, and so is known to live.
 *
 * Where there are no locks, each tab has a stream of its own, and lets go of it while hidden.
 */

import { Hiding } from './hiding.js';
import { openLock } from './lock.js';
import { OtherTabs } from './other_tabs.js';
import { isAfter } from './place.js';

const WANT_EACH_MS = 5_000;
const WANT_EACH_HIDDEN_MS = 20_000;
const WANTS_BEFORE_STEAL = 3;

/** Has the interface of Stream, and onHole. */
export class Tabs {
  onBatch = (batch) => {};
  onDetail = (detail) => {};
  onEnded = (keys) => {};
  /** Updates may be missing in this tab: what covered() says holds again, and the rest must be read. */
  onHole = () => {};

  #name;
  #env;
  #makeStream;
  #id;
  #keys;
  #cursor;

  #listening = null;
  #channel = null;
  #lock = null;
  #timer = null;
  #hiding = null;

  #others;
  #stream = null;
  #number = 0;

  #leaderId = null;
  #wantNumber = 0;
  #wantedAt = 0;
  #unanswered = 0;
  // The keys that the leader has promised to tell of; null before its first answer.
  #covered = null;
  #waiting = [];

  /**
   * @param {object} options
   * @param {string} options.name tabs with an equal one share a stream
   * @param {(options: {cursor: ?string, keys: string[]}) => import('./stream.js').Stream} options.makeStream
   * @param {string[]} [options.keys]
   * @param {?string} [options.cursor]
   * @param {any} [env]
   */
  constructor({ name, makeStream, keys = [], cursor = null }, env = globalThis) {
    this.#name = name;
    this.#makeStream = makeStream;
    this.#keys = keys;
    this.#cursor = cursor;
    this.#env = env;
    this.#others = new OtherTabs(env);
    this.#id = String(env.Math.random());
  }

  get cursor() {
    return this.#stream ? this.#stream.cursor : this.#cursor;
  }

  start() {
    if (this.#listening) return;
    this.#listening = new AbortController();
    const { signal } = this.#listening;
    // In the capture phase, because freeze and resume go to the document and do not bubble.
    const on = (type, listener) =>
      this.#env.addEventListener?.(type, listener, { signal, capture: true });
    on('visibilitychange', () => this.check());
    // A frozen page cannot lead, and its lock and channel would keep it out of the
    // back/forward cache.
    on('freeze', () => this.#leave());
    on('resume', () => this.#join());
    on('pagehide', () => this.#leave());
    on('pageshow', () => this.#join());
    this.#join();
  }

  stop() {
    this.#listening?.abort();
    this.#listening = null;
    this.#leave();
  }

  check() {
    if (!this.#listening) return;
    this.#stream?.check();
    this.#hiding?.check();
    if (!this.#isHidden) this.#want();
  }

  /** @param {string[]} keys what this tab wants, in place of what it wanted before */
  want(keys) {
    this.#keys = keys;
    // What is not wanted for a moment, the leader may let go of.
    if (this.#covered) this.#covered = new Set(keys.filter((key) => this.#covered.has(key)));
    this.#unite();
    this.#want();
  }

  /**
   * Resolves once each event of these keys that comes after the cursor will be told.
   * @param {string[]} keys of those that are wanted
   * @returns {Promise<?string>} the cursor
   */
  covered(keys) {
    return new Promise((resolve) => {
      this.#waiting.push({ keys, resolve });
      if (this.#stream) this.#askStream();
      else this.#resolveCovered();
    });
  }

  #join() {
    if (this.#lock || this.#stream) return;
    const handlers = {
      onHeld: () => this.#lead(),
      onLost: () => this.#follow(),
      onRefused: () => this.#leadAlone(),
    };
    this.#lock = openLock(this.#name, handlers, this.#env);
    if (!this.#lock) return this.#leadAlone();
    this.#channel = new this.#env.BroadcastChannel(this.#name);
    this.#channel.onmessage = ({ data }) => this.#hear(data);
    this.#lock.request();
    this.#want();
    this.#wantLater();
    // It may have been away for a while.
    if (this.#cursor) this.onHole();
  }

  #leave() {
    if (this.#channel) this.#post({ type: 'bye' });
    this.#closeStream();
    this.#lock?.release();
    this.#lock = null;
    this.#env.clearTimeout(this.#timer);
    this.#hiding?.stop();
    this.#hiding = null;
    this.#channel?.close();
    this.#channel = null;
    this.#leaderId = null;
    this.#covered = null;
    this.#unanswered = 0;
  }

  // --- the leader

  #lead() {
    if (this.#stream) return;
    this.#leaderId = null;
    this.#covered = null;
    this.#number = 0;
    this.#openStream();
    this.#post({ type: 'elected', cursor: this.#cursor });
    this.#stream.start();
    this.#askStream();
  }

  #leadAlone() {
    this.#leave();
    this.#openStream();
    this.#stream.start();
    this.#askStream();
    this.#hiding = new Hiding(this.#stream, (detail) => this.onDetail(detail), this.#env);
  }

  #openStream() {
    const stream = this.#makeStream({ cursor: this.#cursor, keys: this.#union() });
    this.#stream = stream;
    const tell = (tale) => {
      if (stream !== this.#stream) return;
      this.#post({ type: 'update', isNumbered: true, ...tale });
      this.#tell(tale);
    };
    stream.onBatch = (batch) => tell({ batch });
    stream.onDetail = (detail) => tell({ detail });
    stream.onEnded = (ended) => tell({ ended });
  }

  #closeStream() {
    const stream = this.#stream;
    if (!stream) return;
    this.#cursor = stream.cursor;
    this.#stream = null;
    stream.stop();
  }

  #askStream() {
    const stream = this.#stream;
    for (const entry of this.#waiting) {
      if (entry.stream === stream) continue;
      entry.stream = stream;
      // Of no use once this tab has stopped leading; then the next leader is waited for.
      stream.covered(entry.keys).then((cursor) => stream === this.#stream && this.#settle(entry, cursor));
    }
  }

  #settle(entry, cursor) {
    this.#waiting = this.#waiting.filter((other) => other !== entry);
    entry.resolve(cursor);
  }

  #union() {
    return this.#others.unionWith(this.#keys);
  }

  #unite() {
    this.#stream?.want(this.#union());
  }

  async #answer({ from, want, keys }, added) {
    const stream = this.#stream;
    // The leader may be hidden, and its timers late; the tab that asks may be visible.
    stream.check();
    this.#unite();
    this.#post({ type: 'answer', to: from, detail: stream.detail });
    await stream.covered(keys);
    if (stream === this.#stream) this.#post({ type: 'covered', to: from, want, keys, added });
  }

  // --- the follower

  #follow() {
    this.#closeStream();
    this.#covered = null;
    this.#lock.request();
    this.#want();
    this.onHole();
  }

  #want() {
    if (!this.#channel || this.#stream) return;
    this.#wantNumber += 1;
    this.#wantedAt = this.#env.Date.now();
    this.#post({ type: 'want', want: this.#wantNumber, keys: this.#keys });
  }

  #wantLater() {
    this.#timer = this.#env.setTimeout(() => {
      this.#others.forgetSilent();
      if (this.#stream) this.#unite();
      else if (!this.#isHidden) this.#pressOn();
      else if (this.#env.Date.now() - this.#wantedAt >= WANT_EACH_HIDDEN_MS) this.#want();
      this.#wantLater();
    }, WANT_EACH_MS);
  }

  #pressOn() {
    if (this.#unanswered >= WANTS_BEFORE_STEAL) {
      this.#unanswered = 0;
      this.#lock.request(true);
    } else {
      this.#unanswered += 1;
      this.#want();
    }
  }

  #hear(message) {
    const { type, from } = message;
    if (type === 'want' || type === 'bye') return this.#hearOther(message);
    // A leader that was frozen may not know that it has lost the lock.
    if (this.#stream) return;
    if (type === 'elected') {
      const isBehind = this.#cursor && (!message.cursor || isAfter(message.cursor, this.#cursor));
      this.#leaderId = from;
      this.#number = 0;
      this.#want();
      if (isBehind) this.onHole();
    } else if (message.to === this.#id && from !== this.#leaderId && this.#mayFollow) {
      this.#leaderId = from;
      this.#number = message.number;
      if (this.#covered) this.onHole();
    }
    if (from === this.#leaderId) this.#hearLeader(message);
  }

  get #mayFollow() {
    // Where the leader has not answered, another one's "elected" may have been lost.
    return this.#leaderId === null || this.#unanswered > 1;
  }

  #hearOther(message) {
    const { type, from, keys } = message;
    // A leader that says so leads no more.
    if (from === this.#leaderId) this.#leaderId = null;
    const known = new Set(this.#union());
    if (type === 'bye') {
      this.#others.forget(from);
      this.#unite();
    } else {
      this.#others.hear(from, keys);
      if (this.#stream) this.#answer(message, keys.filter((key) => !known.has(key)));
    }
  }

  #hearLeader(message) {
    this.#unanswered = 0;
    const isHole = message.number !== this.#number + (message.isNumbered ? 1 : 0);
    this.#number = message.number;
    if (message.type === 'covered' && message.to === this.#id && message.want === this.#wantNumber) {
      const isNewToLeader = message.added.some((key) => this.#covered?.has(key));
      this.#covered = new Set(message.keys);
      if (isNewToLeader) this.onHole();
    }
    if (isHole) this.onHole();
    this.#tell(message);
    this.#cursor = message.at ?? this.#cursor;
    this.#resolveCovered();
  }

  #resolveCovered() {
    const isCovered = ({ keys }) => this.#covered && keys.every((key) => this.#covered.has(key));
    for (const entry of this.#waiting.filter(isCovered)) this.#settle(entry, this.#cursor);
  }

  // --- both

  #tell({ batch, detail, ended }) {
    if (batch) this.onBatch(batch);
    if (detail) this.onDetail(detail);
    if (ended) this.onEnded(ended);
  }

  #post(message) {
    if (!this.#channel) return;
    if (message.isNumbered) this.#number += 1;
    const at = message.batch?.at(-1)?.cursor ?? this.#stream?.cursor;
    this.#channel.postMessage({ number: this.#number, at, ...message, from: this.#id });
  }

  get #isHidden() {
    return this.#env.document?.visibilityState === 'hidden';
  }
}
