/**
 * One stream for all tabs: over HTTP/1.1 a browser opens at most six connections to a host, and six
 * tabs with a stream each would leave none for other requests.
 *
 * The tab that holds the lock is the leader: its Stream carries the topics of all tabs, and it posts
 * what comes to the others, the followers, on a BroadcastChannel. Each of its messages says up to
 * where it has told before and after it, and now and then which topics are covered. So a follower
 * notices what it has missed (a hole), and reads it. A follower says which topics it wants at each
 * change and every few seconds; the leader answers, and so is known to live.
 *
 * Where there are no locks, each tab has a stream of its own, and lets go of it while hidden.
 */

import { Covering, includesAll } from './covering.js';
import { openLock } from './lock.js';
import { OtherTabs } from './other_tabs.js';
import { watchPage } from './page.js';
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
  /** The user has left, in all tabs. */
  onLeave = () => {};
  /** The name of the stream, whichever tab has it. @type {string} */
  client;

  #name;
  #env;
  #makeStream;
  #tellLeft;
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
  #isFollower = false;
  #united = [];
  // Up to where the followers were told.
  #said = null;

  #leaderId = null;
  #wantedAt = 0;
  #unanswered = 0;
  // The keys of which each event after the cursor will be told.
  #covered = [];
  #covering = new Covering();

  /**
   * @param {object} options
   * @param {string} options.name tabs with an equal one share a stream
   * @param {(options: {cursor: ?string, keys: string[], client: string}) => import('./stream.js').Stream} options.makeStream
   * @param {(client: string, keys: string[], afterSeconds?: number) => Promise<void>} [options.tellLeft]
   *   as in presence.js
   * @param {string[]} [options.keys]
   * @param {?string} [options.cursor]
   * @param {any} [env]
   */
  constructor({ name, makeStream, tellLeft, keys = [], cursor = null }, env = globalThis) {
    this.#name = name;
    this.#makeStream = makeStream;
    this.#tellLeft = tellLeft;
    this.#keys = keys;
    this.#cursor = cursor;
    this.#env = env;
    this.#others = new OtherTabs(env);
    this.#id = this.client = env.Math.random().toString(36).slice(2);
  }

  get cursor() {
    return this.#stream ? this.#stream.cursor : this.#cursor;
  }

  start() {
    if (this.#listening) return;
    this.#listening = new AbortController();
    const listeners = {
      visibilitychange: () => this.check(),
      // A frozen page cannot lead, and its lock and channel would keep it out of the
      // back/forward cache.
      away: ({ type }) => this.#leave(type === 'freeze'),
      back: () => this.#join(),
    };
    watchPage(listeners, this.#listening.signal, this.#env);
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
    this.#covered = this.#covered.filter((key) => keys.includes(key));
    this.#unite();
    this.#want();
  }

  /**
   * Has the hub told at once that the user has left.
   * @param {string[]} [keys] those that this tab wanted until now: what another tab wants stays;
   *   without them all tabs leave
   * @returns {Promise<void>}
   */
  async leave(keys) {
    if (!keys) {
      this.#post({ isLeaving: true });
      return this.#tellLeft(this.client, []);
    }
    if (this.#follows) {
      // The channel is closed already where the page is going.
      const channel = this.#channel ?? new this.#env.BroadcastChannel(this.#name);
      channel.postMessage({ from: this.#id, want: this.#keys, left: keys });
    } else {
      const united = this.#union();
      const left = keys.filter((key) => !united.includes(key));
      if (left.length) await this.#tellLeft(this.client, left);
    }
  }

  /**
   * Resolves once each event of these keys that comes after the cursor will be told.
   * @param {string[]} keys of those that are wanted
   * @returns {Promise<?string>} the cursor
   */
  covered(keys) {
    const covered = this.#covering.wait(keys);
    this.#settle();
    return covered;
  }

  #join() {
    if (this.#lock || this.#stream) return;
    const handlers = {
      onHeld: () => this.#lead(),
      onLost: () => this.#follow(),
      onRefused: () => this.#lock && this.#leadAlone(),
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

  #leave(isFrozen = false) {
    this.#isFollower = this.#follows;
    this.#post({ isBye: true });
    this.#closeStream();
    this.#lock?.release();
    this.#lock = null;
    this.#env.clearTimeout(this.#timer);
    this.#hiding?.stop(isFrozen);
    this.#hiding = null;
    this.#channel?.close();
    this.#channel = null;
    this.#leaderId = null;
    this.#covered = [];
    this.#unanswered = 0;
  }

  // --- the leader

  #lead() {
    if (this.#stream) return;
    this.#leaderId = null;
    this.#said = this.#cursor;
    this.#openStream();
    // Without a cursor nobody knows yet from where on it will tell.
    this.#say({ isElected: true, keys: this.#cursor ? this.#union() : [] });
    this.#unite();
  }

  async #leadAlone() {
    this.#leave();
    this.#openStream();
    this.#unite();
    const stream = this.#stream;
    const { Hiding } = await import('./hiding.js').catch(() => ({ Hiding: null }));
    if (Hiding && stream === this.#stream) {
      const tellLeft = (afterSeconds) => this.#tellLeft(this.client, [], afterSeconds);
      this.#hiding = new Hiding(stream, (detail) => this.onDetail(detail), tellLeft, this.#env);
    }
  }

  #openStream() {
    const stream = this.#makeStream({ cursor: this.#cursor, keys: this.#union(), client: this.client });
    this.#stream = stream;
    this.#isFollower = false;
    this.#covered = [];
    const tell = (told) => {
      if (stream !== this.#stream) return;
      this.#say(told);
      this.#tell(told);
    };
    stream.onBatch = (batch) => tell({ batch });
    stream.onDetail = (detail) => tell({ detail });
    stream.onEnded = (ended) => tell({ ended });
    stream.start();
  }

  #closeStream() {
    const stream = this.#stream;
    if (!stream) return;
    this.#cursor = stream.cursor;
    this.#stream = null;
    this.#covered = [];
    stream.stop();
  }

  #union() {
    return this.#others.unionWith(this.#keys);
  }

  /** Has the stream carry what all tabs want, and says so once it does. */
  async #unite() {
    const stream = this.#stream;
    if (!stream) return;
    const keys = this.#union();
    this.#united = keys;
    stream.want(keys);
    await stream.covered(keys);
    if (stream !== this.#stream || keys !== this.#united) return;
    this.#covered = keys;
    this.#say({ keys });
    this.#settle();
  }

  #say(told) {
    const at = told.batch?.at(-1)?.cursor ?? this.#stream.cursor;
    this.#post({ after: this.#said, at, client: this.client, ...told });
    this.#said = at;
  }

  // --- the follower

  #follow() {
    this.#closeStream();
    this.#lock.request();
    this.#want();
    this.onHole();
  }

  #want() {
    if (this.#stream) return;
    this.#wantedAt = this.#env.Date.now();
    this.#post({ want: this.#keys });
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
    const { from, want, isBye, isElected, isLeaving } = message;
    if (isLeaving) return this.onLeave();
    if (want || isBye) return this.#hearOther(message);
    // A leader that was frozen may not know that it has lost the lock.
    if (this.#stream) return;
    // Where the leader has not answered, another one's election may have been missed.
    if (isElected || this.#leaderId === null || this.#unanswered > 1) this.#leaderId = from;
    if (from === this.#leaderId) this.#hearLeader(message);
  }

  #hearOther({ from, want, left }) {
    // A leader that says so leads no more.
    if (from === this.#leaderId) this.#leaderId = null;
    if (want) this.#others.hear(from, want);
    else this.#others.forget(from);
    if (!this.#stream) return;
    // The leader may be hidden, and its timers late; the tab that asks may be visible.
    this.#stream.check();
    this.#say({ detail: this.#stream.detail });
    this.#unite();
    if (left) this.leave(left);
  }

  #hearLeader({ isElected, after, at, client, keys = this.#covered, ...told }) {
    this.client = client;
    this.#unanswered = 0;
    const isBehind = this.#covered.length && after !== this.#cursor && isAfter(after, this.#cursor);
    const isForgotten = this.#covered.some((key) => !keys.includes(key) && this.#keys.includes(key));
    this.#covered = keys;
    if (isElected) this.#want();
    if (isBehind || isForgotten) this.onHole();
    this.#tell(told);
    this.#cursor = at ?? this.#cursor;
    this.#settle();
  }

  // --- both

  #settle() {
    this.#covering.settle((keys) => includesAll(this.#covered, keys), this.cursor);
  }

  /** @param {any} told */
  #tell({ batch, detail, ended }) {
    if (batch) this.onBatch(batch);
    if (detail) this.onDetail(detail);
    if (ended) this.onEnded(ended);
  }

  #post(message) {
    this.#channel?.postMessage({ from: this.#id, ...message });
  }

  /** Whether another tab has the stream, or had it when this one was put away. */
  get #follows() {
    return !this.#stream && (this.#channel !== null || this.#isFollower);
  }

  get #isHidden() {
    return this.#env.document?.visibilityState === 'hidden';
  }
}
